//! The prompts of a workload's requests, in blocks: rendered and tokenized, or as a trace has them.
//!
//! A request's prompt is everything before its answer under the recorded history (or a standalone
//! turn's messages alone), with the conversation's `tools` as JSON text before it where no chat template
//! renders them. After a run prompts are those that were sent, with the answers that came (`sent`).

mod blocks;
mod facts;
mod recorded;
mod run;
mod sent;
mod sequence;
mod source;
mod text;

use turnbench_metrics::TokenBasis;
use turnbench_model::{Conversation, Tokenizer};
use turnbench_prompt::PieceTokenizer;

pub use blocks::{BlockOptions, PromptBlocks, RequestBlocks};
pub(crate) use facts::{ConversationFacts, Lengths, order_of};
use recorded::{has_names, recorded_facts};
pub use run::{BlocksOfRun, RunBlocks};
pub use sent::{SentOptions, SentPrompts};
pub(crate) use sequence::{Chain, Sequence};
pub use source::PromptSource;
pub(crate) use text::Prompts;

use crate::WorkloadError;

/// Ids that are remembered of texts seen lately: 32 MiB.
const MEMO_IDS_MAX: usize = 8 << 20;

/// Tokenizes texts that many prompts share once.
pub(crate) fn piece_tokenizer(tokenizer: &dyn Tokenizer) -> PieceTokenizer<&dyn Tokenizer> {
    PieceTokenizer::new(tokenizer, MEMO_IDS_MAX)
}

/// The facts of a conversation; the `index` is its place in the workload.
pub(crate) fn facts_of(
    index: usize,
    conversation: &Conversation,
    prompts: Option<Prompts<'_>>,
) -> Result<ConversationFacts, WorkloadError> {
    match prompts.filter(|_| !conversation.messages.is_empty()) {
        Some(prompts) => Ok(prompts.facts(index, conversation)?),
        None => Ok(recorded_facts(index, conversation)),
    }
}

/// Where token counts and blocks come from.
pub(crate) fn token_basis(
    conversations: &[Conversation],
    prompts: Option<Prompts<'_>>,
    tokenizer_name: &str,
    rejected_conversations: u64,
) -> TokenBasis {
    let tokenizer = tokenizer_name.to_owned();
    let has_text = conversations.iter().any(|one| !one.messages.is_empty());
    if let Some(prompts) = prompts.filter(|_| has_text || conversations.is_empty()) {
        return match prompts.template {
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
