use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RequestRow;

/// Where the prompt tokens of a run came from, and why the others had to be computed. Of the requests whose
/// ideal is known and whose cached tokens the server reported; the parts add up to their prompts as they
/// were made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenCauses {
    /// Requests.
    pub requests: u64,
    /// Their prompts.
    pub prompt_tokens: u64,
    /// Served from the cache, as far as the run's own requests can explain it.
    pub cached_tokens: u64,
    /// Served beyond that, from what other requests left while this one waited for its first token.
    pub waited_tokens: u64,
    /// Served beyond that as well: left by somebody or something else.
    pub beyond_tokens: u64,
    /// Computed, and never sent before.
    pub new_tokens: u64,
    /// Computed because they filled no block, or were the prompt's last token.
    pub rounded_tokens: u64,
    /// Computed although sent before, by requests that an LRU cache of the device's size would have failed
    /// too: other blocks had been used in between. 0 where that size is not known.
    pub capacity_tokens: u64,
    /// Computed although sent before, for no reason that is seen from here.
    pub other_tokens: u64,
    /// Requests of `capacity_tokens`.
    pub capacity_requests: u64,
    /// For those, the median of the LRU cache that would have served all of it, in tokens: how much was
    /// used between the two uses of a block.
    pub needed_cache_p50_tokens: Option<u64>,
    /// Their largest.
    pub needed_cache_max_tokens: Option<u64>,
}

impl TokenCauses {
    /// Of `rows`; `None` where none of them has both figures.
    pub(super) fn of(rows: &[RequestRow]) -> Option<Self> {
        let mut causes = Self::default();
        let mut needed = Vec::new();
        for row in rows {
            causes.add(row, &mut needed);
        }
        needed.sort_unstable();
        causes.needed_cache_p50_tokens = needed.get(needed.len().saturating_sub(1) / 2).copied();
        causes.needed_cache_max_tokens = needed.last().copied();
        (causes.requests > 0).then_some(causes)
    }

    fn add(&mut self, row: &RequestRow, needed: &mut Vec<u64>) {
        let (Some(prompt), Some(ideal), Some(cached)) =
            (row.rendered_prompt_tokens, row.ideal_tokens, row.cached_tokens)
        else {
            return;
        };
        let (prompt, ideal) = (u64::from(prompt), u64::from(ideal));
        let cached = cached.min(prompt);
        let explained = cached.min(ideal);
        let missed = ideal - explained;
        let lost_by_lru = row.lru_tokens.map_or(0, |lru| ideal.saturating_sub(u64::from(lru)));
        let capacity = missed.min(lost_by_lru);
        let late = row.late_ideal_tokens.map_or(ideal, u64::from).max(ideal);
        let waited = cached.min(late) - explained;
        let beyond = cached - explained - waited;
        let rest = prompt - ideal.max(cached);
        let rounded = u64::from(row.rounded_tokens.unwrap_or(0)).min(rest);
        self.requests += 1;
        self.prompt_tokens += prompt;
        self.cached_tokens += explained;
        self.waited_tokens += waited;
        self.beyond_tokens += beyond;
        self.new_tokens += rest - rounded;
        self.rounded_tokens += rounded;
        self.capacity_tokens += capacity;
        self.other_tokens += missed - capacity;
        if capacity > 0 {
            self.capacity_requests += 1;
            needed.extend(row.needed_cache_tokens.map(u64::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TokenCauses;
    use crate::ledger::testing::row;

    #[test]
    fn the_parts_add_up_to_the_prompts() {
        // prompt, ideal, cached, lru, needed, rounded
        let mut rows = [
            row(1, (100, 0, 0), Some(0), None, 0),
            row(2, (200, 96, 96), Some(96), Some(96), 7),
            row(3, (300, 192, 32), Some(64), Some(640), 5),
            row(4, (400, 288, 352), Some(288), Some(320), 3),
        ];
        rows[3].late_ideal_tokens = Some(336);
        let causes = TokenCauses::of(&rows).unwrap();
        assert_eq!((causes.requests, causes.prompt_tokens), (4, 1000));
        assert_eq!(causes.cached_tokens, 96 + 32 + 288);
        assert_eq!((causes.waited_tokens, causes.beyond_tokens), (48, 16));
        assert_eq!((causes.capacity_tokens, causes.other_tokens), (128, 32));
        assert_eq!(causes.rounded_tokens, 15);
        let parts = causes.cached_tokens
            + causes.waited_tokens
            + causes.beyond_tokens
            + causes.new_tokens
            + causes.rounded_tokens
            + causes.capacity_tokens
            + causes.other_tokens;
        assert_eq!(parts, causes.prompt_tokens);
        assert_eq!((causes.capacity_requests, causes.needed_cache_p50_tokens), (1, Some(640)));
    }

    #[test]
    fn without_both_figures_there_is_nothing_to_tell() {
        let mut unreported = row(1, (100, 0, 0), None, None, 0);
        unreported.cached_tokens = None;
        assert_eq!(TokenCauses::of(&[unreported]), None);
    }
}
