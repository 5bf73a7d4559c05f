use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NeededCapacity, TokenBasis};

/// How a run's prompts were put into blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptFacts {
    /// Where their ids come from.
    pub basis: TokenBasis,
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Where that number comes from.
    pub block_size_source: BlockSizeSource,
}

/// Where the size of a block comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockSizeSource {
    /// `--block-size`.
    Flag,
    /// The server's metrics.
    Server,
    /// Nobody said: vLLM's default.
    Assumed,
}

/// What of one prompt was there to be reused, in tokens: full blocks, and not the prompt's last token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReusableTokens {
    /// The prompt, as it was made anew from its messages.
    pub prompt: u64,
    /// From an endless cache.
    pub ideal: u64,
    /// From an endless cache, if it was looked up just before its first token: what came into being while
    /// it waited counts too.
    pub late_ideal: u64,
    /// From an endless cache, of the conversation's own earlier requests.
    pub own_history: u64,
    /// From an LRU cache of the device's size; `None` where that is not known.
    pub lru: Option<u64>,
    /// The least LRU cache that serves all of the ideal; `None` without an ideal.
    pub needed_cache: Option<u64>,
    /// Tokens that the conversation's last request had left and this prompt begins with, but that fill no
    /// block that may be reused.
    pub rounded: u64,
}

/// What was possible in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReuse {
    /// How its prompts were put into blocks.
    pub prompts: PromptFacts,
    /// Size of the LRU cache that was replayed.
    pub device_capacity_tokens: Option<u64>,
    /// Distinct tokens of all prompts and answers: what an endless cache fills up with.
    pub distinct_tokens: u64,
    /// The least LRU caches for shares of the ideal.
    pub needed: Vec<NeededCapacity>,
    /// One for each record, in order of arrival; `None` where the prompt's blocks are not known.
    pub requests: Vec<Option<ReusableTokens>>,
}
