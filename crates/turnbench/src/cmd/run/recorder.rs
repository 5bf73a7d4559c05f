use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use turnbench_model::RequestRecord;
use turnbench_rundir::LinesWriter;

use super::content::Content;
use super::progress::Progress;

/// How long a record may wait in the writer's buffer.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

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
/// the report.
pub(crate) fn record(
    receiver: &Receiver<RequestRecord>,
    mut lines: Option<LinesWriter>,
    progress: &mut Progress,
    mut told: Told<'_>,
) -> Recorded {
    let mut records = Vec::new();
    let mut warned = false;
    loop {
        let wrote = match receiver.recv_timeout(FLUSH_INTERVAL) {
            Ok(record) => {
                let wrote = lines.as_mut().map_or(Ok(()), |lines| lines.push(&record));
                progress.record(&record);
                if told.failures {
                    say_failure(progress, &record);
                }
                if let Some(content) = &mut told.content {
                    progress.say(content.text(&record).trim_end());
                }
                records.push(record);
                wrote
            }
            Err(RecvTimeoutError::Timeout) => lines.as_mut().map_or(Ok(()), LinesWriter::flush),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = wrote
            && !std::mem::replace(&mut warned, true)
        {
            let error = crate::exit::describe(&error.into());
            progress.say(&format!(
                "warning: {error}; the run goes on and its records stay in memory\nhint: free some \
                 space on that disk before the run ends"
            ));
        }
    }
    let last = lines.as_mut().map_or(Ok(()), LinesWriter::flush);
    let disk_error = last.err().map(|error| crate::exit::describe(&error.into()));
    Recorded { records, disk_error }
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
