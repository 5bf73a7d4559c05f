use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How `--fill-cache` chose the number of active conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FillPlan {
    /// The multiple of the cache that was asked for.
    pub factor: f64,
    /// Tokens that the cache holds.
    pub cache_tokens: f64,
    /// Who says so.
    pub source: FillSource,
    /// Tokens that several conversations share.
    pub shared_tokens: f64,
    /// Tokens of its own that an active conversation has on average.
    pub own_tokens_mean: f64,
    /// Tokens of all active conversations together.
    pub working_set_tokens: f64,
}

/// Where the size of the cache is from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FillSource {
    /// The server's metrics.
    ServerMetrics,
    /// `--cache-size`.
    Flag,
    /// The report of `cache tiers`.
    TiersReport,
}
