use std::fmt::Write;

use turnbench_metrics::{RunReport, TurnSummary};
use turnbench_model::Compat;

use super::demo::later_turns_line;
use super::lines::{counted, grouped, millis, percentage, table, wrapped};

/// Most turns shown one by one; the run report has all of them.
const TURNS_SHOWN: usize = 12;

/// The table by turn: requests, TTFT, latency, input tokens and the cached share of the prompt
/// as the server reported it. Empty without a completed request.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn turns_text(report: &RunReport, width: usize) -> String {
    if report.turns.is_empty() {
        return String::new();
    }
    let heading =
        ["turn", "requests", "ttft p50 ms", "p90", "latency p50 ms", "input p50", "cached"];
    let streamed = report.plan.request.stream;
    let shown = report.turns.iter().take(TURNS_SHOWN);
    let later = report.later_turns.iter().filter(|_| report.turns.len() > 2);
    let rows: Vec<Vec<String>> = shown.chain(later).map(|turn| row(turn, streamed)).collect();
    let mut text = table(&heading, &rows);
    let hidden = report.turns.len().saturating_sub(TURNS_SHOWN) as u64;
    if hidden > 0 {
        let _ = writeln!(text, "({} more in the run report)", counted(hidden, "turn"));
    }
    text.push_str(&later_turns_line(report));
    if !streamed {
        text.push_str(&wrapped(
            width,
            "",
            "ttft: answers were not streamed, so there is none (the statistics above have the \
             whole answer's time as ttft_ms)",
            2,
        ));
    }
    text.push_str(&cached_note(report, width));
    text
}

/// Why the cached share is missing, or from how many requests it is.
fn cached_note(report: &RunReport, width: usize) -> String {
    let cache = &report.cache;
    if cache.reporting_requests == 0 {
        let why = match report.plan.compat {
            Compat::Vllm => {
                "cached: not known; like the reference, --compat vllm does not ask for usage"
            }
            Compat::None => {
                "cached: not reported by the server (vLLM: --enable-prompt-tokens-details, SGLang: \
                 --enable-cache-report)"
            }
        };
        wrapped(width, "", why, 2)
    } else if cache.reporting_requests < cache.requests {
        let reporting = grouped(cache.reporting_requests);
        format!("cached: reported for {reporting} of {}\n", counted(cache.requests, "request"))
    } else {
        String::new()
    }
}

fn row(turn: &TurnSummary, streamed: bool) -> Vec<String> {
    let name = if turn.turn == turn.turn_last {
        turn.turn.to_string()
    } else {
        format!("{}-{}", turn.turn, turn.turn_last)
    };
    let ttft = |percent: f64| turn.ttft_raw_ms.percentile(percent).filter(|_| streamed);
    let input = turn.input_num_tokens.percentile(50.0);
    vec![
        name,
        grouped(turn.requests),
        millis(ttft(50.0)),
        millis(ttft(90.0)),
        millis(turn.latency_ms.percentile(50.0)),
        input.map_or_else(|| "-".to_owned(), |count| grouped(count.round() as u64)),
        percentage(turn.cache.cached_ratio),
    ]
}
