use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RequestOrder, TokenBasis};

/// Version of [`CacheReport`]'s JSON form.
pub const CACHE_REPORT_SCHEMA_VERSION: u32 = 1;

/// What a prefix cache of any size could do for a workload.
///
/// Tokens are counted in full blocks, and one token of every prompt is computed in any case, as vLLM does
/// it: so a prompt seen before in full is not reused in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheReport {
    /// [`CACHE_REPORT_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The file, as typed.
    pub file: String,
    /// The format that it was read as.
    pub format: String,
    /// Where the numbers of tokens, and the blocks, come from.
    pub token_basis: TokenBasis,
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Bytes that the model keeps for a token; absent where it is not known.
    pub kv_bytes_per_token: Option<f64>,
    /// In which order requests were taken.
    pub order: RequestOrder,
    /// Conversations that take turns at a time; absent where requests have times of their own.
    pub active_conversations: Option<u64>,
    /// Conversations.
    pub conversations: u64,
    /// Requests whose blocks are known.
    pub requests: u64,
    /// Other requests, which are in no number here.
    pub unknown_requests: u64,
    /// How a part of the blocks was taken for the whole; absent where all were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<CacheSampling>,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Distinct blocks of all prompts and answers, in tokens: what an endless cache fills up with.
    pub distinct_tokens: u64,
    /// Prompt tokens that an endless cache serves.
    pub ideal_tokens: u64,
    /// Of these, what the conversation's own earlier requests had left.
    pub own_history_tokens: u64,
    /// Of these, what only other conversations had left.
    pub cross_conversation_tokens: u64,
    /// The least LRU cache for shares of what an endless one serves, ascending; empty without any
    /// reuse.
    pub needed: Vec<NeededCapacity>,
    /// Caches of the sizes that were asked for.
    pub caches: Vec<FiniteCache>,
    /// Tiers behind one another, of the sizes that were asked for; empty without.
    pub tiers: Vec<TierFound>,
    /// What an LRU cache serves, by its size: at most 200 points, ascending.
    pub curve: Vec<CurvePoint>,
    /// By turn, ascending; of the later ones every power of two.
    pub turns: Vec<TurnReuse>,
}

/// A sample of a workload's blocks. All figures but counts of conversations, requests and prompt tokens
/// are then estimates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheSampling {
    /// Share (0 to 1) of the blocks that was replayed.
    pub rate: f64,
    /// Blocks that were looked up in the replay.
    pub blocks: u64,
    /// Half of the 95 % interval of what an LRU cache serves, as a share (0 to 1) of the prompt
    /// tokens, at the size where it is widest.
    pub error_ratio: f64,
}

/// A cache's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheSize {
    /// Blocks.
    pub blocks: u64,
    /// Tokens.
    pub tokens: u64,
    /// Bytes; absent where the model's are not known.
    pub bytes: Option<f64>,
}

impl CacheSize {
    /// Of so many blocks.
    pub fn of_blocks(blocks: u64, block_tokens: u32, bytes_per_token: Option<f64>) -> Self {
        let tokens = blocks.saturating_mul(u64::from(block_tokens));
        Self { blocks, tokens, bytes: bytes_per_token.map(|bytes| bytes * tokens as f64) }
    }
}

/// How large a cache must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NeededCapacity {
    /// Share (0 to 1) of what an endless cache serves.
    pub share: f64,
    /// The least size.
    pub size: CacheSize,
}

/// A cache of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FiniteCache {
    /// Its size.
    pub size: CacheSize,
    /// Prompt tokens that it serves if it evicts the least recently used block.
    pub lru_tokens: u64,
    /// If it evicts the block that came first.
    pub fifo_tokens: u64,
    /// With S3-FIFO, as libCacheSim 0.3.5 has it.
    pub s3_fifo_tokens: u64,
}

/// A tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierFound {
    /// Its size.
    pub size: CacheSize,
    /// Prompt tokens that it serves, and no tier before it.
    pub tokens: u64,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// The cache's size.
    pub size: CacheSize,
    /// Prompt tokens that it serves.
    pub tokens: u64,
}

/// The requests of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TurnReuse {
    /// The turn, from 1.
    pub turn: u32,
    /// Requests.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Of these, what an endless cache serves.
    pub ideal_tokens: u64,
    /// Of these, what the conversation's own earlier requests had left.
    pub own_history_tokens: u64,
    /// Median of the least LRU cache that serves all of a request's ideal; absent where none has
    /// any, and where blocks were sampled.
    pub needed_p50: Option<CacheSize>,
    /// Its largest.
    pub needed_max: Option<CacheSize>,
}
