use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CacheTotals;
use crate::{Describe, RequestRow, percents_for};

/// The completed requests of one turn, or of a range of turns, of all conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TurnSummary {
    /// First turn within the conversation, from 1.
    pub turn: u32,
    /// Last turn; equal to `turn` for a single turn.
    pub turn_last: u32,
    /// Completed requests.
    pub requests: u64,
    /// TTFT as measured, without the reference's correction.
    pub ttft_raw_ms: Describe,
    /// Latency.
    pub latency_ms: Describe,
    /// Input tokens.
    pub input_num_tokens: Describe,
    /// What the server reported about its cache.
    pub cache: CacheTotals,
}

impl TurnSummary {
    /// One summary for each turn that has a completed request, ascending.
    pub fn of_all(rows: &[RequestRow]) -> Vec<Self> {
        let mut by_turn: BTreeMap<u32, Vec<&RequestRow>> = BTreeMap::new();
        for row in rows {
            by_turn.entry(row.turn).or_default().push(row);
        }
        by_turn.into_values().filter_map(|rows| Self::of(&rows)).collect()
    }

    /// All turns after the first taken together; `None` without such a request.
    pub fn of_later(rows: &[RequestRow]) -> Option<Self> {
        Self::of(&rows.iter().filter(|row| row.turn > 1).collect::<Vec<_>>())
    }

    fn of(rows: &[&RequestRow]) -> Option<Self> {
        let percents = percents_for(rows.len());
        let describe = |value: fn(&RequestRow) -> Option<f64>| {
            Describe::of(&rows.iter().map(|row| value(row)).collect::<Vec<_>>(), &percents)
        };
        Some(Self {
            turn: rows.iter().map(|row| row.turn).min()?,
            turn_last: rows.iter().map(|row| row.turn).max()?,
            requests: rows.len() as u64,
            ttft_raw_ms: describe(|row| row.ttft_raw_ms),
            latency_ms: describe(|row| Some(row.latency_ms)),
            input_num_tokens: describe(|row| row.input_num_tokens.map(|count| count as f64)),
            cache: CacheTotals::of(rows.iter().copied()),
        })
    }
}
