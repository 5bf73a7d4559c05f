use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Describe, percents_for, quantile};

/// Most bins of a histogram.
const BINS_MAX: usize = 10;

/// A sample that reaches this many times further than its median gets bins that grow.
const SKEW: f64 = 8.0;

/// A sample, described and counted in bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Its description.
    pub describe: Describe,
    /// Sum of the values.
    pub total: f64,
    /// Counts of values in adjacent bins from the smallest to the largest; at most ten, with round
    /// edges: equally wide, or growing (1, 2, 5, 10, …) where a few values are far from most.
    pub histogram: Vec<HistogramBin>,
}

/// One bin of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistogramBin {
    /// Smallest value that belongs to it.
    pub from: f64,
    /// Where the next one begins.
    pub below: f64,
    /// Values in it.
    pub count: u64,
}

impl Distribution {
    /// Of values that are finite and not negative.
    pub fn of(mut values: Vec<f64>) -> Self {
        let describe = Describe::of_all(&values, &percents_for(values.len()));
        values.sort_unstable_by(f64::total_cmp);
        Self { describe, total: values.iter().sum(), histogram: histogram(&values) }
    }

    /// Of counts.
    pub fn of_counts(counts: &[u32]) -> Self {
        Self::of(counts.iter().map(|&count| count.into()).collect())
    }
}

/// Bins of ascending values.
fn histogram(sorted: &[f64]) -> Vec<HistogramBin> {
    let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let whole = sorted.iter().all(|value| value.fract() == 0.0);
    let unit = if whole { 1.0 } else { 0.0 };
    let median = quantile(sorted, 0.5).unwrap_or(max);
    let edges = if max > SKEW * median.max(unit) {
        growing_edges(min, max, median, unit)
    } else {
        equal_edges(min, max, unit)
    };
    let mut at = 0;
    let bin = |pair: &[f64]| {
        let end = at + sorted[at..].partition_point(|&value| value < pair[1]);
        let count = (end - at) as u64;
        at = end;
        HistogramBin { from: pair[0], below: pair[1], count }
    };
    edges.windows(2).map(bin).collect()
}

/// Edges a round step apart.
fn equal_edges(min: f64, max: f64, unit: f64) -> Vec<f64> {
    let mut step = round_step((max - min) / BINS_MAX as f64).max(unit);
    loop {
        let first = (min / step).floor();
        let bins = (max / step).floor() - first + 1.0;
        if bins <= BINS_MAX as f64 {
            // Division by a whole number gives the double nearest to 0.3, multiplication not.
            let parts = (1.0 / step).round();
            let edge = |at: f64| if step < 1.0 { at / parts } else { at * step };
            return (0..=bins as u64).map(|at| edge(first + at as f64)).collect();
        }
        step = round_step(step * 1.01);
    }
}

/// Edges of the series 1, 2, 5, 10, …, of the powers of ten, or of every second one of these,
/// whichever has room; what is below the first is one bin from 0.
fn growing_edges(min: f64, max: f64, median: f64, unit: f64) -> Vec<f64> {
    // Below a hundredth of the median nothing is told apart.
    let mut step = floor_step(min.max(median / 100.0).max(unit).max(max / 1e12));
    let mut edges = if min < step { vec![0.0] } else { Vec::new() };
    let mut steps = vec![step];
    while step <= max {
        step = round_step(step * 1.01);
        steps.push(step);
    }
    let room = BINS_MAX - edges.len();
    let stride =
        [1, 3, 6, 12].into_iter().find(|stride| (steps.len() - 1).div_ceil(*stride) <= room);
    let stride = stride.unwrap_or(steps.len());
    edges.extend(steps.iter().step_by(stride));
    if edges.last().is_none_or(|&last| last <= max) {
        edges.extend(steps.last());
    }
    edges
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `width`; 1 for 0.
fn round_step(width: f64) -> f64 {
    if width <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(width.log10().floor());
    // A hair of tolerance: 5.000000000000001 is 5.
    let factor =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= width * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// The largest of 1, 2, 5 times a power of ten that is not above `value`, which is positive.
fn floor_step(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [5.0, 2.0].into_iter().find(|factor| factor * power <= value * 1.000_001);
    factor.unwrap_or(1.0) * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Distribution;

    fn check(values: &[f64], expect: &[(f64, f64, u64)]) {
        let histogram = Distribution::of(values.to_vec()).histogram;
        let found: Vec<_> = histogram.iter().map(|bin| (bin.from, bin.below, bin.count)).collect();
        assert_eq!(found, expect, "{values:?}");
    }

    #[test]
    fn bins_have_round_edges() {
        check(&[], &[]);
        check(&[3.0], &[(3.0, 4.0, 1)]);
        check(&[0.0, 0.0], &[(0.0, 1.0, 2)]);
        check(&[1.0, 2.0, 2.0, 4.0], &[(1.0, 2.0, 1), (2.0, 3.0, 2), (3.0, 4.0, 0), (4.0, 5.0, 1)]);
        check(
            &[120.0, 180.0, 240.0, 399.0].map(|one| one * 2.0),
            &[
                (200.0, 300.0, 1),
                (300.0, 400.0, 1),
                (400.0, 500.0, 1),
                (500.0, 600.0, 0),
                (600.0, 700.0, 0),
                (700.0, 800.0, 1),
            ],
        );
        check(
            &[0.25, 0.5],
            &[
                (0.25, 0.3, 1),
                (0.3, 0.35, 0),
                (0.35, 0.4, 0),
                (0.4, 0.45, 0),
                (0.45, 0.5, 0),
                (0.5, 0.55, 1),
            ],
        );
    }

    #[test]
    fn far_values_make_bins_grow() {
        check(
            &[1.0, 1.0, 2.0, 30.0],
            &[(1.0, 2.0, 2), (2.0, 5.0, 1), (5.0, 10.0, 0), (10.0, 20.0, 0), (20.0, 50.0, 1)],
        );
        check(
            &[0.0, 1.0, 1_000_000.0],
            &[
                (0.0, 1.0, 1),
                (1.0, 10.0, 1),
                (10.0, 100.0, 0),
                (100.0, 1e3, 0),
                (1e3, 1e4, 0),
                (1e4, 1e5, 0),
                (1e5, 1e6, 0),
                (1e6, 2e6, 1),
            ],
        );
    }

    proptest! {
        #[test]
        fn every_value_is_in_one_bin(values in proptest::collection::vec(0.0..1e15_f64, 0..40)) {
            let count = values.len() as u64;
            let bins = Distribution::of(values).histogram;
            prop_assert!(bins.len() <= super::BINS_MAX);
            prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), count);
            prop_assert!(bins.windows(2).all(|pair| pair[0].below == pair[1].from));
        }

        #[test]
        fn whole_numbers_have_whole_edges(values in proptest::collection::vec(0_u32..2_000_000, 1..40)) {
            let bins = Distribution::of_counts(&values).histogram;
            prop_assert!(bins.iter().all(|bin| bin.from.fract() == 0.0 && bin.below > bin.from));
            prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), values.len() as u64);
        }
    }
}
