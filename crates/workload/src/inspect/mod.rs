//! What is in a workload, before any server is involved.
//!
//! A request's prompt is everything before its answer under the recorded history (or a standalone
//! turn's messages alone), with the conversation's `tools` as JSON text before it. Conversations
//! are tokenized in parallel; of each only the names of its blocks are kept. Then one pass over
//! all requests in order plays an endless prefix cache.

mod cache;
mod collector;
mod facts;
mod recorded;
mod sequence;
#[cfg(test)]
mod tests;
mod text;

use std::num::NonZeroU32;

use rayon::prelude::*;
use turnbench_metrics::{RequestOrder, TokenBasis, WorkloadReport};
use turnbench_model::{ChatTemplate, Conversation, Tokenizer};

use crate::WorkloadError;
use collector::Collector;
use facts::{ConversationFacts, order_of};
use recorded::{has_names, recorded_facts};
use text::Prompts;

/// Conversations that are worked on before their blocks are taken into the caches: bounds what
/// waits there.
const WINDOW: usize = 1_024;

/// How a workload is looked into.
#[derive(Clone, Copy)]
pub struct InspectOptions<'a> {
    /// The file, as typed.
    pub file: &'a str,
    /// The format that it was read as.
    pub format: &'a str,
    /// Tokenizes messages, where there are any; `None` counts none.
    pub tokenizer: Option<&'a dyn Tokenizer>,
    /// Its name.
    pub tokenizer_name: &'a str,
    /// Renders prompts; `None` puts messages one after another.
    pub template: Option<&'a dyn ChatTemplate>,
    /// Tokens of a block of the cache, one or several. Traces have their own.
    pub block_sizes: &'a [NonZeroU32],
    /// Told of each conversation that is through, from any thread.
    pub progress: &'a (dyn Fn() + Sync),
}

/// Looks into a workload, on all cores. Traces without messages are reported from their recorded
/// lengths and block names; no text is made up for them.
///
/// # Errors
/// When the tokenizer fails.
pub fn inspect(
    conversations: &[Conversation],
    options: &InspectOptions<'_>,
) -> Result<WorkloadReport, WorkloadError> {
    let mut block_sizes: Vec<u32> = options.block_sizes.iter().map(|size| size.get()).collect();
    block_sizes.sort_unstable();
    block_sizes.dedup();
    let prompts = options.tokenizer.map(|tokenizer| Prompts {
        tokenizer,
        template: options.template,
        block_sizes: &block_sizes,
    });
    let order = order_of(conversations);
    let mut collector = Collector::new(order);
    for (window, start) in conversations.chunks(WINDOW).zip((0..).step_by(WINDOW)) {
        let facts = window
            .par_iter()
            .enumerate()
            .map(|(at, conversation)| {
                let facts = facts_of(start + at, conversation, prompts, order);
                (options.progress)();
                facts
            })
            .collect::<Result<Vec<_>, WorkloadError>>()?;
        for ((facts, own), conversation) in facts.into_iter().zip(window) {
            collector.add(conversation, facts, &own);
        }
    }
    let basis = token_basis(conversations, options, collector.rejected());
    let samples = collector.finish(options.file, options.format, basis);
    Ok(WorkloadReport::build(samples))
}

type Own = Vec<(u32, u64)>;

fn facts_of(
    index: usize,
    conversation: &Conversation,
    prompts: Option<Prompts<'_>>,
    order: RequestOrder,
) -> Result<(ConversationFacts, Own), WorkloadError> {
    let mut facts = match prompts.filter(|_| !conversation.messages.is_empty()) {
        Some(prompts) => prompts.facts(index, conversation)?,
        None => recorded_facts(index, conversation),
    };
    let own = facts.own_history(order);
    Ok((facts, own))
}

fn token_basis(
    conversations: &[Conversation],
    options: &InspectOptions<'_>,
    rejected_conversations: u64,
) -> TokenBasis {
    let tokenizer = options.tokenizer_name.to_owned();
    let has_text = conversations.iter().any(|one| !one.messages.is_empty());
    if options.tokenizer.is_some() && (has_text || conversations.is_empty()) {
        return match options.template {
            Some(_) => TokenBasis::ChatTemplate { tokenizer, rejected_conversations },
            None => TokenBasis::Messages { tokenizer },
        };
    }
    let mut turns = conversations.iter().flat_map(|one| &one.recorded);
    if conversations.iter().any(|one| one.hash_block_size.is_some_and(|size| size > 0))
        && turns.clone().any(has_names)
    {
        TokenBasis::BlockNames
    } else if turns.any(|turn| turn.prompt_tokens.is_some() || turn.max_tokens.is_some()) {
        TokenBasis::Lengths
    } else {
        TokenBasis::None
    }
}
