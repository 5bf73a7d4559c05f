use std::fmt::Write;

use turnbench_metrics::{Counts, RunReport, TtftCorrection};

use super::lines::{counted, grouped, wrapped};

/// Longest message of a failure shown on the terminal, in characters.
const MESSAGE_LENGTH: usize = 160;

/// What became of requests and conversations: completed, failed by kind, cancelled, unfinished;
/// and the rates over the true span of the run.
pub fn outcome_text(report: &RunReport) -> String {
    let counts = &report.counts;
    let mut text = requests_text(counts);
    text.push_str(&conversations_text(counts));
    if counts.interrupted {
        text.push_str("run            interrupted before its end\n");
    }
    let rates = &report.throughput;
    if let (Some(span), Some(requests)) = (rates.span_sec, rates.requests_per_sec) {
        let tokens = rates
            .output_tokens_per_sec
            .map_or_else(String::new, |rate| format!(", {rate:.1} output tokens/s"));
        let _ = writeln!(
            text,
            "throughput     {requests:.2} requests/s{tokens} over {span:.2} s from first send to last end"
        );
    }
    text
}

fn requests_text(counts: &Counts) -> String {
    let requests = counts.requests;
    let mut parts = vec![format!("{} completed", grouped(requests.completed))];
    parts.push(format!("{} failed", grouped(requests.failed)));
    if requests.cancelled > 0 {
        parts.push(format!("{} cancelled", grouped(requests.cancelled)));
    }
    let mut line = format!("requests       {}", parts.join(", "));
    if requests.retries > 0 {
        let retries = grouped(requests.retries);
        let noun = if requests.retries == 1 { "retry" } else { "retries" };
        let _ = write!(line, " ({}, {retries} {noun})", counted(requests.attempts, "attempt"));
    }
    let mut text = format!("{line}\n");
    for failure in &counts.failures {
        let status = failure.status.map_or_else(String::new, |status| format!(" {status}"));
        let message: String = failure.message.chars().take(MESSAGE_LENGTH).collect();
        let line = format!(
            "{}{status}: {}, {} given up; first: {message}",
            failure.kind.name(),
            counted(failure.attempts, "attempt"),
            counted(failure.requests, "request"),
        );
        let _ = write!(text, "  {}", wrapped(&line, 4));
    }
    if requests.warmup_failed_attempts > 0 {
        let _ = writeln!(
            text,
            "  warm-up step: {} of {} failed",
            grouped(requests.warmup_failed_attempts),
            counted(requests.warmup_attempts, "attempt"),
        );
    }
    text
}

fn conversations_text(counts: &Counts) -> String {
    let conversations = counts.conversations;
    let parts = [
        (conversations.finished, "finished"),
        (conversations.unfinished, "unfinished"),
        (conversations.failed, "failed"),
        (conversations.not_started, "not started"),
    ];
    let shown = parts.iter().enumerate().filter(|(at, (count, _))| *at == 0 || *count > 0);
    let parts: Vec<String> =
        shown.map(|(_, (count, what))| format!("{} {what}", grouped(*count))).collect();
    format!("conversations  {} of {}\n", parts.join(", "), grouped(conversations.total))
}

/// A note for how many requests the table's TTFT was lowered; empty when for none.
pub fn correction_text(correction: &TtftCorrection) -> String {
    if correction.corrected == 0 {
        return String::new();
    }
    let mut note = format!(
        "note: ttft_ms is lowered for {} of {}, whose first chunk held several tokens, as the \
         reference does; ttft_raw_ms is as measured",
        grouped(correction.corrected),
        counted(correction.requests, "request"),
    );
    if correction.nearly_all_removed > 0 {
        let _ = write!(
            note,
            "; for {} of them next to nothing is left of it",
            grouped(correction.nearly_all_removed)
        );
    }
    wrapped(&note, 2)
}
