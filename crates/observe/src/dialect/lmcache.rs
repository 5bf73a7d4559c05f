//! LMCache inside an engine (names of 0.5.6); it shares the engine's page. Lookups are the
//! scheduler's, so that several workers do not count a prompt several times; its times add up over
//! workers. Its logger brings the page up to date every 10 s.

use turnbench_model::Figure;

use super::{Dialect, Rule, sum, value};

pub(crate) const DIALECT: Dialect =
    Dialect { rank_labels: &["worker_id"], is_lagging: true, ..Dialect::new("lmcache", RULES) };

const RULES: &[Rule] = &[
    value(Figure::ExternalCacheQueries, "lmcache:num_lookup_tokens"),
    value(Figure::ExternalCacheQueries, "lmcache:num_requested_tokens"),
    value(Figure::ExternalCacheHits, "lmcache:num_lookup_hits"),
    value(Figure::ExternalCacheHits, "lmcache:num_hit_tokens"),
    value(Figure::PromptTokens, "lmcache:num_prompt_tokens"),
    value(Figure::PrefixCacheHits, "lmcache:num_vllm_hit_tokens"),
    value(Figure::HostUsedBytes, "lmcache:local_cache_usage"),
    sum(Figure::OffloadLoadSeconds, "lmcache:time_to_retrieve"),
    sum(Figure::OffloadStoreSeconds, "lmcache:time_to_store"),
    value(Figure::TierReadBytes, "lmcache:num_remote_read_bytes"),
    value(Figure::TierWriteBytes, "lmcache:num_remote_write_bytes"),
];
