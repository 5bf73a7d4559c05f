use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Compat, Message};

/// A conversation of the data set: an id, unique within the run, and its messages in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    /// Unique within the run.
    pub id: String,
    /// The recorded messages; answers of the server replace the recorded ones during a run.
    pub messages: Vec<Message>,
}

/// The messages that one turn adds to the history before its request is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TurnSpan {
    /// Indices of the messages that the turn's request appends.
    pub messages: Range<usize>,
    /// Index of the recorded answer; `None` when the conversation ends with a question.
    pub answer: Option<usize>,
    /// Whether the recorded answer goes into the history in place of the server's, because the
    /// messages after it refer to it (results of its tool calls).
    pub keeps_recorded: bool,
}

impl Conversation {
    /// Splits the messages into turns.
    ///
    /// A turn ends before the first assistant message that follows something to answer. Leading
    /// system and assistant messages belong to the first turn's history. A last question without
    /// a recorded answer is a turn; trailing messages without a question are not.
    ///
    /// With [`Compat::Vllm`] every other message is a question, whatever its role, and the message
    /// after it the answer, as the reference counts.
    pub fn turns(&self, compat: Compat) -> Vec<TurnSpan> {
        match compat {
            Compat::None => self.own_turns(),
            Compat::Vllm => self.paired_turns(),
        }
    }

    fn own_turns(&self) -> Vec<TurnSpan> {
        let mut turns: Vec<TurnSpan> = Vec::new();
        let mut start = 0;
        let mut asked = false;
        for (index, message) in self.messages.iter().enumerate() {
            if message.is_assistant() && asked {
                turns.push(TurnSpan {
                    messages: start..index,
                    answer: Some(index),
                    keeps_recorded: false,
                });
                start = index + 1;
                asked = false;
                continue;
            }
            asked |= message.asks();
            if message.role == "tool"
                && let Some(before) = turns.last_mut()
            {
                before.keeps_recorded = true;
            }
        }
        if asked {
            let messages = start..self.messages.len();
            turns.push(TurnSpan { messages, answer: None, keeps_recorded: false });
        }
        turns
    }

    fn paired_turns(&self) -> Vec<TurnSpan> {
        let count = self.messages.len();
        (0..count)
            .step_by(2)
            .map(|question| TurnSpan {
                messages: question..question + 1,
                answer: (question + 1 < count).then_some(question + 1),
                keeps_recorded: false,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Conversation;
    use crate::{Compat, Message};

    fn spans(roles: &[&str], compat: Compat) -> Vec<(usize, usize, Option<usize>)> {
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        let turns = Conversation { id: "c".into(), messages }.turns(compat);
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

    #[test]
    fn an_answer_stays_when_tool_results_refer_to_it() {
        let roles = ["user", "assistant", "tool", "assistant", "user", "assistant"];
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        let turns = Conversation { id: "c".into(), messages }.turns(Compat::None);
        let keeps: Vec<bool> = turns.iter().map(|turn| turn.keeps_recorded).collect();
        assert_eq!(keeps, [true, false, false]);
    }
}
