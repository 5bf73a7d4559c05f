use std::collections::{BTreeMap, BTreeSet};

use turnbench_metrics::ConversationCounts;
use turnbench_model::{Conversation, Message, Plan, RequestRecord};
use turnbench_rundir::{LinePlace, RunDirError, WrittenLines};

/// Where the records with complete answers are, by conversation.
#[derive(Debug, Default)]
pub(crate) struct AnswerPlaces(BTreeMap<u32, Vec<LinePlace>>);

impl AnswerPlaces {
    /// Takes in a record, which is at `place`.
    pub(crate) fn add(&mut self, record: &RequestRecord, place: LinePlace) {
        if record.outcome.is_completed() {
            self.0.entry(record.conversation).or_default().push(place);
        }
    }

    /// A conversation with the server's answers in place of the recorded ones, as they went into
    /// the history; `None` when the workload has no such conversation.
    pub(crate) fn answered(
        &self,
        index: u32,
        workload: &[Conversation],
        records: &mut WrittenLines,
        plan: &Plan,
    ) -> Result<Option<Conversation>, RunDirError> {
        let Some(recorded) = workload.get(index as usize) else { return Ok(None) };
        let mut conversation = recorded.clone();
        let spans = recorded.turns(plan.request.turn_rules());
        // Answers where none was recorded: place among the messages, answer.
        let mut inserts: Vec<(usize, Message)> = Vec::new();
        for &place in self.0.get(&index).into_iter().flatten() {
            let record: RequestRecord = records.read_at(place)?;
            let Some(span) = spans.get(record.turn as usize - 1) else { continue };
            let message = record.answer.to_message(plan.request.history_reasoning);
            match span.answer {
                Some(_) if span.keeps_recorded => {}
                Some(answer) => conversation.messages[answer] = message,
                None => inserts.push((span.messages.end, message)),
            }
        }
        // From the back, so that the places before stay where they are.
        inserts.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        for (place, message) in inserts {
            conversation.messages.insert(place, message);
        }
        Ok(Some(conversation))
    }
}

/// What the records alone tell of the conversations, when the run did not live to say it.
#[derive(Debug, Default)]
pub(crate) struct ConversationTally {
    begun: BTreeSet<u32>,
    finished: u64,
    failed: u64,
}

impl ConversationTally {
    /// Takes in a record.
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        self.begun.insert(record.conversation);
        if record.ends_conversation {
            let is_completed = record.outcome.is_completed();
            self.finished += u64::from(is_completed);
            self.failed += u64::from(!is_completed);
        }
    }

    /// What became of all conversations.
    pub(crate) fn counts(&self, plan: &Plan) -> ConversationCounts {
        let total = u64::from(plan.workload.conversations_count);
        let begun = self.begun.len() as u64;
        ConversationCounts {
            total,
            finished: self.finished,
            unfinished: begun.saturating_sub(self.finished + self.failed),
            failed: self.failed,
            not_started: total.saturating_sub(begun),
        }
    }
}
