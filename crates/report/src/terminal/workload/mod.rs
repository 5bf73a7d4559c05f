mod bars;
mod overview;
mod sharing;
mod times;

use turnbench_metrics::WorkloadReport;

use super::lines::WIDTH;
use bars::{Histogram, side_by_side};

/// Widest text that is of any use: five histograms beside one another.
const WIDTH_MAX: usize = 200;

/// What `turnbench inspect` prints, for a terminal of `width` columns; at least 80.
///
/// Tables keep to 80 columns; on a wider terminal more histograms stand beside one another.
pub fn workload_text(report: &WorkloadReport, width: usize) -> String {
    let width = width.clamp(WIDTH, WIDTH_MAX);
    let blocks = [
        overview::heading(report),
        overview::sizes(report),
        overview::roles(report),
        histograms(report, width),
        sharing::growth(report),
        sharing::reuse(report),
        times::times(report),
    ];
    blocks.into_iter().filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n")
}

fn histograms(report: &WorkloadReport, width: usize) -> String {
    let histograms = [
        ("turns per conversation", &report.turns_per_conversation),
        ("tokens per message", &report.message_tokens),
        ("tokens per prompt", &report.prompt_tokens),
        ("tokens per answer", &report.answer_tokens),
        ("think time (s)", &report.times.think_time_sec),
    ];
    let shown = histograms.into_iter().filter(|(_, one)| one.describe.min != one.describe.max);
    let histograms: Vec<_> = shown.map(|(title, one)| Histogram::of(title, one)).collect();
    side_by_side(&histograms, width)
}
