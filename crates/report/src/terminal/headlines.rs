use turnbench_metrics::{Headline, PercentileInterval, RunReport, definition, percents_for};

use super::lines::{millis, table};

/// Headline percentiles, each with its 95 % confidence interval; a percentile for which there are
/// too few samples (p99 below 100) is left out, and so is what a run without streaming has not.
/// Empty without a completed request.
pub fn headlines_text(report: &RunReport) -> String {
    let has_value = |found: &PercentileInterval| found.value.is_some();
    let known =
        report.headlines.iter().filter(|headline| headline.percentiles.iter().any(has_value));
    let streamed = report.plan.request.stream;
    let rows: Vec<Vec<String>> = known
        .map(|headline| {
            let title = definition(&headline.id).map_or(headline.id.as_str(), |found| found.title);
            let exists = streamed || !NEEDS_STREAM.contains(&headline.id.as_str());
            std::iter::once(title.to_owned()).chain(cells(report, headline, exists)).collect()
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["ms [95 % interval]", "p50", "p90", "p99"], &rows)
}

/// Metrics that an answer which came in one piece does not have.
const NEEDS_STREAM: [&str; 2] = ["ttft_raw_ms", "tpot_ms"];

fn cells<'a>(
    report: &RunReport,
    headline: &'a Headline,
    exists: bool,
) -> impl Iterator<Item = String> + use<'a> {
    let samples = report.metric(&headline.id).map_or(0, |describe| describe.count);
    let shown = percents_for(usize::try_from(samples).unwrap_or(usize::MAX));
    headline.percentiles.iter().map(move |interval| {
        if exists && shown.contains(&interval.percent) { cell(interval) } else { "-".to_owned() }
    })
}

fn cell(interval: &PercentileInterval) -> String {
    let end =
        |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| millis(Some(value)));
    format!("{} [{}, {}]", millis(interval.value), end(interval.low), end(interval.high))
}
