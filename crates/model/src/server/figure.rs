use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What servers report under names of their own, under one name.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // `FIGURES` says what each is.
pub enum Figure {
    PrefixCacheQueries,
    PrefixCacheHits,
    ExternalCacheQueries,
    ExternalCacheHits,
    PromptTokens,
    PromptTokensComputed,
    PromptTokensLocalCache,
    PromptTokensExternal,
    CachedTokens,
    CachedTokensDevice,
    CachedTokensHost,
    CachedTokensDisk,
    CachedTokensPeer,
    CachedTokensUnspecified,
    GenerationTokens,
    KvUsage,
    HostKvUsage,
    KvCapacityTokens,
    KvCapacityBlocks,
    KvBlockSize,
    HostCapacityTokens,
    HostCapacityBlocks,
    HostUsedTokens,
    HostUsedBytes,
    RequestsRunning,
    RequestsWaiting,
    Preemptions,
    RequestsFinished,
    OffloadLoadBytes,
    OffloadLoadSeconds,
    OffloadStoreBytes,
    OffloadStoreSeconds,
    TierReadBytes,
    TierReadSeconds,
    TierWriteBytes,
    TierWriteSeconds,
    OffloadChunkQueries,
    OffloadChunkHits,
    OffloadRefusedStores,
    TierChunkQueries,
    TierChunkHits,
    TierReadFailures,
    TierWriteFailures,
    TransferBytes,
    TransferSeconds,
    TransferFailures,
    QueueSeconds,
    PrefillSeconds,
    DecodeSeconds,
    TtftSeconds,
}

/// How a figure behaves in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureKind {
    /// Only grows, until the server is started anew; its growth over the run is what counts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A sum, a count and cumulative buckets, each a counter; its values are the sum's.
    Histogram,
}

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureUnit {
    /// Tokens.
    Tokens,
    /// Blocks of the KV cache.
    Blocks,
    /// As many blocks as a connector moves as one.
    Chunks,
    /// Tokens in a block.
    TokensPerBlock,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Requests.
    Requests,
    /// How often something happened.
    Times,
    /// 0 to 1.
    Ratio,
}

/// How the values of several engines, workers or servers become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Combination {
    /// They are added up.
    Sum,
    /// The largest one counts.
    Max,
}

/// A line of the table of figures.
#[derive(Clone, Copy, Debug)]
pub struct FigureDefinition {
    /// The figure.
    pub figure: Figure,
    /// Its name in JSON.
    pub id: &'static str,
    /// How it behaves in time.
    pub kind: FigureKind,
    /// Unit of its values.
    pub unit: FigureUnit,
    /// How several engines' values become one.
    pub combination: Combination,
    /// What it says.
    pub what: &'static str,
}

const fn counter(
    figure: Figure,
    id: &'static str,
    unit: FigureUnit,
    what: &'static str,
) -> FigureDefinition {
    let kind = FigureKind::Counter;
    FigureDefinition { figure, id, kind, unit, combination: Combination::Sum, what }
}

const fn gauge(
    figure: Figure,
    id: &'static str,
    unit: FigureUnit,
    combination: Combination,
    what: &'static str,
) -> FigureDefinition {
    FigureDefinition { figure, id, kind: FigureKind::Gauge, unit, combination, what }
}

const fn histogram(figure: Figure, id: &'static str, what: &'static str) -> FigureDefinition {
    let (kind, unit) = (FigureKind::Histogram, FigureUnit::Seconds);
    FigureDefinition { figure, id, kind, unit, combination: Combination::Sum, what }
}

use Combination::{Max, Sum};
use FigureUnit::{Blocks, Bytes, Chunks, Ratio, Requests, Seconds, Times, Tokens, TokensPerBlock};

/// Every figure, in the order of [`Figure`].
#[rustfmt::skip]
pub const FIGURES: &[FigureDefinition] = &[
    counter(Figure::PrefixCacheQueries, "prefix_cache_queries", Tokens, "prompt tokens looked up in the device's prefix cache"),
    counter(Figure::PrefixCacheHits, "prefix_cache_hits", Tokens, "those of them that were there"),
    counter(Figure::ExternalCacheQueries, "external_cache_queries", Tokens, "prompt tokens looked up behind the device: in a KV connector, LMCache"),
    counter(Figure::ExternalCacheHits, "external_cache_hits", Tokens, "those of them that were there"),
    counter(Figure::PromptTokens, "prompt_tokens", Tokens, "prompt tokens of requests taken up"),
    counter(Figure::PromptTokensComputed, "prompt_tokens_computed", Tokens, "prompt tokens whose KV was computed"),
    counter(Figure::PromptTokensLocalCache, "prompt_tokens_local_cache", Tokens, "prompt tokens from the device's own prefix cache"),
    counter(Figure::PromptTokensExternal, "prompt_tokens_external", Tokens, "prompt tokens whose KV was brought in from elsewhere"),
    counter(Figure::CachedTokens, "cached_tokens", Tokens, "prompt tokens that did not have to be computed, from all tiers"),
    counter(Figure::CachedTokensDevice, "cached_tokens_device", Tokens, "those from the device's own memory"),
    counter(Figure::CachedTokensHost, "cached_tokens_host", Tokens, "those from the host's memory"),
    counter(Figure::CachedTokensDisk, "cached_tokens_disk", Tokens, "those from disk or other storage"),
    counter(Figure::CachedTokensPeer, "cached_tokens_peer", Tokens, "those from another instance"),
    counter(Figure::CachedTokensUnspecified, "cached_tokens_unspecified", Tokens, "those of which the server does not say where they were"),
    counter(Figure::GenerationTokens, "generation_tokens", Tokens, "tokens generated"),
    gauge(Figure::KvUsage, "kv_usage", Ratio, Max, "used part of the device's KV cache; of several engines the fullest"),
    gauge(Figure::HostKvUsage, "host_kv_usage", Ratio, Max, "used part of the host's KV cache; of several engines the fullest"),
    gauge(Figure::KvCapacityTokens, "kv_capacity_tokens", Tokens, Sum, "tokens that the device's KV cache holds"),
    gauge(Figure::KvCapacityBlocks, "kv_capacity_blocks", Blocks, Sum, "blocks of the device's KV cache (vLLM's count has one that is never used)"),
    gauge(Figure::KvBlockSize, "kv_block_size", TokensPerBlock, Max, "tokens in a block"),
    gauge(Figure::HostCapacityTokens, "host_capacity_tokens", Tokens, Sum, "tokens that the host's KV cache holds"),
    gauge(Figure::HostCapacityBlocks, "host_capacity_blocks", Blocks, Sum, "blocks of the host's KV cache"),
    gauge(Figure::HostUsedTokens, "host_used_tokens", Tokens, Sum, "tokens in the host's KV cache"),
    gauge(Figure::HostUsedBytes, "host_used_bytes", Bytes, Sum, "bytes in the host's KV cache"),
    gauge(Figure::RequestsRunning, "requests_running", Requests, Sum, "requests being worked on"),
    gauge(Figure::RequestsWaiting, "requests_waiting", Requests, Sum, "requests in the queue"),
    counter(Figure::Preemptions, "preemptions", Times, "running requests put back for want of KV cache (SGLang: retracted)"),
    counter(Figure::RequestsFinished, "requests_finished", Requests, "requests that ended, with success where the server tells"),
    counter(Figure::OffloadLoadBytes, "offload_load_bytes", Bytes, "KV brought back to the device"),
    counter(Figure::OffloadLoadSeconds, "offload_load_seconds", Seconds, "time that took, added up over transfers"),
    counter(Figure::OffloadStoreBytes, "offload_store_bytes", Bytes, "KV written from the device to the tier behind it"),
    counter(Figure::OffloadStoreSeconds, "offload_store_seconds", Seconds, "time that took, added up over transfers"),
    counter(Figure::TierReadBytes, "tier_read_bytes", Bytes, "KV read from the tiers behind host memory (disk, remote)"),
    counter(Figure::TierReadSeconds, "tier_read_seconds", Seconds, "time that took, added up over transfers"),
    counter(Figure::TierWriteBytes, "tier_write_bytes", Bytes, "KV written to the tiers behind host memory"),
    counter(Figure::TierWriteSeconds, "tier_write_seconds", Seconds, "time that took, added up over transfers"),
    counter(Figure::OffloadChunkQueries, "offload_chunk_queries", Chunks, "chunks of KV looked up in the first tier behind the device"),
    counter(Figure::OffloadChunkHits, "offload_chunk_hits", Chunks, "those of them that were there"),
    counter(Figure::OffloadRefusedStores, "offload_refused_stores", Times, "stores for which the first tier made no room"),
    counter(Figure::TierChunkQueries, "tier_chunk_queries", Chunks, "chunks of KV looked up in the tiers behind the first"),
    counter(Figure::TierChunkHits, "tier_chunk_hits", Chunks, "those of them that were there"),
    counter(Figure::TierReadFailures, "tier_read_failures", Times, "reads from the tiers behind the first that failed"),
    counter(Figure::TierWriteFailures, "tier_write_failures", Times, "writes to the tiers behind the first that failed"),
    counter(Figure::TransferBytes, "transfer_bytes", Bytes, "KV that engines handed to one another"),
    counter(Figure::TransferSeconds, "transfer_seconds", Seconds, "time that took, added up over transfers"),
    counter(Figure::TransferFailures, "transfer_failures", Times, "those transfers that failed"),
    histogram(Figure::QueueSeconds, "queue_seconds", "time of requests in the queue"),
    histogram(Figure::PrefillSeconds, "prefill_seconds", "time of requests from being taken up to the first token"),
    histogram(Figure::DecodeSeconds, "decode_seconds", "time of requests from the first token to the last"),
    histogram(Figure::TtftSeconds, "ttft_seconds", "time to first token, as the server measures it"),
];

impl Figure {
    /// Its line in the table.
    pub const fn definition(self) -> &'static FigureDefinition {
        &FIGURES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::FIGURES;

    #[test]
    fn every_figure_has_its_own_line_and_its_json_name() {
        for definition in FIGURES {
            assert_eq!(definition.figure.definition().id, definition.id);
            let name = serde_json::to_value(definition.figure).unwrap();
            assert_eq!(name, definition.id);
        }
    }
}
