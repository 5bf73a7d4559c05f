use std::collections::BTreeMap;
use std::fmt::Write as _;

use turnbench_model::{Conversation, HistoryReasoning, Message, Plan, RequestRecord, TurnRules};

/// `--print-content`: the messages of each request and its answer, as text.
pub(crate) struct Content<'a> {
    conversations: &'a [Conversation],
    rules: TurnRules,
    reasoning: HistoryReasoning,
    /// Answers so far of the conversations under way, by turn.
    answers: BTreeMap<u32, BTreeMap<u32, Message>>,
}

impl<'a> Content<'a> {
    pub(crate) fn new(conversations: &'a [Conversation], plan: &Plan) -> Self {
        let (rules, reasoning) = (plan.request.turn_rules(), plan.request.history_reasoning);
        Self { conversations, rules, reasoning, answers: BTreeMap::new() }
    }

    /// What one attempt sent and got.
    pub(crate) fn text(&mut self, record: &RequestRecord) -> String {
        let mut text = format!(
            "conversation {}, turn {}, {} messages:\n",
            record.conversation_id, record.turn, record.input_messages
        );
        if let Some(conversation) = self.conversations.get(record.conversation as usize) {
            self.push_messages(&mut text, conversation, record);
        }
        let answer = &record.answer;
        if !answer.reasoning.is_empty() {
            let _ = writeln!(text, "reasoning: {}", answer.reasoning);
        }
        for call in &answer.tool_calls {
            let _ = writeln!(text, "tool call: {call}");
        }
        let _ = writeln!(text, "answer: {}", answer.content);
        if let Some(failure) = record.outcome.failure() {
            let _ = writeln!(text, "failed: {}: {}", failure.kind.name(), failure.message);
        } else {
            let answers = self.answers.entry(record.conversation).or_default();
            answers.insert(record.turn, answer.to_message(self.reasoning));
        }
        if record.ends_conversation {
            self.answers.remove(&record.conversation);
        }
        text.push_str(&"-".repeat(70));
        text.push('\n');
        text
    }

    fn push_messages(
        &self,
        text: &mut String,
        conversation: &Conversation,
        record: &RequestRecord,
    ) {
        let show = |text: &mut String, message: &Message| {
            let _ = writeln!(text, "  {}: {}", message.role, message.content.text());
            for (key, value) in &message.extra {
                let _ = writeln!(text, "    {key}: {value}");
            }
        };
        let spans = conversation.turns(self.rules);
        let asked = &spans[..spans.len().min(record.turn as usize)];
        let first = asked.iter().rposition(|span| span.standalone).unwrap_or(0);
        for (turn, span) in (1..=record.turn).zip(asked).skip(first) {
            for message in &conversation.messages[span.messages.clone()] {
                show(text, message);
            }
            let recorded = span.answer.filter(|_| span.keeps_recorded && turn < record.turn);
            let recorded = recorded.map(|answer| &conversation.messages[answer]);
            let answers = self.answers.get(&record.conversation);
            if let Some(answer) = recorded.or_else(|| answers?.get(&turn)) {
                show(text, answer);
            }
        }
    }
}
