//! What the tests of all targets need.

use turnbench_model::Conversation;

use super::{Target, WriteError, WriteReport, Writer, WriterOptions};

pub(super) fn try_written(
    target: Target,
    options: WriterOptions,
    conversations: &[Conversation],
) -> Result<(String, WriteReport), WriteError> {
    let mut out = Vec::new();
    let mut writer = Writer::new(target, options, &mut out);
    for conversation in conversations {
        writer.write(conversation.clone())?;
    }
    let report = writer.finish()?;
    Ok((String::from_utf8(out).unwrap(), report))
}

pub(super) fn written(
    target: Target,
    options: WriterOptions,
    conversations: &[Conversation],
) -> (String, WriteReport) {
    try_written(target, options, conversations).unwrap()
}

pub(super) fn text_of(
    target: Target,
    options: WriterOptions,
    conversations: &[Conversation],
) -> String {
    written(target, options, conversations).0
}

/// Checks the rows and what is lost, as `what: count`.
pub(super) fn check(
    target: Target,
    options: WriterOptions,
    conversations: &[Conversation],
    rows: &[&str],
    lost: &[&str],
) {
    let (text, report) = written(target, options, conversations);
    assert_eq!(text.lines().collect::<Vec<_>>(), rows);
    let seen: Vec<String> =
        report.lost.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    assert_eq!(seen, lost);
    assert_eq!(report.rows, rows.len() as u64);
}
