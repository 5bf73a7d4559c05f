//! Dynamo's frontend and workers (names of 1.6.1). A worker's page has its engine's names as well. The
//! frontend's `model_total_kv_blocks` is of one worker, however many there are, so it is not read.

use turnbench_model::Figure;

use super::{Dialect, Rule, histogram, labelled, sum, value};

pub(crate) const DIALECT: Dialect = Dialect::new("dynamo", RULES);

const RULES: &[Rule] = &[
    sum(Figure::PromptTokens, "dynamo_frontend_input_sequence_tokens"),
    sum(Figure::CachedTokens, "dynamo_frontend_cached_tokens"),
    value(Figure::GenerationTokens, "dynamo_frontend_output_tokens"),
    value(Figure::KvUsage, "dynamo_component_gpu_cache_usage_percent"),
    value(Figure::KvUsage, "dynamo_component_kvstats_gpu_cache_usage_percent"),
    value(Figure::KvBlockSize, "dynamo_frontend_model_kv_cache_block_size"),
    value(Figure::RequestsRunning, "dynamo_frontend_inflight_requests"),
    value(Figure::RequestsWaiting, "dynamo_frontend_queued_requests"),
    labelled(Figure::RequestsFinished, "dynamo_frontend_requests", "status", &["success"]),
    histogram(Figure::TtftSeconds, "dynamo_frontend_time_to_first_token_seconds"),
];
