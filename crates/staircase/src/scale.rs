use turnbench_metrics::Estimate;

use crate::line::{Line, median};
use crate::visit::{Purpose, Visit};

/// Least noise that is believed, in ms: a time to first token crosses two machines.
const NOISE_MS_MIN: f64 = 0.02;
/// From this share on cached tokens count as reported: of a new prompt the head of the chat template is
/// cached, too.
const REPORTED_SHARE: f64 = 0.05;
/// A time within this factor of computing anew is taken for it where nothing is reported.
const LIKE_COLD_FACTOR: f64 = 1.12;

/// What prompts cost that the device still has, and prompts that nobody has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Time to first token in ms of a prompt sent again at once, by its tokens.
    pub(crate) hit: Line,
    /// The same of a new prompt.
    pub(crate) cold: Line,
    /// Standard deviation of a time to first token on the device, from the median deviation, in ms.
    pub(crate) noise_ms: f64,
    /// What of a prompt is not a whole block is computed even if all else is found; and so the times of
    /// prompts of the same level differ by up to this, in ms.
    pub(crate) block_ms: f64,
    /// Tokens of a prompt on the device that are computed all the same: the median; `None` where nothing is
    /// reported.
    rest_tokens: Option<f64>,
    /// Tokens of a block.
    pub(crate) block_tokens: f64,
    /// Length of prompts that others are compared to, in tokens.
    pub(crate) tokens: f64,
    /// Share of a prompt that is reported as cached right after it was sent; `None` where nothing is.
    pub(crate) full_share: Option<f64>,
}

impl Scale {
    /// From everything sent so far, of which those that `is_hit` tells were on the device; `None` before a
    /// prompt was sent twice.
    pub(crate) fn of(
        visits: &[Visit],
        is_hit: impl Fn(&Visit) -> bool,
        tokens: f64,
        block_tokens: f64,
    ) -> Option<Self> {
        let repeats = visits.iter().filter(|visit| is_hit(visit));
        let fresh = visits.iter().filter(|visit| visit.purpose == Purpose::Fresh);
        let point = |visit: &Visit| (visit.tokens(), visit.ttft_ms());
        let again: Vec<_> = repeats.clone().map(point).collect();
        let fresh: Vec<_> = fresh.map(point).collect();
        let (hit, cold) = (line_or_level(&again)?, line_or_level(&fresh)?);
        let off = again.iter().map(|(x, y)| (y - hit.at(*x)).abs()).collect();
        let noise_ms = (1.4826 * median(off)?).max(NOISE_MS_MIN);
        let full_share = median(repeats.clone().filter_map(Visit::cached_share).collect());
        let full_share = full_share.filter(|share| *share > REPORTED_SHARE);
        let block_ms = block_tokens * cold.slope.value.max(0.0);
        let rests = repeats.filter_map(Visit::computed_tokens).collect();
        let rest_tokens = median(rests).filter(|_| full_share.is_some());
        Some(Self { hit, cold, noise_ms, block_ms, rest_tokens, block_tokens, tokens, full_share })
    }

    /// What a visit's time is beyond that of a prompt on the device, in ms. What was computed of a prompt
    /// that was found is taken off, where that is reported.
    pub(crate) fn excess_ms(&self, visit: &Visit) -> f64 {
        let rest = visit.computed_tokens().filter(|rest| *rest <= 2.0 * self.block_tokens);
        let rest = rest.zip(self.rest_tokens).map_or(0.0, |(rest, usual)| rest - usual);
        visit.ttft_ms() - self.hit.at(visit.tokens()) - rest * self.cold.slope.value
    }

    /// What a visit's time would be for a prompt of the length compared to, if each token beyond a prompt
    /// on the device cost the same. In ms.
    pub(crate) fn alike_ms(&self, visit: &Visit) -> f64 {
        let excess = self.excess_ms(visit) / visit.tokens().max(1.0);
        (self.hit_ms() + excess * self.tokens).max(0.0)
    }

    /// Of a prompt on the device.
    pub(crate) fn hit_ms(&self) -> f64 {
        self.hit.at(self.tokens)
    }

    /// Of a new prompt.
    pub(crate) fn cold_ms(&self) -> f64 {
        self.cold.at(self.tokens)
    }

    /// Whether a time as of [`Self::alike_ms`] is that of a new prompt.
    pub(crate) fn is_like_cold(&self, alike_ms: f64) -> bool {
        let factor = alike_ms / self.cold_ms().max(f64::MIN_POSITIVE);
        (1.0 / LIKE_COLD_FACTOR..=LIKE_COLD_FACTOR).contains(&factor)
    }

    /// How much of a prompt's cacheable part was reported as cached, about 0 to 1.
    pub(crate) fn found_share(&self, visit: &Visit) -> Option<f64> {
        Some((visit.cached_share()? / self.full_share?).min(1.0))
    }
}

/// A line, or a level where all lengths are the same.
fn line_or_level(points: &[(f64, f64)]) -> Option<Line> {
    Line::through(points).or_else(|| {
        let intercept = median(points.iter().map(|(_, y)| *y).collect())?;
        Some(Line { intercept, slope: Estimate { value: 0.0, low: 0.0, high: 0.0 } })
    })
}
