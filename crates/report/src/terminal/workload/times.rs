use turnbench_metrics::{Distribution, WorkloadReport};

use super::super::lines::{counted, grouped, millis, table};
use super::bars::sparkline;
use super::overview::{DESCRIBED, described};

/// The table of times, and when requests arrived. Empty where the data set has none.
pub(super) fn times(report: &WorkloadReport) -> String {
    let times = &report.times;
    let mut rows: Vec<(&str, &Distribution)> = Vec::new();
    rows.extend(times.arrivals.as_ref().map(|arrivals| ("between arrivals", &arrivals.gap_sec)));
    rows.extend([
        ("between turns", &times.between_turns_sec),
        ("think time", &times.think_time_sec),
        ("recorded latency", &times.latency_sec),
        ("recorded TTFT", &times.ttft_sec),
    ]);
    let known = rows.into_iter().filter(|(_, one)| one.describe.count > 0);
    let rows: Vec<Vec<String>> = known
        .map(|(name, one)| {
            let mut row = vec![name.to_owned()];
            row.extend(described(&one.describe, seconds));
            row.push(grouped(one.describe.count));
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let heading: Vec<&str> =
        std::iter::once("times in seconds").chain(DESCRIBED).chain(["count"]).collect();
    let mut text = table(&heading, &rows);
    text.push_str(&arrivals(report));
    text
}

fn arrivals(report: &WorkloadReport) -> String {
    let Some(arrivals) = &report.times.arrivals else { return String::new() };
    let requests = counted(arrivals.requests, "request");
    let Some(rate) = arrivals.requests_per_sec else {
        return format!("arrivals: {requests}, all at once\n");
    };
    let span = seconds(arrivals.span_sec);
    let rate = millis(Some(rate));
    let over_time = sparkline(&arrivals.over_time);
    format!("arrivals: {requests} in {span} s, {rate}/s\n  |{over_time}|\n")
}

fn seconds(value: f64) -> String {
    if value >= 1_000.0 { grouped(value.round() as u64) } else { millis(Some(value)) }
}
