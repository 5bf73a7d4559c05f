//! Rows for tests.

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
        conversation_id: "c".into(),
        ttft_raw_ms: Some(10.0),
        ..RequestRow::default()
    }
}
