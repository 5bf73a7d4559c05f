use serde_json::Value;
use turnbench_metrics::ConversationCounts;
use turnbench_model::{
    Compat, Content, Conversation, HistoryReasoning, Message, Plan, RequestRecord,
};

/// The conversations with the server's answers in place of the recorded ones.
pub(crate) struct Answered {
    conversations: Vec<Option<Conversation>>,
}

impl Answered {
    /// Puts the answers of the records into the workload.
    pub(crate) fn new(workload: &[Conversation], records: &[RequestRecord], plan: &Plan) -> Self {
        let mut conversations: Vec<Option<Conversation>> =
            workload.iter().cloned().map(Some).collect();
        for record in records.iter().filter(|record| record.outcome.is_completed()) {
            let index = record.conversation as usize;
            let Some(Some(conversation)) = conversations.get_mut(index) else { continue };
            let spans = workload[index].turns();
            let Some(span) = spans.get(record.turn as usize - 1) else { continue };
            let message = answer_message(record, plan);
            match span.answer {
                Some(answer) => conversation.messages[answer] = message,
                None => conversation.messages.push(message),
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

fn answer_message(record: &RequestRecord, plan: &Plan) -> Message {
    let answer = &record.answer;
    let mut message = Message::new("assistant", answer.content.clone());
    if plan.compat == Compat::Vllm {
        return message;
    }
    if !answer.tool_calls.is_empty() {
        if answer.content.is_empty() {
            message.content = Content::Null;
        }
        message.extra.insert("tool_calls".to_owned(), Value::Array(answer.tool_calls.clone()));
    }
    let keep = plan.request.history_reasoning == HistoryReasoning::Keep;
    if keep && !answer.reasoning.is_empty() {
        message.extra.insert("reasoning_content".to_owned(), answer.reasoning.clone().into());
    }
    message
}

/// What the records alone tell of the conversations, when the run did not live to say it.
pub(crate) fn counts_from_records(records: &[RequestRecord], plan: &Plan) -> ConversationCounts {
    let total = u64::from(plan.workload.conversations_count);
    let mut begun: Vec<u32> = records.iter().map(|record| record.conversation).collect();
    begun.sort_unstable();
    begun.dedup();
    let begun = begun.len() as u64;
    ConversationCounts {
        total,
        finished: 0,
        unfinished: begun,
        failed: 0,
        not_started: total.saturating_sub(begun),
    }
}
