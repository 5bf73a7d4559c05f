use super::TIERS_MAX;

/// Gauges and counters as vLLM's `/metrics` shows them. Counters run from the start of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineStats {
    /// Requests that hold a place in the batch.
    pub running: u32,
    /// Requests in the queue, preempted ones and those that load blocks included.
    pub waiting: u32,
    /// Of those, requests that load blocks from a tier, or have done so and wait for a place.
    pub loading: u32,
    /// Share of the usable blocks that are in use, 0..1.
    pub kv_usage_ratio: f64,
    /// Tokens looked up at first admissions.
    pub prefix_cache_queries: u64,
    /// Of those, tokens found on the device.
    pub prefix_cache_hits: u64,
    /// Tokens looked up in tiers: at first admissions, those not found on the device. 0 without tiers.
    pub external_prefix_cache_queries: u64,
    /// Of those, tokens found.
    pub external_prefix_cache_hits: u64,
    /// Prompt tokens of requests that reached their first token.
    pub prompt_tokens: u64,
    /// Of those, tokens taken from the device's cache and from tiers.
    pub prompt_tokens_cached: u64,
    /// Of those, tokens taken from each tier.
    pub prompt_tokens_by_tier: [u64; TIERS_MAX],
    /// Answer tokens, those of aborted requests included.
    pub generation_tokens: u64,
    /// Times that a request lost its blocks.
    pub preemptions: u64,
    /// Requests ended by [`super::FinishReason::Stop`].
    pub success_stop: u64,
    /// Requests ended by [`super::FinishReason::Length`].
    pub success_length: u64,
    /// Requests ended by [`super::FinishReason::Abort`]; vLLM counts these nowhere.
    pub aborted: u64,
    /// Steps done.
    pub steps: u64,
}
