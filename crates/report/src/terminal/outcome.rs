use std::fmt::Write;

use turnbench_metrics::{Counts, FailureCount, RunReport, Throughput, TtftCorrection};

use super::lines::{counted, grouped, labelled, wrapped};

/// Longest message of a failure shown on the terminal, in characters.
const MESSAGE_LENGTH: usize = 160;

/// What became of requests and conversations: completed, failed by kind, cancelled, unfinished;
/// and the rates over the true span of the run.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn outcome_text(report: &RunReport, width: usize) -> String {
    let counts = &report.counts;
    let mut text = labelled(width, "requests", &requests(counts));
    for failure in &counts.failures {
        text.push_str(&wrapped(width, "  ", &failure_line(failure), 4));
    }
    let warmup = counts.requests;
    if warmup.warmup_failed_attempts > 0 {
        let failed = grouped(warmup.warmup_failed_attempts);
        let attempts = counted(warmup.warmup_attempts, "attempt");
        let _ = writeln!(text, "  warm-up step: {failed} of {attempts} failed");
    }
    text.push_str(&labelled(width, "conversations", &conversations(counts)));
    if counts.interrupted {
        text.push_str(&labelled(width, "run", "interrupted before its end"));
    }
    text.push_str(&throughput(&report.throughput, width));
    text
}

fn requests(counts: &Counts) -> String {
    let requests = counts.requests;
    let mut line =
        format!("{} completed, {} failed", grouped(requests.completed), grouped(requests.failed));
    if requests.cancelled > 0 {
        let _ = write!(line, ", {} cancelled", grouped(requests.cancelled));
    }
    let mut further = Vec::new();
    if requests.retries > 0 {
        let noun = if requests.retries == 1 { "retry" } else { "retries" };
        further.push(counted(requests.attempts, "attempt"));
        further.push(format!("{} {noun}", grouped(requests.retries)));
    }
    if requests.reconnects > 0 {
        further.push(counted(requests.reconnects, "reconnect"));
    }
    if !further.is_empty() {
        let _ = write!(line, " ({})", further.join(", "));
    }
    line
}

fn failure_line(failure: &FailureCount) -> String {
    let status = failure.status.map_or_else(String::new, |status| format!(" {status}"));
    let message: String = failure.message.chars().take(MESSAGE_LENGTH).collect();
    let attempts = counted(failure.attempts, "attempt");
    let requests = counted(failure.requests, "request");
    let kind = failure.kind.name();
    format!("{kind}{status}: {attempts}, {requests} given up; first: {message}")
}

fn conversations(counts: &Counts) -> String {
    let conversations = counts.conversations;
    let mut line = format!("{} finished", grouped(conversations.finished));
    let others = [
        (conversations.unfinished, "unfinished"),
        (conversations.failed, "failed"),
        (conversations.not_started, "not started"),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(line, ", {} {what}", grouped(count));
    }
    let _ = write!(line, " of {}", grouped(conversations.total));
    line
}

fn throughput(rates: &Throughput, width: usize) -> String {
    let (Some(span), Some(requests)) = (rates.span_sec, rates.requests_per_sec) else {
        return String::new();
    };
    let tokens = rates.output_tokens_per_sec;
    let tokens = tokens.map_or_else(String::new, |rate| format!(" {rate:.1} output tokens/s,"));
    labelled(width, "throughput", &format!("{requests:.2} requests/s,{tokens} over {span:.2} s"))
}

/// A note for how many requests the table's TTFT was lowered; empty when for none.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn correction_text(correction: &TtftCorrection, width: usize) -> String {
    if correction.corrected == 0 {
        return String::new();
    }
    let corrected = grouped(correction.corrected);
    let requests = counted(correction.requests, "request");
    let mut note = format!(
        "ttft_ms is lowered for {corrected} of {requests}, whose first chunk held several \
         tokens, as the reference does; the tables below have ttft_raw_ms, as measured"
    );
    if correction.nearly_all_removed > 0 {
        let count = grouped(correction.nearly_all_removed);
        let _ = write!(note, "; next to nothing is left of it for {count} of them");
    }
    wrapped(width, "note: ", &note, 6)
}
