//! A logarithmic axis under a plot.

/// Columns between two numbers.
const TICK_COLUMNS: usize = 14;

/// The axis under `columns` columns, of which the first is at `left`: from `low` to `high`, both natural
/// logarithms. `label` gives the text of a value.
pub(super) fn log_axis(
    left: usize,
    columns: usize,
    (low, high): (f64, f64),
    label: impl Fn(f64) -> String,
) -> String {
    let ticks = columns / TICK_COLUMNS;
    let places: Vec<usize> = (0..=ticks).map(|tick| tick * (columns - 1) / ticks.max(1)).collect();
    let line = (0..columns).map(|column| if places.contains(&column) { '┬' } else { '─' });
    let text = format!("{:>width$}└{}\n", "", line.collect::<String>(), width = left - 1);
    let mut labels = String::new();
    for place in places {
        let label = label((low + (high - low) * place as f64 / (columns - 1) as f64).exp());
        // Under its tick, or as far to the left as the end of the line wants it.
        let start = (left + place).min(left + columns - label.len().min(columns));
        let start = start.max(labels.chars().count() + usize::from(!labels.is_empty()));
        labels.push_str(&" ".repeat(start - labels.chars().count()));
        labels.push_str(&label);
    }
    text + &labels + "\n"
}
