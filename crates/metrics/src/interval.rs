use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe::{fraction_of, quantile};

/// Coverage of every interval: 95 %.
pub const CONFIDENCE: f64 = 0.95;

/// A percentile of a sample with a confidence interval.
///
/// The interval is distribution-free (order statistics): the number of samples below the true
/// percentile is binomial, so two of the sorted samples enclose it with at least [`CONFIDENCE`].
/// It takes the samples as independent; requests of one overloaded server are not quite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PercentileInterval {
    /// 0..100.
    pub percent: f64,
    /// Estimate, by linear interpolation; `None` without samples.
    pub value: Option<f64>,
    /// Lower end, not above the estimate; `None` when too few samples lie below to tell.
    pub low: Option<f64>,
    /// Upper end, not below the estimate; `None` when too few samples lie above to tell.
    pub high: Option<f64>,
}

impl PercentileInterval {
    /// The estimate and its interval from ascending values. `percent` must lie inside 0..100.
    pub fn of(sorted: &[f64], percent: f64) -> Self {
        let fraction = fraction_of(percent);
        let value = quantile(sorted, fraction);
        let (low, high) = rank_bounds(sorted.len(), fraction);
        let at_rank = |rank: usize| sorted.get(rank.checked_sub(1)?).copied();
        // In a handful of samples the estimate, which lies between two of them, can fall outside
        // their interval: nothing is known about that end then, and leaving it open keeps the
        // coverage.
        let inside = |end: Option<usize>, fits: fn(&f64, &f64) -> bool| {
            end.and_then(at_rank).filter(|end| value.is_some_and(|value| fits(end, &value)))
        };
        Self { percent, value, low: inside(low, f64::le), high: inside(high, f64::ge) }
    }
}

/// Ranks (from 1) of the two order statistics that enclose the `fraction` quantile of the
/// distribution, each missed with a probability of at most `(1 - CONFIDENCE) / 2`.
fn rank_bounds(samples: usize, fraction: f64) -> (Option<usize>, Option<usize>) {
    if samples == 0 || fraction <= 0.0 || fraction >= 1.0 {
        return (None, None);
    }
    let (first, masses) = binomial_masses(samples, fraction);
    let miss = (1.0 - CONFIDENCE) / 2.0;
    // low: the largest rank l with P(fewer than l samples below) <= miss.
    let mut low = first;
    let mut below = 0.0;
    for mass in &masses {
        if below + mass > miss {
            break;
        }
        below += mass;
        low += 1;
    }
    // high: the smallest rank u with P(at least u samples below) <= miss.
    let mut high = first + masses.len();
    let mut above = 0.0;
    for mass in masses.iter().rev() {
        if above + mass > miss {
            break;
        }
        above += mass;
        high -= 1;
    }
    ((low >= 1).then_some(low), (high <= samples).then_some(high))
}

/// Probabilities of successive counts of a binomial distribution, and the first of these counts.
/// Built outwards from the most likely count by the ratio of neighbours, so that nothing
/// under- or overflows; counts below 1e-18 of the largest probability are left out.
fn binomial_masses(samples: usize, fraction: f64) -> (usize, Vec<f64>) {
    const NEGLIGIBLE: f64 = 1e-18;
    let odds = fraction / (1.0 - fraction);
    let mode = (((samples + 1) as f64 * fraction) as usize).min(samples);
    let mut down = Vec::new();
    let mut mass = 1.0;
    for count in (1..=mode).rev() {
        mass *= count as f64 / ((samples - count + 1) as f64 * odds);
        if mass < NEGLIGIBLE {
            break;
        }
        down.push(mass);
    }
    let first = mode - down.len();
    let mut masses: Vec<f64> = down.into_iter().rev().collect();
    masses.push(1.0);
    mass = 1.0;
    for count in mode..samples {
        mass *= (samples - count) as f64 * odds / (count + 1) as f64;
        if mass < NEGLIGIBLE {
            break;
        }
        masses.push(mass);
    }
    let total: f64 = masses.iter().sum();
    for mass in &mut masses {
        *mass /= total;
    }
    (first, masses)
}

#[cfg(test)]
mod tests {
    use super::{PercentileInterval, binomial_masses, rank_bounds};

    #[test]
    fn ranks_agree_with_published_tables() {
        // Order-statistic intervals of the median (e.g. Conover, Practical Nonparametric
        // Statistics): n = 10 gives ranks 2 and 9, n = 20 ranks 6 and 15.
        assert_eq!(rank_bounds(10, 0.5), (Some(2), Some(9)));
        assert_eq!(rank_bounds(20, 0.5), (Some(6), Some(15)));
        // Five samples never enclose their median with 95 %: 2 * 0.5^5 = 0.0625.
        assert_eq!(rank_bounds(5, 0.5), (None, None));
        assert_eq!(rank_bounds(6, 0.5), (Some(1), Some(6)));
        // The 99th percentile has an upper end from 0.99^n <= 0.025 on: n = 368.
        assert_eq!(rank_bounds(367, 0.99).1, None);
        assert_eq!(rank_bounds(368, 0.99).1, Some(368));
    }

    #[test]
    fn probabilities_match_exact_fractions_and_sum_to_one() {
        let (first, masses) = binomial_masses(4, 0.5);
        assert_eq!(first, 0);
        for (mass, expect) in masses.iter().zip([1.0, 4.0, 6.0, 4.0, 1.0]) {
            assert!((mass - expect / 16.0).abs() < 1e-15);
        }
        for (samples, fraction) in [(1, 0.9), (100_000, 0.99), (1_000_000, 0.5)] {
            let (first, masses) = binomial_masses(samples, fraction);
            assert!(first + masses.len() <= samples + 1);
            assert!((masses.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn an_interval_never_excludes_its_estimate() {
        for samples in 1..=60_u32 {
            let sorted: Vec<f64> = (0..samples).map(|value| f64::from(value * value)).collect();
            for percent in [1.0, 10.0, 50.0, 90.0, 99.0, 99.9] {
                let found = PercentileInterval::of(&sorted, percent);
                let value = found.value.unwrap();
                assert!(found.low.is_none_or(|low| low <= value), "{samples} {percent}");
                assert!(found.high.is_none_or(|high| high >= value), "{samples} {percent}");
            }
        }
        // Two samples: the larger one is the lower bound by rank, the estimate lies before it.
        assert_eq!(PercentileInterval::of(&[1.0, 2.0], 99.0).low, None);
    }

    #[test]
    fn no_sample_gives_no_number() {
        let empty = PercentileInterval::of(&[], 50.0);
        assert_eq!((empty.value, empty.low, empty.high), (None, None, None));
        let one = PercentileInterval::of(&[3.0], 50.0);
        assert_eq!((one.value, one.low, one.high), (Some(3.0), None, None));
    }
}
