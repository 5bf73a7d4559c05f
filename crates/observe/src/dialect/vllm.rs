//! vLLM (names of 0.32.0, with its KV offloading, tiering and NIXL connectors, and older ones). Not read:
//! `kv_offload_cpu_cache_usage_perc`, which is the part of the host's blocks that are being moved, 0 at
//! rest however full the host is.

use turnbench_model::Figure;

use super::{Dialect, Part, Rule, Values, histogram, in_label, labelled, sum, value};

pub(crate) const DIALECT: Dialect = Dialect::new("vllm", RULES);

const RULES: &[Rule] = &[
    value(Figure::PrefixCacheQueries, "vllm:prefix_cache_queries"),
    value(Figure::PrefixCacheQueries, "vllm:gpu_prefix_cache_queries"),
    value(Figure::PrefixCacheHits, "vllm:prefix_cache_hits"),
    value(Figure::PrefixCacheHits, "vllm:gpu_prefix_cache_hits"),
    value(Figure::ExternalCacheQueries, "vllm:external_prefix_cache_queries"),
    value(Figure::ExternalCacheQueries, "vllm:connector_prefix_cache_queries"),
    value(Figure::ExternalCacheHits, "vllm:external_prefix_cache_hits"),
    value(Figure::ExternalCacheHits, "vllm:connector_prefix_cache_hits"),
    value(Figure::PromptTokens, "vllm:prompt_tokens"),
    by_source(Figure::PromptTokensComputed, &["local_compute"]),
    by_source(Figure::PromptTokensLocalCache, &["local_cache_hit"]),
    by_source(Figure::PromptTokensExternal, &["external_kv_transfer"]),
    value(Figure::CachedTokens, "vllm:prompt_tokens_cached"),
    cached_by_source(Figure::CachedTokensDevice, &["device"]),
    cached_by_source(Figure::CachedTokensHost, &["host"]),
    cached_by_source(Figure::CachedTokensDisk, &["disk"]),
    cached_by_source(Figure::CachedTokensPeer, &["p2p"]),
    cached_by_source(Figure::CachedTokensUnspecified, &["external_unspecified"]),
    value(Figure::GenerationTokens, "vllm:generation_tokens"),
    value(Figure::KvUsage, "vllm:kv_cache_usage_perc"),
    value(Figure::KvUsage, "vllm:gpu_cache_usage_perc"),
    value(Figure::HostKvUsage, "vllm:cpu_cache_usage_perc"),
    in_label(Figure::KvCapacityTokens, "vllm:cache_config_info", "kv_cache_size_tokens"),
    in_label(Figure::KvCapacityBlocks, "vllm:cache_config_info", "num_gpu_blocks"),
    in_label(Figure::KvBlockSize, "vllm:cache_config_info", "block_size"),
    in_label(Figure::HostCapacityBlocks, "vllm:simple_kv_offload_info", "capacity_blocks"),
    value(Figure::RequestsRunning, "vllm:num_requests_running"),
    value(Figure::RequestsWaiting, "vllm:num_requests_waiting"),
    value(Figure::Preemptions, "vllm:num_preemptions"),
    value(Figure::RequestsFinished, "vllm:request_success"),
    value(Figure::OffloadLoadBytes, "vllm:kv_offload_load_bytes"),
    to_device(Figure::OffloadLoadBytes, "vllm:kv_offload_total_bytes"),
    value(Figure::OffloadLoadSeconds, "vllm:kv_offload_load_time"),
    to_device(Figure::OffloadLoadSeconds, "vllm:kv_offload_total_time"),
    value(Figure::OffloadStoreBytes, "vllm:kv_offload_store_bytes"),
    from_device(Figure::OffloadStoreBytes, "vllm:kv_offload_total_bytes"),
    value(Figure::OffloadStoreSeconds, "vllm:kv_offload_store_time"),
    from_device(Figure::OffloadStoreSeconds, "vllm:kv_offload_total_time"),
    value(Figure::TierReadBytes, "vllm:kv_offload_tiering_read_bytes"),
    value(Figure::TierReadSeconds, "vllm:kv_offload_tiering_read_time"),
    value(Figure::TierWriteBytes, "vllm:kv_offload_tiering_write_bytes"),
    value(Figure::TierWriteSeconds, "vllm:kv_offload_tiering_write_time"),
    first_tier(Figure::OffloadChunkQueries, "vllm:kv_offload_tiering_chunk_queries"),
    first_tier(Figure::OffloadChunkHits, "vllm:kv_offload_tiering_chunk_hits"),
    value(Figure::OffloadRefusedStores, "vllm:kv_offload_allocation_failure"),
    later_tiers(Figure::TierChunkQueries, "vllm:kv_offload_tiering_chunk_queries"),
    later_tiers(Figure::TierChunkHits, "vllm:kv_offload_tiering_chunk_hits"),
    value(Figure::TierReadFailures, "vllm:kv_offload_tiering_promotion_job_failures"),
    value(Figure::TierWriteFailures, "vllm:kv_offload_tiering_cascade_job_failures"),
    sum(Figure::TransferBytes, "vllm:nixl_bytes_transferred"),
    sum(Figure::TransferSeconds, "vllm:nixl_xfer_time_seconds"),
    value(Figure::TransferFailures, "vllm:nixl_num_failed_transfers"),
    histogram(Figure::QueueSeconds, "vllm:request_queue_time_seconds"),
    histogram(Figure::PrefillSeconds, "vllm:request_prefill_time_seconds"),
    histogram(Figure::DecodeSeconds, "vllm:request_decode_time_seconds"),
    histogram(Figure::TtftSeconds, "vllm:time_to_first_token_seconds"),
];

const fn by_source(figure: Figure, sources: &'static [&'static str]) -> Rule {
    labelled(figure, "vllm:prompt_tokens_by_source", "source", sources)
}

const fn cached_by_source(figure: Figure, sources: &'static [&'static str]) -> Rule {
    labelled(figure, "vllm:prompt_tokens_cached_by_source", "source", sources)
}

/// The deprecated counters of both directions.
const fn to_device(figure: Figure, name: &'static str) -> Rule {
    labelled(figure, name, "transfer_type", &["CPU_to_GPU"])
}

const fn from_device(figure: Figure, name: &'static str) -> Rule {
    labelled(figure, name, "transfer_type", &["GPU_to_CPU"])
}

/// A tier's label is its place and its kind: `0:primary`, `1:fs`.
const fn first_tier(figure: Figure, name: &'static str) -> Rule {
    Rule { figure, name, only: Some(("tier", Values::StartingWith("0:"))), part: Part::Value }
}

const fn later_tiers(figure: Figure, name: &'static str) -> Rule {
    Rule { figure, name, only: Some(("tier", Values::NotStartingWith("0:"))), part: Part::Value }
}
