use turnbench_model::Received;

use crate::http1::{Body, Mark};

/// Finds the read that brought a byte, for offsets that only grow.
///
/// Bodies may be taken in batches, and an event may begin in one and end in a later one: marks are kept
/// until it has ended.
#[derive(Debug, Default)]
pub(crate) struct MarkFinder {
    before: Vec<Mark>,
    marks: Vec<Mark>,
    at: usize,
}

impl MarkFinder {
    /// Takes the marks of the next batch; `goes_on` when an event began in an earlier one.
    pub(crate) fn extend(&mut self, body: &Body, goes_on: bool) {
        if goes_on {
            self.before.append(&mut self.marks);
        } else {
            self.before.clear();
            self.marks.clear();
        }
        self.marks.extend_from_slice(body.marks());
        self.at = 0;
    }

    /// The read that brought the byte before offset `end`. `None` when nothing was read.
    pub(crate) fn received(&mut self, end: usize) -> Option<Received> {
        if self.before.last().is_some_and(|last| last.end >= end) {
            let index = self.before.partition_point(|mark| mark.end < end);
            return self.before.get(index).map(|mark| mark.received);
        }
        while self.marks.get(self.at).is_some_and(|mark| mark.end < end) {
            self.at += 1;
        }
        self.marks.get(self.at).or(self.marks.last()).map(|mark| mark.received)
    }
}
