use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Compat, History, Message, Nanos};

/// A conversation of the data set: an id, unique within the run, and its messages in order.
///
/// The other fields are what a data set knows beyond the text; each is left out of the JSON form
/// where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    /// Unique within the run.
    pub id: String,
    /// The recorded messages; answers of the server replace the recorded ones during a run.
    pub messages: Vec<Message>,
    /// Keys that go into every request of it beside the messages, such as `tools`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub request: Map<String, Value>,
    /// What was recorded of each turn, one entry for each of [`Conversation::turns`] under
    /// turnbench's own rules; empty where nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recorded: Vec<RecordedTurn>,
    /// Tokens that one of [`RecordedTurn::hash_ids`] stands for; `None` without ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_block_size: Option<u32>,
    /// The conversation that this one was started by, as an agent starts a sub-agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// What a data set or trace says about one turn, beyond its messages. Everything is optional.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecordedTurn {
    /// When the request was sent, in nanoseconds since the beginning of the trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at_ns: Option<Nanos>,
    /// Pause between the end of the answer before and this request (a user's think time, or the
    /// run time of a tool), in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think_time_ns: Option<Nanos>,
    /// How long the recorded server took for the whole answer, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<Nanos>,
    /// How long the recorded server took for the first token, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ns: Option<Nanos>,
    /// Model that the request went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of the whole prompt, by the recorded server's tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// Fewest tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<u32>,
    /// Most tokens of the answer; with a recorded length, that length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Names of the prompt's blocks, in order: the same name is the same run of tokens. The last
    /// block may be shorter than the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hash_ids: Vec<u64>,
    /// Whether the turn's messages are the whole prompt, so that no history goes before them.
    #[serde(skip_serializing_if = "is_false")]
    pub standalone: bool,
    /// How many messages the turn's request appends, answers of the model among them: a prompt
    /// that holds a history of its own, or a question whose answer was not recorded. Absent or
    /// zero: the roles tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_count: Option<u32>,
}

impl RecordedTurn {
    /// A turn whose answer has exactly this many tokens.
    #[must_use]
    pub fn with_answer_tokens(self, tokens: u32) -> Self {
        Self { min_tokens: Some(tokens), max_tokens: Some(tokens), ..self }
    }
}

/// Where a conversation forks from another one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Id of the other conversation.
    pub id: String,
    /// Turns of the parent that were sent before this conversation began.
    pub after_turn: u32,
    /// The parent's turn (from 1) that waited for the end of this conversation, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_turn: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The messages that one turn adds to the history before its request is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TurnSpan {
    /// Indices of the messages that the turn's request appends.
    pub messages: Range<usize>,
    /// Index of the recorded answer; `None` when the conversation ends with a question.
    pub answer: Option<usize>,
    /// Whether the recorded answer goes into the history in place of the server's: on demand, or
    /// because the messages after it refer to it (results of its tool calls).
    pub keeps_recorded: bool,
    /// Whether the request carries these messages alone, without a history.
    pub standalone: bool,
}

/// How conversations are taken apart into turns.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TurnRules {
    /// Whose way of counting turns.
    pub compat: Compat,
    /// Whose answers become history.
    pub history: History,
}

impl Conversation {
    /// A conversation of which nothing but its messages is known.
    pub fn new(id: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { id: id.into(), messages, ..Self::default() }
    }

    /// Splits the messages into turns.
    ///
    /// A turn ends before the first assistant message that follows something to answer. Leading
    /// system and assistant messages belong to the first turn's history. A last question without
    /// a recorded answer is a turn; trailing messages without a question are not.
    ///
    /// Where [`RecordedTurn::messages_count`] says how many messages a turn has, it has those, and
    /// the message after them is its answer if it is the model's. Where the turns have all messages
    /// between them, none is an answer.
    ///
    /// With [`Compat::Vllm`] every other message is a question, whatever its role, and the message
    /// after it the answer, as the reference counts.
    pub fn turns(&self, rules: TurnRules) -> Vec<TurnSpan> {
        match rules.compat {
            Compat::None => self.own_turns(rules.history),
            Compat::Vllm => self.paired_turns(),
        }
    }

    /// What was recorded of a turn (from 0), if anything was.
    pub fn recorded_turn(&self, turn: usize) -> Option<&RecordedTurn> {
        self.recorded.get(turn)
    }

    fn own_turns(&self, history: History) -> Vec<TurnSpan> {
        let mut turns: Vec<TurnSpan> = Vec::new();
        let mut start = 0;
        let has_answers = !self.counts_all_messages();
        while let Some(end) = self.turn_end(turns.len(), start) {
            let messages = start..end;
            let refers_back = self.messages[messages.clone()].iter().any(Message::answers_a_call);
            if refers_back && let Some(before) = turns.last_mut() {
                before.keeps_recorded = before.answer.is_some();
            }
            let is_answer =
                has_answers && self.messages.get(end).is_some_and(Message::is_assistant);
            let answer = is_answer.then_some(end);
            turns.push(TurnSpan {
                messages,
                answer,
                keeps_recorded: answer.is_some() && history == History::Recorded,
                standalone: self.is_standalone(turns.len()),
            });
            start = if answer.is_some() { end + 1 } else { end };
        }
        turns
    }

    /// End of the messages of a turn that begins at `start`; `None` when no turn follows.
    fn turn_end(&self, turn: usize, start: usize) -> Option<usize> {
        let rest = self.messages.get(start..).filter(|rest| !rest.is_empty())?;
        let recorded = self.recorded_turn(turn).and_then(|turn| turn.messages_count);
        if let Some(count) = recorded.filter(|&count| count > 0) {
            return Some(start + rest.len().min(count as usize));
        }
        let question = rest.iter().position(Message::asks)?;
        let answer = rest[question..].iter().position(Message::is_assistant);
        Some(answer.map_or(self.messages.len(), |answer| start + question + answer))
    }

    /// Whether every message is one of those that the turns are said to append.
    fn counts_all_messages(&self) -> bool {
        let counts = self.recorded.iter().map(|turn| turn.messages_count.map(u64::from));
        counts.sum::<Option<u64>>() == Some(self.messages.len() as u64)
    }

    fn is_standalone(&self, turn: usize) -> bool {
        self.recorded_turn(turn).is_some_and(|recorded| recorded.standalone)
    }

    fn paired_turns(&self) -> Vec<TurnSpan> {
        let count = self.messages.len();
        (0..count)
            .step_by(2)
            .map(|question| TurnSpan {
                messages: question..question + 1,
                answer: (question + 1 < count).then_some(question + 1),
                ..TurnSpan::default()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Conversation, RecordedTurn, TurnRules, TurnSpan};
    use crate::{Compat, History, Message};

    fn spans(roles: &[&str], compat: Compat) -> Vec<(usize, usize, Option<usize>)> {
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        let turns =
            Conversation::new("c", messages).turns(TurnRules { compat, ..TurnRules::default() });
        turns
            .into_iter()
            .map(|turn| (turn.messages.start, turn.messages.end, turn.answer))
            .collect()
    }

    fn check(roles: &[&str], expect: &[(usize, usize, Option<usize>)]) {
        assert_eq!(spans(roles, Compat::None), expect, "{roles:?}");
    }

    #[test]
    fn turns_end_before_an_answer_to_something_asked() {
        check(&["user", "assistant", "user", "assistant"], &[(0, 1, Some(1)), (2, 3, Some(3))]);
        check(&["system", "user", "assistant"], &[(0, 2, Some(2))]);
        check(&["assistant", "user", "assistant"], &[(0, 2, Some(2))]);
        check(&["user", "assistant", "user"], &[(0, 1, Some(1)), (2, 3, None)]);
        check(&["user", "user", "assistant"], &[(0, 2, Some(2))]);
        check(&["user", "assistant", "tool", "assistant"], &[(0, 1, Some(1)), (2, 3, Some(3))]);
        check(&["user", "assistant", "assistant", "user"], &[(0, 1, Some(1)), (2, 4, None)]);
        check(&["system"], &[]);
        check(&["user", "assistant", "system"], &[(0, 1, Some(1))]);
    }
    #[test]
    fn the_reference_takes_every_other_message_as_a_question() {
        let roles = ["user", "user", "user", "user"];
        assert_eq!(spans(&roles, Compat::Vllm), [(0, 1, Some(1)), (2, 3, Some(3))]);
        assert_eq!(spans(&roles[..3], Compat::Vllm), [(0, 1, Some(1)), (2, 3, None)]);
    }

    fn tool_conversation() -> Conversation {
        let roles = ["user", "assistant", "tool", "assistant", "user", "assistant"];
        Conversation::new("c", roles.iter().map(|role| Message::new(role, "x")).collect())
    }

    #[test]
    fn an_answer_stays_when_tool_results_refer_to_it_or_on_demand() {
        let keeps = |history| -> Vec<bool> {
            let rules = TurnRules { history, ..TurnRules::default() };
            tool_conversation().turns(rules).iter().map(|turn| turn.keeps_recorded).collect()
        };
        assert_eq!(keeps(History::Live), [true, false, false]);
        assert_eq!(keeps(History::Recorded), [true, true, true]);
    }

    #[test]
    fn a_recorded_turn_may_stand_alone() {
        let standalone = RecordedTurn { standalone: true, ..RecordedTurn::default() };
        let recorded = vec![RecordedTurn::default(), standalone, RecordedTurn::default()];
        let conversation = Conversation { recorded, ..tool_conversation() };
        let turns = conversation.turns(TurnRules::default());
        let alone: Vec<bool> = turns.iter().map(|turn| turn.standalone).collect();
        assert_eq!(alone, [false, true, false]);
    }

    /// Messages and answer of each turn, where the counts of messages are given.
    fn counted(roles: &[&str], counts: &[Option<u32>]) -> Vec<(usize, usize, Option<usize>)> {
        let turn = |&messages_count| RecordedTurn { messages_count, ..RecordedTurn::default() };
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        let recorded = counts.iter().map(turn).collect();
        let conversation = Conversation { recorded, ..Conversation::new("c", messages) };
        let turns = conversation.turns(TurnRules::default());
        let span = |turn: &TurnSpan| (turn.messages.start, turn.messages.end, turn.answer);
        turns.iter().map(span).collect()
    }

    #[test]
    fn a_turn_has_the_messages_that_were_counted() {
        let fork = ["user", "assistant", "user", "assistant", "user", "assistant"];
        assert_eq!(counted(&fork, &[Some(3), None]), [(0, 3, Some(3)), (4, 5, Some(5))]);
        let unanswered = ["user", "user", "user"];
        assert_eq!(
            counted(&unanswered, &[Some(1), Some(1), Some(1)]),
            [(0, 1, None), (1, 2, None), (2, 3, None)]
        );
        assert_eq!(counted(&unanswered, &[Some(2), Some(7)]), [(0, 2, None), (2, 3, None)]);
        assert_eq!(counted(&unanswered, &[Some(0)]), [(0, 3, None)]);
        // Whole prompts, of which the second begins with an answer.
        let prompts = ["assistant", "user", "assistant", "user"];
        assert_eq!(counted(&prompts, &[Some(2), Some(2)]), [(0, 2, None), (2, 4, None)]);
        // A prompt that ends with the beginning of an answer.
        assert_eq!(counted(&["user", "assistant"], &[Some(2)]), [(0, 2, None)]);
        assert_eq!(counted(&[], &[Some(1)]), []);
    }

    #[test]
    fn a_result_without_a_recorded_call_keeps_nothing() {
        let messages = ["user", "tool"].map(|role| Message::new(role, "x")).to_vec();
        let recorded = vec![RecordedTurn { messages_count: Some(1), ..RecordedTurn::default() }];
        let conversation = Conversation { recorded, ..Conversation::new("c", messages) };
        let turns = conversation.turns(TurnRules::default());
        assert_eq!(turns.iter().map(|turn| turn.keeps_recorded).collect::<Vec<_>>(), [false; 2]);
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let json = serde_json::to_string(&Conversation::new("c", Vec::new())).unwrap();
        assert_eq!(json, r#"{"id":"c","messages":[]}"#);
        let recorded = vec![RecordedTurn::default().with_answer_tokens(7)];
        let conversation = Conversation { recorded, ..Conversation::new("c", Vec::new()) };
        let json = serde_json::to_string(&conversation).unwrap();
        let expect = r#"{"id":"c","messages":[],"recorded":[{"min_tokens":7,"max_tokens":7}]}"#;
        assert_eq!(json, expect);
        assert_eq!(serde_json::from_str::<Conversation>(&json).unwrap(), conversation);
    }
}
