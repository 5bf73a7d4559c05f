use std::collections::VecDeque;

use crate::truth::{TruthEntry, TruthLog};

/// Entries that are kept before writing goes on beside the streams.
const KEPT_MAX: usize = 262_144;
/// Times of writes in them that are kept before that: 64 MB.
const TIMES_MAX: usize = 8 * 1024 * 1024;
/// Entries written at a time then: about 50 µs.
const BATCH: usize = 32;

/// The truth, kept in memory while there is something to stream.
#[derive(Debug)]
pub(crate) struct Truths {
    log: TruthLog,
    kept: VecDeque<TruthEntry>,
    /// Times of writes in all of `kept`.
    times: usize,
}

impl Truths {
    /// Nothing is kept yet.
    pub(crate) const fn new(log: TruthLog) -> Self {
        Self { log, kept: VecDeque::new(), times: 0 }
    }

    /// Keeps an entry, if there is one.
    pub(crate) fn keep(&mut self, entry: Option<TruthEntry>) {
        self.times += entry.as_ref().map_or(0, times_count);
        self.kept.extend(entry);
    }

    /// Whether something has not been written.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Writes a few entries if too many are kept.
    pub(crate) fn relieve(&mut self) {
        while self.kept.len() > KEPT_MAX || self.times > TIMES_MAX {
            let batch = self.kept.len().min(BATCH);
            let freed: usize = self.kept.iter().take(batch).map(times_count).sum();
            self.times -= freed;
            self.log.write_all(self.kept.drain(..batch));
        }
    }

    /// Writes everything.
    pub(crate) fn flush(&mut self) {
        self.times = 0;
        self.log.write_all(self.kept.drain(..));
    }
}

/// Times of writes in an entry.
const fn times_count(entry: &TruthEntry) -> usize {
    entry.writes_unix_ns.len()
}
