use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashSet};
use turnbench_model::Conversation;

use super::filter::Verdict;
use super::parents::{Parents, turns_count};
use super::selection::Reservoir;
use super::{ReadOptions, ReadReport, Selection, request_keys};
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
    parents: Parents,
    /// What ended the file, until everything before it is handed out.
    error: Option<WorkloadError>,
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
            parents: Parents::default(),
            error: None,
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
            let batch = self.read_batch(self.batch_size());
            let options = &self.options;
            let judge = |one: Conversation| {
                let id = one.id.clone();
                Ok::<_, WorkloadError>((id, options.filters.judge(one, options.tokenizer)?))
            };
            let verdicts = if batch.len() > 1 {
                batch.into_par_iter().map(judge).collect::<Result<Vec<_>, _>>()?
            } else {
                batch.into_iter().map(judge).collect::<Result<Vec<_>, _>>()?
            };
            for (id, verdict) in verdicts {
                self.take_verdict(&id, verdict);
            }
        }
        match self.ready.pop_front() {
            None => self.error.take().map_or(Ok(None), Err),
            next => Ok(next),
        }
    }

    /// Conversations to judge at once: many where they are tokenized, but none that is not asked
    /// for.
    fn batch_size(&self) -> usize {
        let wanted = match self.options.selection {
            Selection::First(count) => count.saturating_sub(self.report.kept as usize).max(1),
            Selection::All | Selection::Sample { .. } => BATCH,
        };
        if self.options.filters.need_tokens() { BATCH.min(wanted) } else { 1 }
    }

    /// Reads on, until there are enough or the file ends, well or badly.
    fn read_batch(&mut self, size: usize) -> Vec<Conversation> {
        let mut batch = Vec::with_capacity(size);
        while batch.len() < size && !self.ended {
            match self.reader.next() {
                None => self.ended = true,
                Some(Err(error)) => self.end_with(error),
                Some(Ok(Item::Remark(remark))) => self.report.remark(remark),
                Some(Ok(Item::Merged(count))) => self.report.merged += count,
                Some(Ok(Item::Skipped(skipped))) if self.options.strict => {
                    self.end_with(*skipped.error);
                }
                Some(Ok(Item::Skipped(skipped))) => self.report.skip(&skipped),
                Some(Ok(Item::Conversation(mut conversation))) => {
                    self.report.read += 1;
                    for key in request_keys::take_out(&mut conversation) {
                        *self.report.request_keys.entry(key).or_default() += 1;
                    }
                    let hash = FxBuildHasher.hash_one(&conversation.id);
                    if self.ids.insert(hash) {
                        batch.push(*conversation);
                    } else {
                        *self.report.dropped.entry(DUPLICATE_ID).or_default() += 1;
                    }
                }
            }
        }
        batch
    }

    fn end_with(&mut self, error: WorkloadError) {
        self.ended = true;
        self.error = Some(error);
    }

    fn take_verdict(&mut self, id: &str, verdict: Verdict) {
        match verdict {
            Verdict::Keep(conversation) => self.ready.push_back(*conversation),
            Verdict::Cut(conversation, reason) => {
                *self.report.cut.entry(reason).or_default() += 1;
                self.parents.shortened(id, turns_count(&conversation));
                self.ready.push_back(*conversation);
            }
            Verdict::Drop(reason) => {
                *self.report.dropped.entry(reason).or_default() += 1;
                self.parents.shortened(id, 0);
            }
        }
    }

    fn next_selected(&mut self) -> Result<Option<Conversation>, WorkloadError> {
        match self.options.selection {
            Selection::First(count) if self.report.kept >= count as u64 => return Ok(None),
            Selection::Sample { count, seed } => {
                let mut reservoir = Reservoir::new(count, seed);
                while let Some(conversation) = self.next_passing()? {
                    if let Some(id) = reservoir.offer(conversation) {
                        self.parents.shortened(&id, 0);
                    }
                }
                self.ready = reservoir.into_sample().into();
                self.options.selection = Selection::All;
            }
            Selection::All | Selection::First(_) => {}
        }
        let mut next = self.next_passing()?;
        if let Some(conversation) = &mut next {
            self.report.kept += 1;
            self.report.forks_cut += u64::from(self.parents.mend(conversation));
        }
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
