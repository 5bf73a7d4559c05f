//! Rows for tests.

use turnbench_model::Phase;

use crate::RequestRow;

/// A request with the numbers that a ledger is made of: its turn; prompt, ideal and cached tokens; and those
/// of an LRU cache.
pub(super) fn row(
    turn: u32,
    (prompt, ideal, cached): (u32, u32, u32),
    lru: Option<u32>,
    needed: Option<u32>,
    rounded: u32,
) -> RequestRow {
    RequestRow {
        turn,
        prompt_tokens: Some(u64::from(prompt)),
        cached_tokens: Some(u64::from(cached)),
        rendered_prompt_tokens: Some(prompt),
        ideal_tokens: Some(ideal),
        late_ideal_tokens: Some(ideal),
        own_history_tokens: Some(ideal),
        lru_tokens: lru,
        needed_cache_tokens: needed,
        rounded_tokens: Some(rounded),
        ..empty()
    }
}

fn empty() -> RequestRow {
    RequestRow {
        ttft_ms: None,
        tpot_ms: None,
        latency_ms: 1.0,
        start_time_ms: 0.0,
        input_num_turns: 1,
        input_num_tokens: None,
        output_num_tokens: None,
        output_num_chunks: 0,
        output_num_first_chunk_tokens: None,
        approx_cached_percent: None,
        conversation_id: "c".into(),
        client_id: 0,
        turn: 1,
        attempt: 1,
        phase: Phase::Main,
        ttft_raw_ms: Some(10.0),
        ttft_corrected: false,
        ttft_intended_ms: None,
        send_lateness_ms: 0.0,
        first_event_ms: None,
        last_token_ms: None,
        connect_ms: None,
        itl_mean_ms: None,
        itl_p50_ms: None,
        itl_p99_ms: None,
        itl_max_ms: None,
        prompt_tokens: None,
        completion_tokens: None,
        cached_tokens: None,
        reasoning_tokens: None,
        input_tokens_source: None,
        output_tokens_source: None,
        first_token_delay_ms: None,
        client_delay_max_ms: None,
        server_ttft_ms: None,
        server_gap_ms: None,
        stamp_source: None,
        finish_reason: None,
        request_bytes: 0,
        cached_device_tokens: None,
        cached_host_tokens: None,
        cached_storage_tokens: None,
        rendered_prompt_tokens: None,
        ideal_tokens: None,
        late_ideal_tokens: None,
        own_history_tokens: None,
        lru_tokens: None,
        needed_cache_tokens: None,
        rounded_tokens: None,
    }
}
