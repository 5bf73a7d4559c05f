//! TensorRT-LLM (names of its main branch, commit 050f80d). Its server shows them at
//! `/prometheus/metrics`; `/metrics` is JSON. Reused and missed blocks are not read: the counters of
//! cached tokens say the same in tokens.

use turnbench_model::Figure;

use super::{Dialect, Rule, histogram, labelled, value};

pub(crate) const DIALECT: Dialect = Dialect::new("trtllm", RULES);

const RULES: &[Rule] = &[
    value(Figure::PromptTokens, "trtllm_prompt_tokens"),
    value(Figure::CachedTokens, "trtllm_prompt_cached_tokens"),
    cached(Figure::CachedTokensDevice, &["gpu"]),
    cached(Figure::CachedTokensHost, &["host"]),
    cached(Figure::CachedTokensDisk, &["disk"]),
    value(Figure::GenerationTokens, "trtllm_generation_tokens"),
    value(Figure::KvUsage, "trtllm_kv_cache_utilization"),
    value(Figure::HostKvUsage, "trtllm_kv_cache_host_utilization"),
    value(Figure::KvCapacityBlocks, "trtllm_kv_cache_max_blocks"),
    value(Figure::KvBlockSize, "trtllm_kv_cache_tokens_per_block"),
    value(Figure::RequestsRunning, "trtllm_num_requests_running"),
    value(Figure::RequestsWaiting, "trtllm_num_requests_waiting"),
    value(Figure::RequestsFinished, "trtllm_request_success"),
    value(Figure::RequestsFinished, "trtllm_num_requests_completed"),
    value(Figure::OffloadLoadBytes, "trtllm_kv_cache_onboard_bytes"),
    value(Figure::OffloadStoreBytes, "trtllm_kv_cache_offload_bytes"),
    histogram(Figure::QueueSeconds, "trtllm_request_queue_time_seconds"),
    histogram(Figure::PrefillSeconds, "trtllm_request_prefill_time_seconds"),
    histogram(Figure::DecodeSeconds, "trtllm_request_decode_time_seconds"),
    histogram(Figure::TtftSeconds, "trtllm_time_to_first_token_seconds"),
];

const fn cached(figure: Figure, tiers: &'static [&'static str]) -> Rule {
    labelled(figure, "trtllm_prompt_cache_hit_tokens", "cache_tier", tiers)
}
