mod bars;
mod overview;
mod sharing;
mod times;

use turnbench_metrics::{Distribution, WorkloadReport};

use super::lines::WIDTH;
use bars::{Histogram, Values, side_by_side};

/// Widest text that is of any use: five histograms beside one another.
const WIDTH_MAX: usize = 200;
/// Of fewer values the tables tell enough.
const SAMPLES_MIN: u64 = 10;

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
        ("turns per conversation", &report.turns_per_conversation, Values::Whole),
        ("tokens per message", &report.message_tokens, Values::Whole),
        ("tokens per prompt", &report.prompt_tokens, Values::Whole),
        ("tokens per answer", &report.answer_tokens, Values::Whole),
        ("think time (s)", &report.times.think_time_sec, Values::Continuous),
    ];
    let tells_more = |one: &Distribution| {
        one.describe.count >= SAMPLES_MIN && one.describe.min != one.describe.max
    };
    let shown = histograms.into_iter().filter(|(_, one, _)| tells_more(one));
    let histograms: Vec<_> =
        shown.map(|(title, one, values)| Histogram::of(title, one, values)).collect();
    side_by_side(&histograms, width)
}
