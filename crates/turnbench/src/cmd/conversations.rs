use std::collections::BTreeSet;

use turnbench_metrics::ConversationCounts;
use turnbench_model::{Conversation, Message, Plan, RequestRecord};

/// The conversations with the server's answers in place of the recorded ones.
pub(crate) struct Answered {
    conversations: Vec<Option<Conversation>>,
}

impl Answered {
    /// Puts the answers of the records into the workload, as they went into the history.
    pub(crate) fn new(workload: &[Conversation], records: &[RequestRecord], plan: &Plan) -> Self {
        let mut conversations: Vec<Option<Conversation>> =
            workload.iter().cloned().map(Some).collect();
        // Answers where none was recorded: conversation, place among its messages, answer.
        let mut inserts: Vec<(usize, usize, Message)> = Vec::new();
        for record in records.iter().filter(|record| record.outcome.is_completed()) {
            let index = record.conversation as usize;
            let Some(Some(conversation)) = conversations.get_mut(index) else { continue };
            let spans = workload[index].turns(plan.request.turn_rules());
            let Some(span) = spans.get(record.turn as usize - 1) else { continue };
            let message = record.answer.to_message(plan.request.history_reasoning);
            match span.answer {
                Some(_) if span.keeps_recorded => {}
                Some(answer) => conversation.messages[answer] = message,
                None => inserts.push((index, span.messages.end, message)),
            }
        }
        // From the back, so that the places before stay where they are.
        inserts.sort_by_key(|(_, place, _)| std::cmp::Reverse(*place));
        for (index, place, message) in inserts {
            if let Some(conversation) = &mut conversations[index] {
                conversation.messages.insert(place, message);
            }
        }
        Self { conversations }
    }

    /// Takes these out, in this order.
    pub(crate) fn take(&mut self, indices: &[u32]) -> Vec<Conversation> {
        indices
            .iter()
            .filter_map(|&index| self.conversations.get_mut(index as usize)?.take())
            .collect()
    }
}

/// What the records alone tell of the conversations, when the run did not live to say it.
pub(crate) fn counts_from_records(records: &[RequestRecord], plan: &Plan) -> ConversationCounts {
    let total = u64::from(plan.workload.conversations_count);
    let begun: BTreeSet<u32> = records.iter().map(|record| record.conversation).collect();
    let ended = |completed: bool| {
        let ended = records.iter().filter(|record| record.ends_conversation);
        ended.filter(|record| record.outcome.is_completed() == completed).count() as u64
    };
    let (begun, finished, failed) = (begun.len() as u64, ended(true), ended(false));
    ConversationCounts {
        total,
        finished,
        unfinished: begun.saturating_sub(finished + failed),
        failed,
        not_started: total.saturating_sub(begun),
    }
}
