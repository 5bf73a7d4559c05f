use turnbench_metrics::{Revisit, TiersReport};

use crate::terminal::lines::{WIDTH, grouped, millis};
use crate::terminal::log_axis::log_axis;

/// Rows of a plot.
const ROWS: usize = 13;
/// Columns for the numbers at the left, with the axis.
const LEFT: usize = 10;
/// Widest plot that is of any use.
const WIDTH_MAX: usize = 120;
/// Rows between two numbers at the left.
const TICK_ROWS: usize = 4;

/// Times to first token of prompts sent again by how much was sent since, both on logarithmic axes; empty
/// with less than two points.
pub(super) fn plot(report: &TiersReport, width: usize) -> String {
    let since = |revisit: &Revisit| (revisit.newer_tokens as f64 + f64::from(revisit.tokens)).ln();
    let time = |revisit: &Revisit| revisit.ttft_alike_ms.max(1e-3).ln();
    let (Some(xs), Some(ys)) = (range(&report.revisits, since), range(&report.revisits, time))
    else {
        return String::new();
    };
    let columns = width.clamp(WIDTH, WIDTH_MAX) - LEFT - 1;
    let mut cells = vec![vec![' '; columns]; ROWS];
    for revisit in &report.revisits {
        let column = place(since(revisit), xs, columns);
        let row = place(time(revisit), ys, ROWS);
        cells[row][column] = match revisit.level {
            Some(level) => char::from_digit(level % 10, 10).unwrap_or('•'),
            None => '•',
        };
    }
    let prompt_tokens = grouped(report.prompt_tokens.unwrap_or_default().round() as u64);
    let mut text =
        format!("time to first token of a prompt of {prompt_tokens} tokens sent again\n");
    for (row, cells) in cells.iter().enumerate().rev() {
        let ms = (ys.0 + (ys.1 - ys.0) * row as f64 / (ROWS - 1) as f64).exp();
        let label = if row % TICK_ROWS == 0 {
            format!("{:>5} ms ┤", millis(Some(ms)))
        } else {
            format!("{:>width$}│", "", width = LEFT - 1)
        };
        text.push_str(format!("{label}{}", cells.iter().collect::<String>()).trim_end());
        text.push('\n');
    }
    text.push_str(&log_axis(LEFT, columns, xs, |tokens| grouped(tokens.round() as u64)));
    text + &format!("{:>LEFT$}tokens since it was last sent, its own included\n", "")
}

/// Least and greatest; `None` of less than two different values.
fn range(revisits: &[Revisit], value: impl Fn(&Revisit) -> f64) -> Option<(f64, f64)> {
    let values = || revisits.iter().map(&value);
    let (low, high) = (values().min_by(f64::total_cmp)?, values().max_by(f64::total_cmp)?);
    (high > low).then_some((low, high))
}

fn place(value: f64, (low, high): (f64, f64), count: usize) -> usize {
    ((value - low) / (high - low) * (count - 1) as f64).round() as usize
}
