use turnbench_metrics::Estimate;

/// Points that a line is laid through at most: their pairs grow with the square.
const POINTS_MAX: usize = 300;
/// The normal distribution's quantile for 95 %, two-sided.
const Z: f64 = 1.96;

/// A straight line through points of which some may be far off.
///
/// Theil and Sen: the slope is the median of the slopes of all pairs; its interval is Sen's, from the
/// distribution of Kendall's tau (Sen, "Estimates of the regression coefficient based on Kendall's tau",
/// JASA 63, 1968).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) intercept: f64,
    pub(crate) slope: Estimate,
}

impl Line {
    /// The line; `None` with less than two different x.
    pub(crate) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let step = points.len().div_ceil(POINTS_MAX).max(1);
        let points: Vec<_> = points.iter().copied().step_by(step).collect();
        let mut slopes = Vec::new();
        for (at, &(x, y)) in points.iter().enumerate() {
            let later = points[at + 1..].iter().filter(|(other, _)| *other != x);
            slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
        }
        slopes.sort_by(f64::total_cmp);
        let value = median_of_sorted(&slopes)?;
        let off = (Z * tau_variance(&points).sqrt() / 2.0).ceil() as usize;
        let middle = slopes.len() / 2;
        let low = slopes[middle.saturating_sub(off)];
        let high = slopes[(middle + off).min(slopes.len() - 1)];
        let intercepts: Vec<f64> = points.iter().map(|(x, y)| y - value * x).collect();
        let slope = Estimate { value, low: low.min(value), high: high.max(value) };
        Some(Self { intercept: median(intercepts)?, slope })
    }

    /// Its height.
    pub(crate) fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope.value * x
    }
}

/// Variance of the number of concordant less discordant pairs, with ties in x.
fn tau_variance(points: &[(f64, f64)]) -> f64 {
    let term = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let mut xs: Vec<f64> = points.iter().map(|(x, _)| *x).collect();
    xs.sort_by(f64::total_cmp);
    let ties: f64 = xs.chunk_by(|a, b| a == b).map(|tie| term(tie.len() as f64)).sum();
    (term(points.len() as f64) - ties) / 18.0
}

/// The median; `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    median_of_sorted(&values)
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    turnbench_metrics::quantile(sorted, 0.5)
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn points_far_off_do_not_move_the_line() {
        let mut points: Vec<_> =
            (1..=12).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        points[4].1 += 500.0;
        points[9].1 += 90.0;
        let line = Line::through(&points).unwrap();
        assert!((line.slope.value - 2.0).abs() < 1e-9 && (line.intercept - 3.0).abs() < 1e-9);
        assert!(line.slope.low <= 2.0 && line.slope.high >= 2.0);
    }

    #[test]
    fn noise_widens_the_interval_and_it_holds_the_truth() {
        let noise = |step: u32| f64::from(step.wrapping_mul(2_654_435_761) >> 20) / 4096.0 - 0.5;
        let slope = |scale: f64| {
            let points: Vec<_> = (0..40)
                .map(|step| (f64::from(step % 4), f64::from(step % 4) + scale * noise(step)))
                .collect();
            Line::through(&points).unwrap().slope
        };
        let (quiet, loud) = (slope(0.1), slope(1.0));
        assert!(loud.high - loud.low > 3.0 * (quiet.high - quiet.low));
        for slope in [quiet, loud] {
            assert!(slope.low <= 1.0 && 1.0 <= slope.high, "{slope:?}");
        }
    }

    #[test]
    fn one_x_has_no_line() {
        assert_eq!(Line::through(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Line::through(&[]), None);
    }
}
