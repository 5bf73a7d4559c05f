use turnbench_metrics::{RunReport, TurnSummary};

use super::lines::{grouped, millis};

/// What a run means in short: the first turn against all later ones, and what the prefix cache
/// did in between, under a line that says which numbers these are. `None` without streaming, or
/// without completed requests on both sides.
pub fn demo_text(report: &RunReport) -> Option<String> {
    let first = report.turns.first().filter(|turn| turn.turn == 1)?;
    let later = report.later_turns.as_ref().filter(|_| report.plan.request.stream)?;
    let (first_ttft, later_ttft) =
        (first.ttft_raw_ms.percentile(50.0)?, later.ttft_raw_ms.percentile(50.0)?);
    let counted_by = if server_counts(first) && server_counts(later) {
        "the server's count"
    } else {
        "turnbench's count"
    };
    Some(format!(
        "in short (TTFT: median; prompt tokens: mean, {counted_by})\n\
         turn 1:      first token after {} ms{}\nlater turns: after {} ms{}, {}\n",
        millis(Some(first_ttft)),
        prompt_text(first),
        millis(Some(later_ttft)),
        prompt_text(later),
        comparison(first_ttft, later_ttft),
    ))
}

/// One line that compares the first turn with all later ones; empty where [`demo_text`] is `None`.
pub(super) fn later_turns_line(report: &RunReport) -> String {
    let first = report.turns.first().filter(|turn| turn.turn == 1 && report.plan.request.stream);
    let median = |turn: &TurnSummary| turn.ttft_raw_ms.percentile(50.0);
    match (first.and_then(median), report.later_turns.as_ref().and_then(median)) {
        (Some(first), Some(later)) => {
            let comparison = comparison(first, later);
            format!("later turns against turn 1: first token {comparison} (medians)\n")
        }
        _ => String::new(),
    }
}

/// Whether the server counted the prompt of every request.
fn server_counts(turn: &TurnSummary) -> bool {
    turn.cache.prompt_tokens.is_some() && turn.cache.reporting_requests == turn.requests
}

/// How long prompts were, and how much of them the server had cached.
fn prompt_text(turn: &TurnSummary) -> String {
    let reported = turn.cache.prompt_tokens.filter(|_| server_counts(turn));
    let mean = reported.map(|tokens| tokens as f64 / turn.requests as f64);
    let Some(tokens) = mean.or(turn.input_num_tokens.mean) else { return String::new() };
    let tokens = grouped(tokens.round() as u64);
    match turn.cache.cached_ratio {
        Some(ratio) => format!(", {:.0} % of {tokens} prompt tokens cached", ratio * 100.0),
        None => format!(", {tokens} prompt tokens"),
    }
}

fn comparison(first_ms: f64, later_ms: f64) -> String {
    if later_ms <= 0.0 || first_ms <= 0.0 {
        return "no comparison".to_owned();
    }
    let ratio = first_ms / later_ms;
    if ratio >= 1.05 {
        format!("{ratio:.1}x faster")
    } else if ratio <= 0.95 {
        format!("{:.1}x slower", 1.0 / ratio)
    } else {
        "no faster".to_owned()
    }
}
