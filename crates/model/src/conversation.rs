use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Message;

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
}

impl Conversation {
    /// Splits the messages into turns.
    ///
    /// A turn ends before the first assistant message that follows something to answer. Leading
    /// system and assistant messages belong to the first turn's history. A last question without
    /// a recorded answer is a turn; trailing messages without a question are not.
    pub fn turns(&self) -> Vec<TurnSpan> {
        let mut turns = Vec::new();
        let mut start = 0;
        let mut asked = false;
        for (index, message) in self.messages.iter().enumerate() {
            if message.is_assistant() && asked {
                turns.push(TurnSpan { messages: start..index, answer: Some(index) });
                start = index + 1;
                asked = false;
            } else {
                asked |= message.asks();
            }
        }
        if asked {
            turns.push(TurnSpan { messages: start..self.messages.len(), answer: None });
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::{Conversation, TurnSpan};
    use crate::Message;

    fn check(roles: &[&str], expect: &[(usize, usize, Option<usize>)]) {
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        let conversation = Conversation { id: "c".into(), messages };
        let expect: Vec<_> = expect
            .iter()
            .map(|&(start, end, answer)| TurnSpan { messages: start..end, answer })
            .collect();
        assert_eq!(conversation.turns(), expect, "{roles:?}");
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
}
