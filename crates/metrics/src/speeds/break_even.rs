use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SpeedReason;
use crate::Estimate;

/// The prompt length from which reloading a whole prompt from a tier beats recomputing it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpeedBreakEven {
    /// No fixed cost can be seen: from the first block on.
    FirstBlock {
        /// Upper end of the interval, in tokens.
        at_most_tokens: f64,
    },
    /// In tokens.
    Tokens(Estimate),
    /// A reloaded token takes longer than a computed one.
    Never,
    /// Why the data do not tell.
    CannotBeTold(SpeedReason),
}

/// What a prompt of some length costs either way, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Costs {
    /// Of a computed token.
    pub(super) computed: f64,
    /// What a computed token costs in addition for each token before it.
    pub(super) position: f64,
    /// Of a reloaded token.
    pub(super) reloaded: f64,
    /// Of a reload.
    pub(super) fixed: f64,
}

impl Costs {
    /// The length in tokens from which on `fixed + reloaded·L <= computed·L + position·L²/2`, 0 and up;
    /// infinite where there is none.
    pub(super) fn break_even(self) -> f64 {
        let gain = self.computed - self.reloaded;
        let root = (gain * gain + 2.0 * self.position * self.fixed).sqrt();
        if gain > 0.0 {
            2.0 * self.fixed / (gain + root)
        } else if self.position > 0.0 {
            (root - gain) / self.position
        } else {
            f64::INFINITY
        }
    }
}

impl SpeedBreakEven {
    /// Of the length in tokens (infinite: never) and the longest prompt that was seen.
    pub(super) fn of(length: Estimate, longest: f64) -> Self {
        let Estimate { value, low, high } = length;
        if low == f64::INFINITY {
            Self::Never
        } else if high == f64::INFINITY {
            Self::CannotBeTold(SpeedReason::EquallyFast)
        } else if value > longest || (low <= 0.0 && high > longest) {
            Self::CannotBeTold(SpeedReason::BeyondLongest { longest: longest as u64 })
        } else if low <= 0.0 {
            Self::FirstBlock { at_most_tokens: high }
        } else if length.is_wide() {
            Self::CannotBeTold(SpeedReason::Wide { value, low, high })
        } else {
            Self::Tokens(length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Costs, SpeedBreakEven};
    use crate::{Estimate, SpeedReason};

    #[test]
    fn at_the_break_even_both_ways_cost_the_same() {
        let costs =
            |computed, position, reloaded, fixed| Costs { computed, position, reloaded, fixed };
        assert_eq!(costs(0.05, 0.0, 0.01, 4.0).break_even(), 100.0);
        assert_eq!(costs(0.05, 0.0, 0.01, 0.0).break_even(), 0.0);
        assert_eq!(costs(0.05, 0.0, 0.05, 4.0).break_even(), f64::INFINITY);
        assert_eq!(costs(0.05, 0.0, 0.06, 0.0).break_even(), f64::INFINITY);
        for one in [
            costs(0.05, 1e-5, 0.01, 4.0),
            costs(0.05, 1e-5, 0.08, 4.0),
            costs(0.05, 1e-5, 0.08, 0.0),
        ] {
            let length = one.break_even();
            let computed = one.computed * length + one.position * length * length / 2.0;
            assert!(
                (one.fixed + one.reloaded * length - computed).abs() < 1e-9,
                "{one:?} {length}"
            );
        }
    }

    #[test]
    fn nothing_is_said_that_the_interval_does_not_carry() {
        let of = |value, low, high| SpeedBreakEven::of(Estimate { value, low, high }, 1_000.0);
        let infinite = f64::INFINITY;
        assert_eq!(of(infinite, infinite, infinite), SpeedBreakEven::Never);
        let cannot = SpeedBreakEven::CannotBeTold;
        assert_eq!(of(infinite, 400.0, infinite), cannot(SpeedReason::EquallyFast));
        assert_eq!(of(500.0, 400.0, infinite), cannot(SpeedReason::EquallyFast));
        assert_eq!(
            of(1_500.0, 1_200.0, 1_900.0),
            cannot(SpeedReason::BeyondLongest { longest: 1_000 })
        );
        assert_eq!(of(20.0, 0.0, 90.0), SpeedBreakEven::FirstBlock { at_most_tokens: 90.0 });
        assert_eq!(of(0.0, 0.0, 1_100.0), cannot(SpeedReason::BeyondLongest { longest: 1_000 }));
        let length = Estimate { value: 500.0, low: 400.0, high: 700.0 };
        assert_eq!(SpeedBreakEven::of(length, 1_000.0), SpeedBreakEven::Tokens(length));
    }
}
