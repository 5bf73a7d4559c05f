use std::fmt::Write;

use turnbench_metrics::{Distribution, HistogramBin};

use super::super::lines::grouped;

/// Columns of a full bar.
const BAR_WIDTH: usize = 14;
/// Columns between histograms.
const GAP: usize = 3;
/// An eighth of a column more each.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// An eighth of a line more each.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a histogram's values are.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Counts, so that a bin can be named by its smallest and its largest one.
    Whole,
    /// Any number.
    Continuous,
}

/// A histogram, a line for each bin, with its title above.
pub(super) struct Histogram {
    lines: Vec<String>,
}

impl Histogram {
    pub(super) fn of(title: &str, distribution: &Distribution, values: Values) -> Self {
        let bins = &distribution.histogram;
        let highest = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
        let labels: Vec<String> = bins.iter().map(|bin| label(bin, values)).collect();
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let label_width = width(&mut labels.iter().map(|one| one.chars().count()));
        let counts: Vec<String> = bins.iter().map(|bin| grouped(bin.count)).collect();
        let count_width = width(&mut counts.iter().map(String::len));
        let rows = bins.iter().zip(labels.iter().zip(&counts)).map(|(bin, (label, count))| {
            let bar = bar(bin.count, highest);
            format!("{label:>label_width$} {count:>count_width$} {bar}")
        });
        Self { lines: std::iter::once(title.to_owned()).chain(rows).collect() }
    }

    fn width(&self) -> usize {
        let heading = self.lines.first().map_or(0, |title| title.chars().count());
        let rows = self.lines.iter().skip(1).map(|line| line.chars().count());
        rows.max().unwrap_or(0).max(heading)
    }
}

/// Histograms beside one another, as many in a row as fit into `width`.
pub(super) fn side_by_side(histograms: &[Histogram], width: usize) -> String {
    let mut text = String::new();
    let mut rest = histograms;
    while !rest.is_empty() {
        let mut used = 0;
        let fits = rest.iter().take_while(|one| {
            let first = used == 0;
            used += one.width() + GAP;
            first || used - GAP <= width
        });
        let (row, later) = rest.split_at(fits.count());
        rest = later;
        if !text.is_empty() {
            text.push('\n');
        }
        push_row(&mut text, row);
    }
    text
}

fn push_row(text: &mut String, row: &[Histogram]) {
    let height = row.iter().map(|one| one.lines.len()).max().unwrap_or(0);
    for line in 0..height {
        let mut whole = String::new();
        for histogram in row {
            let cell = histogram.lines.get(line).map_or("", String::as_str);
            let width = histogram.width() + GAP;
            let _ = write!(whole, "{cell:<width$}");
        }
        text.push_str(whole.trim_end());
        text.push('\n');
    }
}

/// A bin of counts from its smallest to its largest while these are short, any other one from its
/// beginning to where the next begins.
fn label(bin: &HistogramBin, values: Values) -> String {
    match values {
        Values::Whole if bin.below == bin.from + 1.0 => short(bin.from),
        Values::Whole if bin.below <= 10_000.0 => {
            format!("{}-{}", short(bin.from), short(bin.below - 1.0))
        }
        Values::Whole | Values::Continuous => {
            format!("{}-<{}", short(bin.from), short(bin.below))
        }
    }
}

/// A round number: `0.05`, `200`, `50k`, `2M`.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "G"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    format!("{value}{unit}")
}

fn bar(count: u64, highest: u64) -> String {
    let eighths = (count as f64 / highest as f64 * (BAR_WIDTH * 8) as f64).round() as usize;
    // What is there is seen.
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// One character for each count.
pub(super) fn sparkline(counts: &[u64]) -> String {
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let height = |&count: &u64| {
        let eighths = (count as f64 / highest as f64 * 8.0).round() as usize;
        HEIGHTS[if count > 0 { eighths.max(1) } else { 0 }]
    };
    counts.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use turnbench_metrics::Distribution;

    use super::{Histogram, Values, side_by_side, sparkline};

    #[test]
    fn bars_are_as_long_as_their_counts() {
        let values = Distribution::of_counts(&[1, 1, 1, 1, 2, 2, 3]);
        let text = side_by_side(&[Histogram::of("turns", &values, Values::Whole)], 80);
        assert_eq!(text, "turns\n1 4 ██████████████\n2 2 ███████\n3 1 ███▌\n");
    }

    #[test]
    fn what_does_not_fit_beside_stands_below() {
        let values = Distribution::of_counts(&[10, 12, 90]);
        let one = || Histogram::of("a title", &values, Values::Whole);
        let lines = |width| side_by_side(&[one(), one(), one()], width).lines().count();
        let height = one().lines.len();
        assert_eq!((lines(200), lines(50), lines(10)), (height, 2 * height + 1, 3 * height + 2));
    }

    #[test]
    fn a_sparkline_shows_what_is_there() {
        assert_eq!(sparkline(&[0, 1, 50, 100]), " ▁▄█");
        assert_eq!(sparkline(&[]), "");
    }
}
