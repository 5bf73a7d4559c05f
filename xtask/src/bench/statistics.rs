//! Statistics of a few numbers.

/// The value below which a share of the values lies, by linear interpolation between neighbours (as
/// numpy does). NaN where there are none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let low = place as usize;
    let (below, above) = (sorted[low], sorted[(low + 1).min(last)]);
    below + (above - below) * (place - low as f64)
}

/// The arithmetic mean; NaN where there are no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// What is shown of the runs of one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` where there are no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        (!values.is_empty()).then(|| Self {
            median: quantile(&values, 0.5),
            least: quantile(&values, 0.0),
            most: quantile(&values, 1.0),
        })
    }

    /// The median and, where the runs differ, the range: `1.25 (1.20 to 1.31)`.
    pub(crate) fn shown(self, digits: usize) -> String {
        let Self { median, least, most } = self;
        let middle = number(median, digits);
        let (low, high) = (number(least, digits), number(most, digits));
        if low == high { middle } else { format!("{middle} ({low} to {high})") }
    }

    /// The same, and a dash where there is nothing.
    pub(crate) fn shown_or_dash(spread: Option<Self>, digits: usize) -> String {
        spread.map_or_else(|| "-".to_owned(), |spread| spread.shown(digits))
    }
}

/// A number with commas between thousands.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let zero = text.chars().all(|digit| matches!(digit, '0' | '.'));
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::{Spread, mean, number, quantile};

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(mean(&values), 2.5);
    }

    #[test]
    fn a_range_is_shown_where_runs_differ() {
        let spread = Spread::of(&[1.0, f64::NAN, 3.0, 1.5]).unwrap();
        assert_eq!(spread.shown(1), "1.5 (1.0 to 3.0)");
        assert_eq!(Spread::of(&[2.0]).unwrap().shown(2), "2.00");
        assert_eq!(Spread::of(&[f64::NAN]), None);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(999.5, 1), "999.5");
        assert_eq!(number(-0.004, 2), "0.00");
        assert_eq!(number(-1234.5, 1), "−1,234.5");
    }
}
