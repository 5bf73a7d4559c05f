use std::collections::VecDeque;

use crate::truth::{TruthEntry, TruthLog};

/// Entries that are kept before writing goes on beside the streams.
const KEPT_MAX: usize = 65_536;
/// Entries written at a time then: about 50 µs.
const BATCH: usize = 32;

/// The truth, kept in memory while there is something to stream.
#[derive(Debug)]
pub(crate) struct Truths {
    log: TruthLog,
    kept: VecDeque<TruthEntry>,
}

impl Truths {
    /// Nothing is kept yet.
    pub(crate) const fn new(log: TruthLog) -> Self {
        Self { log, kept: VecDeque::new() }
    }

    /// Keeps an entry, if there is one.
    pub(crate) fn keep(&mut self, entry: Option<TruthEntry>) {
        self.kept.extend(entry);
    }

    /// Whether something has not been written.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Writes a few entries if too many are kept.
    pub(crate) fn relieve(&mut self) {
        if self.kept.len() > KEPT_MAX {
            self.log.write_all(self.kept.drain(..BATCH));
        }
    }

    /// Writes everything.
    pub(crate) fn flush(&mut self) {
        self.log.write_all(self.kept.drain(..));
    }
}
