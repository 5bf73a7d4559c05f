use std::ops::Range;

use crate::line::median;

/// Fewest values of a segment.
const VALUES_MIN: usize = 3;
/// Most segments: a device, three tiers and nothing, and one to spare.
const SEGMENTS_MAX: usize = 6;

/// Cuts a row of values into segments of about equal value: the fewest that explain it, given values that
/// scatter by about `noise`.
///
/// Least squares by dynamic programming over all cuts, after a running low that takes away what is too high:
/// whatever disturbs a time makes it longer. A segment more must explain more than noise would.
pub(crate) fn segments(values: &[f64], noise: f64) -> Vec<Range<usize>> {
    if values.len() < 2 * VALUES_MIN {
        return Some(0..values.len()).filter(|all| !all.is_empty()).into_iter().collect();
    }
    let smooth = running_low(values);
    let penalty = 4.0 * noise * noise * (values.len() as f64).ln().max(1.0);
    settled(values, best_cuts(&smooth, penalty))
}

/// The second least of each value and its four neighbours (of fewer at the ends, the second still).
fn running_low(values: &[f64]) -> Vec<f64> {
    let of_five = |at: usize| {
        let mut near = values[at.saturating_sub(2)..(at + 3).min(values.len())].to_vec();
        near.sort_by(f64::total_cmp);
        near[1]
    };
    (0..values.len()).map(of_five).collect()
}

/// The cuts moved to where the values themselves change: a running low moves them by up to two.
fn settled(values: &[f64], mut cuts: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let middle = |range: &Range<usize>| median(values[range.clone()].to_vec()).unwrap_or(0.0);
    for at in 1..cuts.len() {
        let (near, far) = (middle(&cuts[at - 1]), middle(&cuts[at]));
        let cut = cuts[at].start;
        let (low, high) = (cut.saturating_sub(2).max(cuts[at - 1].start + 1), cut + 2);
        let high = high.min(cuts[at].end - 1);
        let error = |cut: usize| -> f64 {
            let near = values[low..cut].iter().map(|value| (value - near).abs());
            let far = values[cut..high].iter().map(|value| (value - far).abs());
            near.chain(far).sum()
        };
        let best = (low..=high).min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(cut);
        cuts[at - 1].end = best;
        cuts[at].start = best;
    }
    cuts
}

/// Sums from which the squared error of any range follows.
struct Sums {
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn of(values: &[f64]) -> Self {
        let sums = |of: fn(f64) -> f64| {
            let mut sum = 0.0;
            let rest = values.iter().map(move |value| {
                sum += of(*value);
                sum
            });
            std::iter::once(0.0).chain(rest).collect()
        };
        Self { values: sums(|value| value), squares: sums(|value| value * value) }
    }

    fn error(&self, range: Range<usize>) -> f64 {
        let sum = self.values[range.end] - self.values[range.start];
        let squares = self.squares[range.end] - self.squares[range.start];
        (squares - sum * sum / range.len() as f64).max(0.0)
    }
}

fn best_cuts(values: &[f64], penalty: f64) -> Vec<Range<usize>> {
    let (sums, len) = (Sums::of(values), values.len());
    // best[k][end]: least error of the first `end` values in k + 1 segments, and where the last begins.
    let first = (0..=len).map(|end| {
        let error = if end >= VALUES_MIN { sums.error(0..end) } else { f64::INFINITY };
        (error, 0)
    });
    let mut best: Vec<Vec<(f64, usize)>> = vec![first.collect()];
    for _ in 1..SEGMENTS_MAX {
        let before = &best[best.len() - 1];
        let row = (0..=len).map(|end| {
            let starts = VALUES_MIN..(end + 1).saturating_sub(VALUES_MIN).max(VALUES_MIN);
            let costs = starts.map(|start| (before[start].0 + sums.error(start..end), start));
            costs.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::INFINITY, 0))
        });
        let row = row.collect();
        best.push(row);
    }
    let cost = |count: usize| best[count][len].0 + penalty * count as f64;
    let count = (0..SEGMENTS_MAX).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(0);
    let mut cuts = Vec::new();
    let mut end = len;
    for count in (0..=count).rev() {
        let start = best[count][end].1;
        cuts.push(start..end);
        end = start;
    }
    cuts.reverse();
    cuts
}

#[cfg(test)]
mod tests {
    use super::segments;

    /// Levels of (count, height) with noise; gives where the segments end.
    fn check(levels: &[(usize, f64)], noise: f64, spikes: &[usize], expect: &[usize]) {
        let mut values = Vec::new();
        for &(count, height) in levels {
            for _ in 0..count {
                let random = (values.len() as u32).wrapping_mul(2_654_435_761) >> 16;
                values.push(height + noise * (f64::from(random % 1000) / 500.0 - 1.0));
            }
        }
        for spike in spikes {
            values[*spike] += 2.0;
        }
        let ends: Vec<_> = segments(&values, noise).iter().map(|range| range.end).collect();
        assert_eq!(ends, expect, "{levels:?}");
    }

    #[test]
    fn levels_are_told_apart_and_noise_is_not() {
        check(&[(20, 1.0)], 0.2, &[], &[20]);
        check(&[(10, 1.0), (12, 2.0), (8, 3.5)], 0.1, &[], &[10, 22, 30]);
        check(&[(5, 3.0), (3, 1.0), (4, 2.0)], 0.02, &[], &[5, 8, 12]);
    }

    #[test]
    fn a_single_value_far_off_is_no_level() {
        check(&[(12, 1.0), (12, 2.5)], 0.05, &[4, 17], &[12, 24]);
    }

    #[test]
    fn few_values_are_one_segment() {
        assert!(segments(&[], 0.1).is_empty());
        assert_eq!(segments(&[1.0, 5.0, 9.0], 0.1), vec![0..3; 1]);
    }
}
