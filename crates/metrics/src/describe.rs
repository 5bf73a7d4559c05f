use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verdict::TAIL_SAMPLES;

/// Percentiles that every table shows.
const ALWAYS: [f64; 4] = [25.0, 50.0, 75.0, 90.0];
/// Further percentiles, each with the number of samples from which it is shown.
const FROM_SAMPLES: [(usize, f64); 3] = [(100, 99.0), (1_000, 99.9), (10_000, 99.99)];

/// The percentiles to show for `samples` samples: 25 50 75 90, 99 from 100, 99.9 from 1,000 and
/// 99.99 from 10,000 samples.
pub fn percents_for(samples: usize) -> Vec<f64> {
    let further = FROM_SAMPLES.iter().filter(|(from, _)| samples >= *from);
    ALWAYS.into_iter().chain(further.map(|&(_, percent)| percent)).collect()
}

/// Exact description of a sample, computed as numpy 2 and pandas 3 do.
///
/// Missing values count in nothing. With no value everything but the count is `None`; with one
/// the standard deviation is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Describe {
    /// Values present.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Standard deviation with n - 1.
    pub std: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Percentiles by linear interpolation at `(n - 1) * percent / 100`, ascending.
    pub percentiles: Vec<Percentile>,
    /// Largest value.
    pub max: Option<f64>,
}

/// One percentile of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentile {
    /// 0..100.
    pub percent: f64,
    /// Its value.
    pub value: Option<f64>,
}

impl Describe {
    /// Describes `values`; `None` and NaN are missing.
    pub fn of(values: &[Option<f64>], percents: &[f64]) -> Self {
        let present = |value: &Option<f64>| value.filter(|value| !value.is_nan());
        let mut sorted: Vec<f64> = values.iter().filter_map(present).collect();
        let count = sorted.len();
        // A missing value adds 0 at its place: the order of the additions, and so the last bit
        // of the sum, depends on it.
        let sum =
            pairwise_sum(&values.iter().map(|v| present(v).unwrap_or(0.0)).collect::<Vec<_>>());
        let mean = (count > 0).then(|| sum / count as f64);
        let std = mean.filter(|_| count > 1).map(|mean| {
            let square = |value: f64| (mean - value) * (mean - value);
            let squares: Vec<f64> =
                values.iter().map(|value| present(value).map_or(0.0, square)).collect();
            (pairwise_sum(&squares) / (count - 1) as f64).sqrt()
        });
        sorted.sort_unstable_by(f64::total_cmp);
        let percentile =
            |&percent: &f64| Percentile { percent, value: quantile(&sorted, fraction_of(percent)) };
        Self {
            count: count as u64,
            mean,
            std,
            min: sorted.first().copied(),
            percentiles: percents.iter().map(percentile).collect(),
            max: sorted.last().copied(),
        }
    }

    /// Describes `values`, none of them missing.
    pub fn of_all(values: &[f64], percents: &[f64]) -> Self {
        Self::of(&values.iter().copied().map(Some).collect::<Vec<_>>(), percents)
    }

    /// The value of a percentile that was asked for; `None` when it was not, or without values.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        self.percentiles.iter().find(|found| found.percent == percent)?.value
    }

    /// What the slowest took, and the percentile that says so: the 99th, or the 90th with fewer than
    /// 100 values, lest one hiccup judge a short run. `None` without values, or where that percentile
    /// was not asked for.
    pub fn tail(&self) -> Option<(f64, &'static str)> {
        let (percent, name) =
            if self.count >= TAIL_SAMPLES { (99.0, "p99") } else { (90.0, "p90") };
        Some((self.percentile(percent)?, name))
    }
}

/// The fraction that a percentage means: the double nearest to its decimal (`99.9 / 100` is one bit
/// off 0.999), for percentages with up to four decimals.
pub(crate) fn fraction_of(percent: f64) -> f64 {
    (percent * 1e4).round() / 1e6
}

/// The `fraction` quantile (0..1) of ascending values by linear interpolation at
/// `(n - 1) * fraction`; `None` without values.
///
/// The interpolation is numpy's: from the lower neighbour below the middle, from the upper one
/// from the middle on, so that both ends are exact and the result never falls as `fraction` rises.
pub fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    quantile_of(sorted.len(), fraction, |rank| sorted[rank])
}

/// [`quantile`] of `count` values that `at` gives by their rank, from 0.
pub(crate) fn quantile_of(count: usize, fraction: f64, at: impl Fn(usize) -> f64) -> Option<f64> {
    let last = count.checked_sub(1)?;
    let position = (last as f64 * fraction).clamp(0.0, last as f64);
    let below = position.floor();
    let weight = position - below;
    let low = at(below as usize);
    let high = at((below as usize + 1).min(last));
    let span = high - low;
    Some(if weight >= 0.5 { high - span * (1.0 - weight) } else { low + span * weight })
}

/// Sum by numpy's pairwise scheme: plain below 8 values, eight accumulators up to 128, halves
/// (rounded down to a multiple of 8) above. Its error grows with log n.
pub(crate) fn pairwise_sum(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    let count = values.len();
    if count < LANES {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if count > BLOCK {
        let half = count / 2 / LANES * LANES;
        return pairwise_sum(&values[..half]) + pairwise_sum(&values[half..]);
    }
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = values.split_at(count / LANES * LANES);
    for block in blocks.chunks_exact(LANES) {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    let pair = |lane: usize| lanes[lane] + lanes[lane + 1];
    let sum = (pair(0) + pair(2)) + (pair(4) + pair(6));
    rest.iter().fold(sum, |sum, value| sum + value)
}
