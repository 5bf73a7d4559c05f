use std::sync::Arc;
use std::sync::mpsc::Receiver;

use turnbench_client::run::Control;
use turnbench_model::{Clock, RequestRecord};
use turnbench_rundir::{LinesWriter, RunDirError};

use super::content::Content;
use super::progress::Progress;
use super::screen::Screen;

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

/// Where records go.
pub(crate) struct Recorder<'a> {
    /// `records.jsonl`.
    pub lines: Option<LinesWriter>,
    pub screen: Screen,
    pub progress: Progress,
    /// Asked for the number of requests when the run proper begins.
    pub control: &'a Control,
    pub clock: Arc<dyn Clock>,
    pub told: Told<'a>,
}

impl Recorder<'_> {
    /// Takes records until every sender is gone: to the disk, to the screen, and into memory for the
    /// report. Whatever the channel holds is handed to the kernel before the next wait, so that a
    /// killed run has every record that had arrived.
    pub(crate) fn run(mut self, receiver: &Receiver<RequestRecord>) -> Recorded {
        let mut records = Vec::new();
        let mut warned = false;
        while let Ok(first) = receiver.recv() {
            let mut wrote = Ok(());
            for record in std::iter::once(first).chain(receiver.try_iter()) {
                if let Some(lines) = &mut self.lines {
                    wrote = wrote.and(lines.push(&record));
                }
                self.tell(&record);
                records.push(record);
            }
            if let Err(error) = wrote.and(self.flush())
                && !std::mem::replace(&mut warned, true)
            {
                let error = crate::exit::describe(&error.into());
                self.screen.say(format!(
                    "warning: {error}; the run goes on and its records stay in memory\nhint: free \
                     some space on that disk before the run ends"
                ));
            }
            self.screen.progress(self.progress);
        }
        let disk_error = self.flush().err();
        self.screen.end();
        Recorded {
            records,
            disk_error: disk_error.map(|error| crate::exit::describe(&error.into())),
        }
    }

    fn flush(&mut self) -> Result<(), RunDirError> {
        self.lines.as_mut().map_or(Ok(()), LinesWriter::flush)
    }

    fn tell(&mut self, record: &RequestRecord) {
        if record.phase != self.progress.phase() {
            let planned = self.control.planned_requests();
            self.progress = self.progress.next(record.phase, planned, self.clock.now());
        }
        self.progress.record(record);
        if self.told.failures
            && let Some(text) = failure_text(record)
        {
            self.screen.say(text);
        }
        if let Some(content) = &mut self.told.content {
            self.screen.say(content.text(record).trim_end().to_owned());
        }
    }
}

fn failure_text(record: &RequestRecord) -> Option<String> {
    let failure = record.outcome.failure()?;
    let what = if record.last_attempt { "failed" } else { "will be tried again" };
    Some(format!(
        "request {what}: conversation {}, turn {}, attempt {}: {}: {}",
        record.conversation_id,
        record.turn,
        record.attempt,
        failure.kind.name(),
        failure.message
    ))
}
