use turnbench_metrics::CacheReport;

use crate::terminal::lines::{WIDTH, grouped};
use crate::terminal::log_axis::log_axis;
use crate::terminal::sizes::gib;

/// Rows of a plot.
const ROWS: usize = 11;
/// Columns for the numbers at the left, with the axis.
const LEFT: usize = 9;
/// Widest plot that is of any use.
const WIDTH_MAX: usize = 120;

/// The share of prompt tokens that an LRU cache serves, by its size on a logarithmic axis; empty
/// with less than two points.
pub(super) fn plot(report: &CacheReport, width: usize) -> String {
    let (Some(first), Some(last)) = (report.curve.first(), report.curve.last()) else {
        return String::new();
    };
    if report.curve.len() < 2 || report.prompt_tokens == 0 {
        return String::new();
    }
    let columns = width.clamp(WIDTH, WIDTH_MAX) - LEFT - 1;
    let (low, high) = ((first.size.blocks as f64).ln(), (last.size.blocks as f64).ln());
    let share = |column: usize| {
        let at = (low + (high - low) * column as f64 / (columns - 1) as f64).exp() * 1.000_001;
        let after = report.curve.partition_point(|point| point.size.blocks as f64 <= at);
        let served = after.checked_sub(1).map_or(0, |index| report.curve[index].tokens);
        served as f64 / report.prompt_tokens as f64
    };
    let top = (last.tokens as f64 / report.prompt_tokens as f64 * 10.0).ceil() / 10.0;
    let row_of = |share: f64| ((share / top) * (ROWS - 1) as f64).round() as usize;
    let rows: Vec<usize> = (0..columns).map(|column| row_of(share(column))).collect();
    let mut text = String::from("prompt tokens served by an LRU cache\n");
    for row in (0..ROWS).rev() {
        let label = top * row as f64 / (ROWS - 1) as f64;
        let label = if row % 5 == 0 {
            format!("{:>5.0} % ┤", label * 100.0)
        } else {
            format!("{:>8}│", "")
        };
        let cells = (0..columns).map(|column| {
            let before = column.checked_sub(1).map_or(rows[0], |before| rows[before]);
            match rows[column] {
                here if here == row => '•',
                here if before < row && row < here => '│',
                _ => ' ',
            }
        });
        text.push_str(format!("{label}{}", cells.collect::<String>()).trim_end());
        text.push('\n');
    }
    text.push_str(&log_axis(LEFT, columns, (low, high), |blocks| {
        let tokens = blocks * f64::from(report.block_tokens);
        match report.kv_bytes_per_token {
            Some(bytes) => gib(bytes * tokens),
            None => grouped(tokens.round() as u64),
        }
    }));
    let unit = if report.kv_bytes_per_token.is_some() { "GiB" } else { "tokens" };
    text + &format!("{:>LEFT$}size of the cache in {unit}\n", "")
}
