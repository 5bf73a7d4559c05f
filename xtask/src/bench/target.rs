use super::statistics::number;
use super::table::Table;

/// On which side of its bound a figure has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    AtMost,
    AtLeast,
}

/// A stated goal and what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) figure: String,
    pub(crate) side: Side,
    pub(crate) bound: f64,
    /// What the bound is in: ` of null`, ` ms`.
    pub(crate) unit: &'static str,
    /// Median of the runs; absent where it was not measured.
    pub(crate) measured: Option<f64>,
}

impl Target {
    pub(crate) fn is_met(&self) -> Option<bool> {
        self.measured.map(|measured| match self.side {
            Side::AtMost => measured <= self.bound,
            Side::AtLeast => measured >= self.bound,
        })
    }
}

/// The table of all targets.
pub(crate) fn table(targets: &[Target]) -> Table {
    let mut table = Table::new(&["figure", "target", "measured", ""]);
    for target in targets {
        let Target { figure, side, bound, unit, measured } = target;
        let sign = match side {
            Side::AtMost => "≤",
            Side::AtLeast => "≥",
        };
        let verdict = match target.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        };
        let measured = measured.map_or_else(|| "-".to_owned(), |value| number(value, 3));
        table.row(vec![
            figure.clone(),
            format!("{sign} {bound}{unit}"),
            measured,
            verdict.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Side, Target, table};

    fn check(side: Side, measured: Option<f64>, met: Option<bool>, shown: &str) {
        let target = Target { figure: "CPU".into(), side, bound: 1.15, unit: " × null", measured };
        assert_eq!(target.is_met(), met, "{measured:?}");
        let text = table(&[target]).text();
        assert!(text.contains(shown), "{text}");
    }

    #[test]
    fn a_target_is_met_on_its_side_and_at_its_bound() {
        check(Side::AtMost, Some(1.15), Some(true), "| ≤ 1.15 × null | 1.150    | met |");
        check(Side::AtMost, Some(1.151), Some(false), "**missed**");
        check(Side::AtLeast, Some(1.2), Some(true), "| ≥ 1.15 × null |");
        check(Side::AtLeast, Some(1.1), Some(false), "**missed**");
        check(Side::AtLeast, None, None, "not measured");
    }
}
