use std::collections::BTreeMap;

use crate::Warning;
use crate::format::Skipped;

/// Most remarks that are kept word by word.
const REMARKS_MAX: usize = 20;

/// What became of the rows of a file.
#[derive(Clone, Debug, Default)]
pub struct ReadReport {
    /// Conversations that the reader handed out.
    pub read: u64,
    /// Rows that are parts of these, beyond one for each.
    pub merged: u64,
    /// Conversations taken.
    pub kept: u64,
    /// Rows that are no conversation, by reason.
    pub skipped: BTreeMap<&'static str, SkipCount>,
    /// Conversations that a filter dropped, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Conversations that a filter shortened, by reason.
    pub cut: BTreeMap<&'static str, u64>,
    /// Conversations whose parent was dropped, cut or not selected.
    pub forks_cut: u64,
    /// Keys of recorded requests that are the run's matter and were taken out, with the number of
    /// conversations.
    pub request_keys: BTreeMap<&'static str, u64>,
    /// Remarks, the first few of them.
    pub remarks: Vec<Warning>,
    /// Remarks beyond these.
    pub more_remarks: u64,
}

/// Rows skipped for one reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SkipCount {
    /// How many.
    pub count: u64,
    /// The whole complaint about the first of them.
    pub first: String,
}

impl ReadReport {
    /// Rows that are no conversation.
    pub fn skipped_count(&self) -> u64 {
        self.skipped.values().map(|skip| skip.count).sum()
    }

    /// Conversations that filters dropped.
    pub fn dropped_count(&self) -> u64 {
        self.dropped.values().sum()
    }

    pub(super) fn skip(&mut self, skipped: &Skipped) {
        let count = self.skipped.entry(skipped.reason).or_default();
        if count.count == 0 {
            count.first = skipped.error.to_string();
        }
        count.count += 1;
    }

    pub(super) fn remark(&mut self, remark: Warning) {
        if self.remarks.len() < REMARKS_MAX {
            self.remarks.push(remark);
        } else {
            self.more_remarks += 1;
        }
    }
}
