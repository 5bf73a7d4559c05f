use serde::{Deserialize, Serialize};

/// The blocks of KV cache that one attempt's prompt and answer fill, worked out after the run and kept
/// beside the records, which hold raw facts only.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct SentBlocks {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens whose KV there is in the end: the prompt's, and the answer's as far as its ids are known;
    /// its last token is never computed.
    pub left_tokens: u64,
    /// How many names of the conversation's line before it its own begin with.
    pub kept: u64,
    /// The names that follow: chained, so that one stands for a block and everything before it. All
    /// blocks that `left_tokens` fill, in order.
    pub names: Vec<u64>,
}
