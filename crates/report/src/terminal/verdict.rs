use turnbench_metrics::{Level, Reason, RunReport};

use super::lines::{labelled, wrapped};

/// How far the numbers can be trusted, and each reason why not further, with what it touches; then
/// notes, which change no level.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn verdict_text(report: &RunReport, width: usize) -> String {
    let verdict = &report.verdict;
    let mut text = match verdict.level {
        Level::Trustworthy => labelled(
            width,
            "verdict",
            "trustworthy: nothing says that the client made these numbers",
        ),
        Level::Caution => {
            labelled(width, "verdict", "caution: some numbers say less than they seem to")
        }
        Level::ClientLimited => labelled(
            width,
            "verdict",
            "client-limited: the client, not the server, made some numbers",
        ),
    };
    for reason in &verdict.reasons {
        text.push_str(&wrapped(width, "  ", &reason_text(reason, verdict.level), 4));
    }
    for note in &verdict.notes {
        text.push_str(&wrapped(width, "  ", &format!("note: {}", note.text), 4));
    }
    text
}

fn reason_text(reason: &Reason, level: Level) -> String {
    let only = if reason.level < level { " (caution)" } else { "" };
    let touches = reason.touches.join(", ");
    format!("{}{only}: {}; touches {touches}", reason.id.name(), reason.text)
}
