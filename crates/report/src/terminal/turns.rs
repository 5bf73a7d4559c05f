use std::fmt::Write;

use turnbench_metrics::{RunReport, TurnSummary};

use super::lines::{counted, grouped, millis, percentage, table, wrapped};

/// Most turns shown one by one; the run report has all of them.
const TURNS_SHOWN: usize = 12;

/// The table by turn: requests, TTFT, latency, input tokens and the cached share of the prompt
/// as the server reported it. Empty without a completed request.
pub fn turns_text(report: &RunReport) -> String {
    if report.turns.is_empty() {
        return String::new();
    }
    let heading =
        ["turn", "requests", "ttft p50 ms", "p90", "latency p50 ms", "input p50", "cached"];
    let shown = report.turns.iter().take(TURNS_SHOWN);
    let later = report.later_turns.iter().filter(|_| report.turns.len() > 2);
    let rows: Vec<Vec<String>> = shown.chain(later).map(row).collect();
    let mut text = table(&heading, &rows);
    let hidden = report.turns.len().saturating_sub(TURNS_SHOWN) as u64;
    if hidden > 0 {
        let _ = writeln!(text, "({} more in the run report)", counted(hidden, "turn"));
    }
    if report.cache.reporting_requests == 0 {
        text.push_str(&wrapped(
            "",
            "cached: not reported by the server (vLLM: --enable-prompt-tokens-details, SGLang: \
             --enable-cache-report)",
            2,
        ));
    } else if report.cache.reporting_requests < report.cache.requests {
        let _ = writeln!(
            text,
            "cached: reported for {} of {}",
            grouped(report.cache.reporting_requests),
            counted(report.cache.requests, "request"),
        );
    }
    text
}

fn row(turn: &TurnSummary) -> Vec<String> {
    let name = if turn.turn == turn.turn_last {
        turn.turn.to_string()
    } else {
        format!("{}-{}", turn.turn, turn.turn_last)
    };
    let input = turn.input_num_tokens.percentile(50.0);
    vec![
        name,
        grouped(turn.requests),
        millis(turn.ttft_raw_ms.percentile(50.0)),
        millis(turn.ttft_raw_ms.percentile(90.0)),
        millis(turn.latency_ms.percentile(50.0)),
        input.map_or_else(|| "-".to_owned(), |count| grouped(count.round() as u64)),
        percentage(turn.cache.cached_ratio),
    ]
}
