use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SpeedReason;
use super::thresholds::{NEGLIGIBLE_RATIO, WIDTH_RATIO};
use crate::Estimate;
use crate::describe::quantile;

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpeedFigure {
    /// The data carry it.
    Told(Estimate),
    /// They do not.
    CannotBeTold(SpeedReason),
}

impl SpeedFigure {
    /// The estimate, if there is one.
    pub const fn told(&self) -> Option<&Estimate> {
        match self {
            Self::Told(estimate) => Some(estimate),
            Self::CannotBeTold(_) => None,
        }
    }

    /// The reason, if there is no estimate.
    pub const fn reason(&self) -> Option<&SpeedReason> {
        match self {
            Self::Told(_) => None,
            Self::CannotBeTold(reason) => Some(reason),
        }
    }

    /// The estimate, unless its interval is too wide.
    fn unless_wide(estimate: Estimate) -> Self {
        if estimate.is_wide() {
            let Estimate { value, low, high } = estimate;
            Self::CannotBeTold(SpeedReason::Wide { value, low, high })
        } else {
            Self::Told(estimate)
        }
    }

    /// A cost in ms that does not depend on tokens.
    pub(super) fn fixed(cost_ms: Estimate) -> Self {
        if cost_ms.low > 0.0 {
            return Self::unless_wide(cost_ms);
        }
        let at_most_ms = Some(cost_ms.high).filter(|most| *most > 0.0);
        Self::CannotBeTold(SpeedReason::NoFixedCost { at_most_ms })
    }

    /// Tokens a second, of the ms that a token costs.
    pub(super) fn speed(cost_ms: Estimate) -> Self {
        const MS_PER_SEC: f64 = 1e3;
        let speed = |cost: f64| MS_PER_SEC / cost;
        if cost_ms.low <= NEGLIGIBLE_RATIO * cost_ms.high {
            let at_least = (cost_ms.high > 0.0).then(|| speed(cost_ms.high));
            return Self::CannotBeTold(SpeedReason::TooFast { at_least });
        }
        Self::unless_wide(Estimate {
            value: speed(cost_ms.value),
            low: speed(cost_ms.high),
            high: speed(cost_ms.low),
        })
    }
}

impl Estimate {
    /// Whether the interval says little more than the order of magnitude.
    pub(super) fn is_wide(self) -> bool {
        self.high - self.low > WIDTH_RATIO * self.value
    }

    /// Each of the three times `factor`, which must be positive.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }

    /// From the values that resamples of `groups` groups gave; nothing below 0. Infinite ones are larger than all
    /// others.
    ///
    /// The outer 2.5 % on either side are left out, and the ends moved away from the estimate by
    /// the factor by which such an interval of a mean is too narrow with few groups (Hesterberg,
    /// What Teachers Should Know About the Bootstrap, 2015, section 4.3: √(n/(n-1)) · t / z).
    pub(super) fn of_resamples(value: f64, mut resampled: Vec<f64>, groups: usize) -> Self {
        const MISSED_EACH_SIDE: f64 = (1.0 - crate::CONFIDENCE) / 2.0;
        resampled.sort_unstable_by(f64::total_cmp);
        let finite = resampled.iter().filter(|value| value.is_finite()).count();
        // Interpolating next to an infinite value would give no number.
        let rank = |fraction: f64| ((resampled.len().max(1) - 1) as f64 * fraction).ceil() as usize;
        let at = |fraction| {
            if rank(fraction) < finite {
                quantile(&resampled, fraction)
            } else {
                resampled.get(rank(fraction)).copied()
            }
        };
        let end = |fraction| at(fraction).unwrap_or(value);
        let stretch = stretch(groups);
        let low = end(MISSED_EACH_SIDE).min(value);
        let high = end(1.0 - MISSED_EACH_SIDE).max(value);
        let away = |end: f64| if end.is_finite() { value + stretch * (end - value) } else { end };
        Self { value, low: away(low).max(0.0), high: away(high) }
    }
}

/// √(n/(n-1)) · t / z for 95 %, n - 1 degrees of freedom.
fn stretch(groups: usize) -> f64 {
    /// The normal law's 97.5 % quantile.
    const Z: f64 = 1.959_964;
    let count = groups.max(2) as f64;
    let freedom = count - 1.0;
    // Abramowitz and Stegun 26.7.5: t from z; off by less than 1 % from 3 degrees on.
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    let t = Z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3);
    (count / freedom).sqrt() * t / Z
}

#[cfg(test)]
mod tests {
    use super::{SpeedFigure, stretch};
    use crate::{Estimate, SpeedReason};

    #[test]
    fn the_stretch_is_students() {
        // Tables of t: 2.776 for 4 degrees of freedom, 2.262 for 9, 1.984 for 99.
        for (groups, t) in [(5, 2.776), (10, 2.262), (100, 1.984)] {
            let count = f64::from(groups);
            let expect = (count / (count - 1.0)).sqrt() * t / 1.96;
            let found = stretch(groups as usize);
            assert!((found / expect - 1.0).abs() < 0.01, "{groups}: {found} {expect}");
        }
    }

    #[test]
    fn intervals_hold_the_value_and_infinite_resamples() {
        let resampled: Vec<f64> = (0..100).map(f64::from).collect();
        let found = Estimate::of_resamples(50.0, resampled.clone(), 1_000_000);
        assert!(
            (found.low - 2.475).abs() < 1e-3 && (found.high - 96.525).abs() < 1e-3,
            "{found:?}"
        );
        assert_eq!(Estimate::of_resamples(-1.0, resampled.clone(), 100).low, 0.0);
        let mut some_infinite = resampled;
        some_infinite[90..].fill(f64::INFINITY);
        let found = Estimate::of_resamples(50.0, some_infinite, 100);
        assert!(found.low.is_finite() && found.high == f64::INFINITY);
        let all = Estimate::of_resamples(f64::INFINITY, vec![f64::INFINITY; 9], 100);
        assert_eq!((all.low, all.high), (f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn a_fixed_cost_that_may_be_none_is_not_told() {
        let fixed = |value, low, high| SpeedFigure::fixed(Estimate { value, low, high });
        assert!(fixed(2.0, 1.5, 2.5).told().is_some());
        assert!(matches!(fixed(2.0, 0.5, 3.5).reason(), Some(SpeedReason::Wide { .. })));
        let none = |at_most_ms| Some(SpeedReason::NoFixedCost { at_most_ms });
        assert_eq!(fixed(0.5, 0.0, 2.5).reason().cloned(), none(Some(2.5)));
        assert_eq!(fixed(0.0, 0.0, 0.0).reason().cloned(), none(None));
    }

    #[test]
    fn a_cost_that_may_be_none_is_too_fast_and_not_infinite() {
        let cost = |value, low, high| SpeedFigure::speed(Estimate { value, low, high });
        let told = *cost(0.1, 0.09, 0.12).told().unwrap();
        assert!((told.value - 10_000.0).abs() < 1e-6 && told.low < told.high);
        let too_fast = |at_least| Some(SpeedReason::TooFast { at_least });
        assert_eq!(cost(0.1, 0.0, 0.5).reason().cloned(), too_fast(Some(2_000.0)));
        assert_eq!(cost(0.0, 0.0, 0.0).reason().cloned(), too_fast(None));
        assert!(matches!(cost(0.1, 0.03, 0.2).reason(), Some(SpeedReason::Wide { .. })));
    }
}
