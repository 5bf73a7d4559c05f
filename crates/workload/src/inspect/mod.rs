//! What is in a workload, before any server is involved.
//!
//! A request's prompt is everything before its answer under the recorded history (or a standalone
//! turn's messages alone), with the conversation's `tools` as JSON text before it. Conversations
//! are tokenized in parallel; of each only the names of its blocks are kept. Then one pass over
//! all requests in order plays an endless prefix cache.

mod cache;
mod collector;
mod own_history;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use rayon::prelude::*;
use turnbench_metrics::WorkloadReport;
use turnbench_model::{ChatTemplate, Conversation, Tokenizer};

use crate::WorkloadError;
use crate::prompts::{Prompts, facts_of, order_of, piece_tokenizer, token_basis};
use collector::Collector;
use own_history::own_history;

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
    let pieces = options.tokenizer.map(piece_tokenizer);
    let prompts = pieces.as_ref().map(|pieces| Prompts {
        pieces,
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
                let mut facts = facts_of(start + at, conversation, prompts)?;
                let own: Own = own_history(&mut facts, order);
                (options.progress)();
                Ok((facts, own))
            })
            .collect::<Result<Vec<_>, WorkloadError>>()?;
        for ((facts, own), conversation) in facts.into_iter().zip(window) {
            collector.add(conversation, facts, &own);
        }
    }
    let basis = token_basis(conversations, prompts, options.tokenizer_name, collector.rejected());
    let samples = collector.finish(options.file, options.format, basis);
    Ok(WorkloadReport::build(samples))
}

type Own = Vec<(u32, u64)>;
