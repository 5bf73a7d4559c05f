use super::thresholds::Limits;
use super::{Level, Reason, ReasonId};

/// What was measured, and the limit that it is beyond.
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) value: f64,
    pub(super) threshold: f64,
}

impl Finding {
    /// Holds a value against its limits.
    pub(super) fn of(value: f64, limits: Limits) -> Option<Self> {
        if value > limits.limited {
            Some(Self { level: Level::ClientLimited, value, threshold: limits.limited })
        } else {
            Self::caution(value, limits.caution)
        }
    }

    /// A value that is worth a caution at most.
    pub(super) fn caution(value: f64, threshold: f64) -> Option<Self> {
        (value > threshold).then_some(Self { level: Level::Caution, value, threshold })
    }

    pub(super) fn reason(self, id: ReasonId, unit: &str, text: String) -> Reason {
        let Self { level, value, threshold } = self;
        let touches = id.touches().iter().map(|&touched| touched.to_owned()).collect();
        Reason { id, level, text, value, threshold, unit: unit.to_owned(), touches }
    }
}

pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Milliseconds with about three significant digits.
pub(super) fn millis(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0} ms")
    } else if value >= 10.0 {
        format!("{value:.1} ms")
    } else {
        format!("{value:.2} ms")
    }
}

/// A share as a percentage, with a decimal where there is one to show.
pub(super) fn share(ratio: f64) -> String {
    let text = format!("{:.1}", ratio * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}
