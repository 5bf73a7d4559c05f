use std::collections::BTreeSet;
use std::sync::Arc;

use turnbench_client::run::{Control, Records};
use turnbench_model::{Clock, RequestRecord};
use turnbench_rundir::{LinesWriter, WrittenLines};
use turnbench_workload::server_counted;

use super::content::Content;
use super::progress::Progress;
use super::screen::Screen;

/// Every record of the run, to be read back, and whether the disk has them all.
pub(crate) struct Recorded {
    pub lines: WrittenLines,
    /// Why `records.jsonl` is incomplete.
    pub disk_error: Option<String>,
    /// As in [`Recorder`].
    pub usage_missing: Option<BTreeSet<u32>>,
    /// Bytes of all requests.
    pub sent_bytes: u64,
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
    /// `records.jsonl`, or a file that is gone with the process.
    pub lines: LinesWriter,
    /// Whether it is the former.
    pub is_kept: bool,
    /// Conversations with a request of which the server did not report the token counts, where that
    /// is asked for.
    pub usage_missing: Option<BTreeSet<u32>>,
    pub screen: Screen,
    pub progress: Progress,
    /// Asked for the number of requests when the run proper begins.
    pub control: &'a Control,
    pub clock: Arc<dyn Clock>,
    pub told: Told<'a>,
}

impl Recorder<'_> {
    /// Takes records until every sender is gone: to the disk, to the screen, and not into memory.
    /// Whatever has come is handed to the kernel before the next wait, so that a killed run has every
    /// record but those of its last milliseconds. What the disk refuses stays in memory.
    pub(crate) fn run(mut self, mut records: Records) -> Recorded {
        let mut warned = false;
        let mut sent_bytes = 0;
        loop {
            let mut wrote = Ok(());
            let more = records.take(|record| {
                let pushed = self.lines.push(&record);
                if wrote.is_ok() {
                    wrote = pushed;
                }
                sent_bytes += record.request_bytes;
                self.note(&record);
                self.tell(&record);
            });
            if !more {
                break;
            }
            if let Err(error) = wrote.and(self.lines.flush())
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
        self.screen.end();
        let (lines, flushed) = self.lines.finish();
        let disk_error = flushed.err().filter(|_| self.is_kept);
        Recorded {
            lines,
            disk_error: disk_error.map(|error| crate::exit::describe(&error.into())),
            usage_missing: self.usage_missing,
            sent_bytes,
        }
    }

    fn note(&mut self, record: &RequestRecord) {
        if let Some(missing) = &mut self.usage_missing
            && !server_counted(record)
        {
            missing.insert(record.conversation);
        }
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
