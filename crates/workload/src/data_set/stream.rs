use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashSet};
use turnbench_model::Conversation;

use super::filter::Verdict;
use super::selection::Reservoir;
use super::{ReadOptions, ReadReport, Selection};
use crate::WorkloadError;
use crate::format::{Format, Item, Reader, Source};

/// Conversations that are tokenized together, in parallel.
const BATCH: usize = 256;

/// The selected conversations of a file, read as they are asked for. A sample is drawn when the
/// first one is asked for.
pub struct ConversationStream<'a> {
    reader: Reader,
    options: ReadOptions<'a>,
    /// Hashes of the ids so far.
    ids: FxHashSet<u64>,
    ready: VecDeque<Conversation>,
    report: ReadReport,
    ended: bool,
}

impl std::fmt::Debug for ConversationStream<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ConversationStream").field("report", &self.report).finish()
    }
}

impl<'a> ConversationStream<'a> {
    pub(super) fn new(
        format: &'static Format,
        source: Source,
        options: &ReadOptions<'a>,
    ) -> Result<Self, WorkloadError> {
        // With filters the first ones need not be those that are taken.
        let max = match options.selection {
            Selection::First(count) if options.filters.keep_everything() => Some(count),
            Selection::All | Selection::First(_) | Selection::Sample { .. } => None,
        };
        Ok(Self {
            reader: (format.read)(source.with_conversations_max(max))?,
            options: *options,
            ids: FxHashSet::default(),
            ready: VecDeque::new(),
            report: ReadReport::default(),
            ended: false,
        })
    }

    /// What became of the rows so far.
    pub const fn report(&self) -> &ReadReport {
        &self.report
    }

    /// What became of the rows.
    pub fn into_report(self) -> ReadReport {
        self.report
    }

    /// The next conversation that passes the filters.
    fn next_passing(&mut self) -> Result<Option<Conversation>, WorkloadError> {
        while self.ready.is_empty() && !self.ended {
            let size = if self.options.filters.need_tokens() { BATCH } else { 1 };
            let batch = self.read_batch(size)?;
            let options = &self.options;
            let verdicts = if batch.len() > 1 {
                let judge = |one| options.filters.judge(one, options.tokenizer);
                batch.into_par_iter().map(judge).collect::<Result<Vec<_>, _>>()?
            } else {
                let judge = |one| options.filters.judge(one, options.tokenizer);
                batch.into_iter().map(judge).collect::<Result<Vec<_>, _>>()?
            };
            for verdict in verdicts {
                self.take_verdict(verdict);
            }
        }
        Ok(self.ready.pop_front())
    }

    fn read_batch(&mut self, size: usize) -> Result<Vec<Conversation>, WorkloadError> {
        let mut batch = Vec::with_capacity(size);
        while batch.len() < size {
            match self.reader.next().transpose()? {
                None => {
                    self.ended = true;
                    break;
                }
                Some(Item::Remark(remark)) => self.report.remark(remark),
                Some(Item::Merged(count)) => self.report.merged += count,
                Some(Item::Skipped(skipped)) if self.options.strict => return Err(*skipped.error),
                Some(Item::Skipped(skipped)) => self.report.skip(&skipped),
                Some(Item::Conversation(conversation)) => {
                    self.report.read += 1;
                    let hash = FxBuildHasher.hash_one(&conversation.id);
                    if self.ids.insert(hash) {
                        batch.push(*conversation);
                    } else {
                        *self.report.dropped.entry(DUPLICATE_ID).or_default() += 1;
                    }
                }
            }
        }
        Ok(batch)
    }

    fn take_verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Keep(conversation) => self.ready.push_back(*conversation),
            Verdict::Cut(conversation, reason) => {
                *self.report.cut.entry(reason).or_default() += 1;
                self.ready.push_back(*conversation);
            }
            Verdict::Drop(reason) => *self.report.dropped.entry(reason).or_default() += 1,
        }
    }

    fn next_selected(&mut self) -> Result<Option<Conversation>, WorkloadError> {
        match self.options.selection {
            Selection::First(count) if self.report.kept >= count as u64 => return Ok(None),
            Selection::Sample { count, seed } => {
                let mut reservoir = Reservoir::new(count, seed);
                while let Some(conversation) = self.next_passing()? {
                    reservoir.offer(conversation);
                }
                self.ready = reservoir.into_sample().into();
                self.options.selection = Selection::All;
            }
            Selection::All | Selection::First(_) => {}
        }
        let next = self.next_passing()?;
        self.report.kept += u64::from(next.is_some());
        Ok(next)
    }
}

const DUPLICATE_ID: &str = "an id that an earlier conversation has";

impl Iterator for ConversationStream<'_> {
    type Item = Result<Conversation, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_selected();
        if next.is_err() {
            // Nothing useful follows an error.
            self.ended = true;
            self.ready.clear();
            self.options.selection = Selection::All;
        }
        next.transpose()
    }
}
