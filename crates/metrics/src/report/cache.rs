use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RequestRow;

/// Prompt and cached tokens, summed over completed requests, as the server reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheTotals {
    /// Completed requests.
    pub requests: u64,
    /// Those for which the server reported both prompt and cached tokens.
    pub reporting_requests: u64,
    /// Sum of `prompt_tokens` where reported; `None`: not reported by any.
    pub prompt_tokens: Option<u64>,
    /// Sum of `cached_tokens` where reported; `None`: not reported by any.
    pub cached_tokens: Option<u64>,
    /// Cached share of the prompt tokens, 0..1, over the requests that report both.
    pub cached_ratio: Option<f64>,
}

impl CacheTotals {
    /// Sums over `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a RequestRow>) -> Self {
        let mut totals = Self::default();
        let (mut prompt_both, mut cached_both) = (0_u64, 0_u64);
        for row in rows {
            totals.requests += 1;
            add(&mut totals.prompt_tokens, row.prompt_tokens);
            add(&mut totals.cached_tokens, row.cached_tokens);
            if let (Some(prompt), Some(cached)) = (row.prompt_tokens, row.cached_tokens) {
                totals.reporting_requests += 1;
                prompt_both = prompt_both.saturating_add(prompt);
                cached_both = cached_both.saturating_add(cached);
            }
        }
        totals.cached_ratio = (prompt_both > 0).then(|| cached_both as f64 / prompt_both as f64);
        totals
    }
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}
