use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe::quantile_of;
use crate::{CacheTotals, RequestRow};

/// Prompt tokens of some requests by where they could have come from and where they did. `None` means not
/// reported or not known, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerSums {
    /// What the server reported.
    #[serde(flatten)]
    pub reported: CacheTotals,
    /// Cached tokens by tier, where the server's answers tell.
    pub cached_by_tier: TierTokens,
    /// Requests whose prompts could be made anew.
    pub known_requests: u64,
    /// Tokens of those prompts.
    pub rendered_tokens: Option<u64>,
    /// What an endless cache would have served of them.
    pub ideal_tokens: Option<u64>,
    /// The same from the conversations' own earlier requests.
    pub own_history_tokens: Option<u64>,
    /// What an LRU cache of the device's size would have served.
    pub lru_tokens: Option<u64>,
    /// `cached_tokens` / `ideal_tokens`, over the requests for which both are known.
    pub efficiency: Option<f64>,
    /// Tokens short of the ideal, added up over the requests that were, where both are known.
    pub missed_tokens: Option<u64>,
    /// Tokens beyond the ideal, the same way.
    pub beyond_tokens: Option<u64>,
    /// Median TTFT as measured, in ms; `None` where answers were not streamed.
    pub ttft_p50_ms: Option<f64>,
    /// Its 90th percentile.
    pub ttft_p90_ms: Option<f64>,
    /// Its 99th percentile.
    pub ttft_p99_ms: Option<f64>,
}

/// Cached tokens by tier, as answers report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierTokens {
    /// In the device's own memory.
    pub device: Option<u64>,
    /// In the host's memory.
    pub host: Option<u64>,
    /// In the storage behind it.
    pub storage: Option<u64>,
}

impl LedgerSums {
    /// Of `rows`.
    pub(super) fn of(rows: &[&RequestRow]) -> Self {
        let sum = |value: fn(&RequestRow) -> Option<u32>| {
            let values = rows.iter().filter_map(|row| value(row).map(u64::from));
            values.fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0) + one))
        };
        let mut ttft: Vec<f64> = rows.iter().filter_map(|row| row.ttft_raw_ms).collect();
        ttft.sort_unstable_by(f64::total_cmp);
        let at = |fraction| quantile_of(ttft.len(), fraction, |rank| ttft[rank]);
        let gap = Gap::of(rows);
        Self {
            reported: CacheTotals::of(rows.iter().copied()),
            cached_by_tier: TierTokens {
                device: sum(|row| row.cached_device_tokens),
                host: sum(|row| row.cached_host_tokens),
                storage: sum(|row| row.cached_storage_tokens),
            },
            known_requests: rows.iter().filter(|row| row.ideal_tokens.is_some()).count() as u64,
            rendered_tokens: sum(|row| row.rendered_prompt_tokens),
            ideal_tokens: sum(|row| row.ideal_tokens),
            own_history_tokens: sum(|row| row.own_history_tokens),
            lru_tokens: sum(|row| row.lru_tokens),
            efficiency: gap.and_then(Gap::efficiency),
            missed_tokens: gap.map(|gap| gap.missed),
            beyond_tokens: gap.map(|gap| gap.beyond),
            ttft_p50_ms: at(0.5),
            ttft_p90_ms: at(0.9),
            ttft_p99_ms: at(0.99),
        }
    }

    /// Prompt tokens as the server counted them, or as they were made anew where it told none.
    pub fn prompt_tokens(&self) -> Option<u64> {
        self.reported.prompt_tokens.or(self.rendered_tokens)
    }
}

/// Ideal and reported side by side.
#[derive(Clone, Copy, Default)]
struct Gap {
    ideal: u64,
    cached: u64,
    missed: u64,
    beyond: u64,
}

impl Gap {
    /// `None` where no row has both.
    fn of(rows: &[&RequestRow]) -> Option<Self> {
        let both = rows.iter().filter_map(|row| Some((row.ideal_tokens?, row.cached_tokens?)));
        both.fold(None, |gap: Option<Self>, (ideal, cached)| {
            let (ideal, gap) = (u64::from(ideal), gap.unwrap_or_default());
            Some(Self {
                ideal: gap.ideal + ideal,
                cached: gap.cached + cached,
                missed: gap.missed + ideal.saturating_sub(cached),
                beyond: gap.beyond + cached.saturating_sub(ideal),
            })
        })
    }

    fn efficiency(self) -> Option<f64> {
        (self.ideal > 0).then(|| self.cached as f64 / self.ideal as f64)
    }
}
