use turnbench_metrics::{PercentileInterval, RunReport, definition};

use super::lines::{millis, table};

/// Headline percentiles, each with its 95 % confidence interval. Empty without a completed
/// request.
pub fn headlines_text(report: &RunReport) -> String {
    let has_value = |found: &PercentileInterval| found.value.is_some();
    let known =
        report.headlines.iter().filter(|headline| headline.percentiles.iter().any(has_value));
    let rows: Vec<Vec<String>> = known
        .map(|headline| {
            let title = definition(&headline.id).map_or(headline.id.as_str(), |found| found.title);
            let cells = headline.percentiles.iter().map(cell);
            std::iter::once(title.to_owned()).chain(cells).collect()
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["ms [95 % interval]", "p50", "p90", "p99"], &rows)
}

fn cell(interval: &PercentileInterval) -> String {
    let end =
        |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| millis(Some(value)));
    format!("{} [{}, {}]", millis(interval.value), end(interval.low), end(interval.high))
}
