//! SGLang (names of 0.5.23), with its hierarchical cache. Its hit rate is a gauge of the last batch
//! only, so it is not read: the counters of cached and of all prompt tokens say it for a run.

use turnbench_model::Figure;

use super::{Dialect, Rule, histogram, labelled, sum, value};

pub(crate) const DIALECT: Dialect = Dialect {
    rank_labels: &["moe_ep_rank", "pp_rank", "tp_rank"],
    ..Dialect::new("sglang", RULES)
};

const RULES: &[Rule] = &[
    value(Figure::PromptTokens, "sglang:prompt_tokens"),
    value(Figure::CachedTokens, "sglang:cached_tokens"),
    cached(Figure::CachedTokensDevice, &["device"]),
    cached(Figure::CachedTokensHost, &["host"]),
    cached(Figure::CachedTokensDisk, &["storage"]),
    // The source is "total" where SGLang does not know it.
    cached(Figure::CachedTokensUnspecified, &["total"]),
    sum(Figure::PromptTokensComputed, "sglang:uncached_prompt_tokens_histogram"),
    value(Figure::GenerationTokens, "sglang:generation_tokens"),
    value(Figure::KvUsage, "sglang:token_usage"),
    value(Figure::KvCapacityTokens, "sglang:max_total_num_tokens"),
    value(Figure::KvCapacityBlocks, "sglang:num_pages"),
    value(Figure::KvBlockSize, "sglang:page_size"),
    value(Figure::HostCapacityTokens, "sglang:hicache_host_total_tokens"),
    value(Figure::HostUsedTokens, "sglang:hicache_host_used_tokens"),
    value(Figure::RequestsRunning, "sglang:num_running_reqs"),
    value(Figure::RequestsWaiting, "sglang:num_queue_reqs"),
    value(Figure::Preemptions, "sglang:num_retracted_requests"),
    value(Figure::RequestsFinished, "sglang:num_requests"),
    value(Figure::OffloadLoadBytes, "sglang:load_back_bytes"),
    sum(Figure::OffloadLoadSeconds, "sglang:load_back_duration_seconds"),
    value(Figure::OffloadStoreBytes, "sglang:hicache_backup_bytes"),
    sum(Figure::OffloadStoreSeconds, "sglang:hicache_backup_duration_seconds"),
    histogram(Figure::QueueSeconds, "sglang:queue_time_seconds"),
    histogram(Figure::TtftSeconds, "sglang:time_to_first_token_seconds"),
];

const fn cached(figure: Figure, sources: &'static [&'static str]) -> Rule {
    labelled(figure, "sglang:cached_tokens", "cache_source", sources)
}
