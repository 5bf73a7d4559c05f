use std::sync::mpsc::Receiver;

use turnbench_model::RequestRecord;
use turnbench_rundir::{LinesWriter, RunDirError};

use super::content::Content;
use super::progress::Progress;

/// Every record of the run, and whether the disk has them all.
pub(crate) struct Recorded {
    pub records: Vec<RequestRecord>,
    /// Why `records.jsonl` is incomplete.
    pub disk_error: Option<String>,
}

/// What is told of each record as it comes.
pub(crate) struct Told<'a> {
    /// `--verbose`: failures.
    pub failures: bool,
    /// `--print-content`: messages and answers.
    pub content: Option<Content<'a>>,
}

/// Takes records until every sender is gone: to the disk, to the progress bar, and into memory for
/// the report. Whatever the channel holds is handed to the kernel before the next wait, so that a
/// killed run has every record that had arrived.
pub(crate) fn record(
    receiver: &Receiver<RequestRecord>,
    mut lines: Option<LinesWriter>,
    progress: &mut Progress,
    mut told: Told<'_>,
) -> Recorded {
    let mut records = Vec::new();
    let mut warned = false;
    while let Ok(first) = receiver.recv() {
        let mut wrote = Ok(());
        for record in std::iter::once(first).chain(receiver.try_iter()) {
            if let Some(lines) = &mut lines {
                wrote = wrote.and(lines.push(&record));
            }
            tell(progress, &mut told, &record);
            records.push(record);
        }
        if let Err(error) = wrote.and(flush(lines.as_mut()))
            && !std::mem::replace(&mut warned, true)
        {
            let error = crate::exit::describe(&error.into());
            progress.say(&format!(
                "warning: {error}; the run goes on and its records stay in memory\nhint: free some \
                 space on that disk before the run ends"
            ));
        }
    }
    let disk_error = flush(lines.as_mut()).err();
    Recorded { records, disk_error: disk_error.map(|error| crate::exit::describe(&error.into())) }
}

fn flush(lines: Option<&mut LinesWriter>) -> Result<(), RunDirError> {
    lines.map_or(Ok(()), LinesWriter::flush)
}

fn tell(progress: &mut Progress, told: &mut Told<'_>, record: &RequestRecord) {
    progress.record(record);
    if told.failures {
        say_failure(progress, record);
    }
    if let Some(content) = &mut told.content {
        progress.say(content.text(record).trim_end());
    }
}

fn say_failure(progress: &Progress, record: &RequestRecord) {
    let Some(failure) = record.outcome.failure() else { return };
    let what = if record.last_attempt { "failed" } else { "will be tried again" };
    progress.say(&format!(
        "request {what}: conversation {}, turn {}, attempt {}: {}: {}",
        record.conversation_id,
        record.turn,
        record.attempt,
        failure.kind.name(),
        failure.message
    ));
}
