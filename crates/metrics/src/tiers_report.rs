use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of [`TiersReport`]'s JSON form.
pub const TIERS_REPORT_SCHEMA_VERSION: u32 = 1;

/// What probing a server found of its KV cache and of the tiers behind it.
///
/// Everything is seen from outside: prompts are sent again after so many tokens of other prompts, and what
/// that costs tells where they were. Tokens are counted by the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TiersReport {
    /// [`TIERS_REPORT_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Base URL of the server.
    pub url: String,
    /// Model name sent.
    pub model: String,
    /// What `/version` said.
    pub server_version: Option<String>,
    /// How the probing ended.
    pub end: ProbingEnd,
    /// Wall time that it took, in ns.
    pub elapsed_ns: u64,
    /// Wall time that it was given, in ns.
    pub budget_ns: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Requests that failed.
    pub failed_requests: u64,
    /// Tokens of all prompts that were new to the server.
    pub fresh_tokens: u64,
    /// Most tokens of other prompts between two sendings of one.
    pub newer_tokens_max: u64,
    /// Length of the prompts that times are given for, in tokens; absent if none was measured.
    pub prompt_tokens: Option<f64>,
    /// Bytes that the model keeps for a token; absent where it is not known.
    pub kv_bytes_per_token: Option<f64>,
    /// Tokens of a block, where the server's metrics tell.
    pub block_tokens: Option<u32>,
    /// Capacity of the device's cache that the server's metrics tell.
    pub reported_capacity_tokens: Option<u64>,
    /// Whether answers say how many tokens of the prompt were cached.
    pub reports_cached_tokens: bool,
    /// Whether a prompt sent twice was answered sooner the second time; absent where that could not be
    /// told.
    pub caches_prompts: Option<bool>,
    /// Computing a prompt anew; absent where it was not measured.
    pub recompute: Option<PromptCost>,
    /// The levels of the staircase, nearest first: the device, then each tier.
    pub levels: Vec<TierLevel>,
    /// Whether prompts that had gone furthest back were computed anew: then the last level's end is the
    /// end of everything.
    pub end_found: bool,
    /// Every sending of a prompt that was not the first, ascending by `newer_tokens`.
    pub revisits: Vec<Revisit>,
    /// What else to know.
    pub notes: Vec<TiersNote>,
}

/// How the probing ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum ProbingEnd {
    /// Everything that was to be measured was.
    Complete,
    /// The time was up.
    BudgetSpent,
    /// Ctrl-C.
    Interrupted,
    /// Requests failed one after another.
    ServerFailed {
        /// The last failure.
        message: String,
    },
    /// Nothing can be told of this server's caches.
    CannotTell {
        /// Why.
        why: CannotTell,
    },
}

/// Why nothing can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CannotTell {
    /// Answers do not say how long prompts are.
    NoTokenCounts,
    /// The time to first token of the longest prompts that can be used hardly depends on their length.
    ComputesTooFast,
    /// A prompt sent twice takes as long the second time, and is not reported as cached.
    NoPrefixCaching,
}

/// A number and the interval in which it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What it costs to make a prompt's keys and values: a fixed time and so much a token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptCost {
    /// Tokens per second.
    pub tokens_per_sec: Estimate,
    /// Bytes per second, where the bytes of a token are known.
    pub bytes_per_sec: Option<f64>,
    /// Fixed part beyond that of a prompt found on the device, in ms; not below 0.
    pub latency_ms: f64,
    /// Prompts that it was measured with.
    pub prompts: u64,
    /// Shortest and longest of them, in tokens.
    pub tokens_range: (u64, u64),
}

/// Where prompts were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierLevel {
    /// 0 is the device; 1 and up are the tiers behind it.
    pub place: u32,
    /// What the server calls it, where answers say where cached tokens were.
    pub reported_as: Option<String>,
    /// How far it reaches; absent where its end was not found.
    pub reach: Option<Reach>,
    /// Median time to first token of a prompt of [`TiersReport::prompt_tokens`] found here, in ms.
    pub ttft_ms: f64,
    /// Prompts found here.
    pub prompts: u64,
    /// Loading from here; absent for the device and where it was not measured.
    pub reload: Option<PromptCost>,
    /// From which prompt length on loading is faster than computing; absent where either is not known.
    pub break_even: Option<BreakEven>,
}

/// How far a level reaches: prompts are found here after up to so many tokens of other prompts,
/// their own tokens included. For the device, and for tiers that hold what is nearer as well, it is the
/// capacity; of tiers that do not, those of the nearer levels must be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// Tokens.
    pub tokens: f64,
    /// Surely so far: a prompt was found here.
    pub tokens_low: f64,
    /// Surely not farther: a prompt was not found here.
    pub tokens_high: f64,
    /// Bytes, where the bytes of a token are known.
    pub bytes: Option<f64>,
}

/// Where loading becomes faster than computing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "when")]
pub enum BreakEven {
    /// At any length.
    Always,
    /// From this length on.
    From {
        /// Tokens.
        tokens: f64,
    },
    /// At no length: computing is faster.
    Never,
}

/// A prompt sent again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revisit {
    /// Tokens of other prompts since it was last sent, each prompt once.
    pub newer_tokens: u64,
    /// Its own tokens.
    pub tokens: u32,
    /// Time to first token, in ms.
    pub ttft_ms: f64,
    /// The same for a prompt of [`TiersReport::prompt_tokens`]: what each token cost beyond a prompt found
    /// on the device, times that length. In ms.
    pub ttft_alike_ms: f64,
    /// Its tokens that the server reported as cached.
    pub cached_tokens: Option<u64>,
    /// The level that it was found in; absent where it was computed anew, or only part of it was found.
    pub level: Option<u32>,
}

/// What else to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum TiersNote {
    /// The server's prefix cache was emptied first.
    CacheReset,
    /// Without a report of cached tokens a tier as slow as computing anew looks like none.
    CachedNotReported,
    /// The time was up before the farthest end was found.
    EndNotReached,
    /// The time was up before this was measured with prompts of several lengths and slowly written.
    NotMeasuredAgain,
    /// Prompts were found farther back when the server was given more time to store them: the writes were
    /// slowed down by these pauses, as a multiple of the time of computing.
    StoresSlowly {
        /// Pause after each new prompt by the time that it took.
        pause_ratio: f64,
    },
    /// The farthest end still moved when the writes were slowed down further.
    StillGrowing,
    /// The server's counters say that it stored bytes outside of the device, and nothing was found there.
    StoredButNotFound {
        /// Bytes stored while probing.
        bytes: f64,
    },
    /// Other requests ran on the server meanwhile, by its counters.
    OtherTraffic {
        /// Prompt tokens that were not from here.
        tokens: f64,
    },
}
