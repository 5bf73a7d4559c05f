use std::sync::Arc;

use serde_json::{Map, Value};
use turnbench_model::{Compat, Conversation, Message, RequestPlan, TurnSpan};

/// A conversation prepared for replay: nothing about it is worked out while the run goes.
#[derive(Clone, Debug)]
pub struct Script {
    /// Id of the conversation.
    pub id: Arc<str>,
    /// Its messages as recorded.
    pub messages: Vec<Message>,
    /// Its turns.
    pub turns: Vec<TurnScript>,
    /// Keys of every request besides those that turnbench sets: the data set's, and over them the
    /// plan's.
    pub extra_body: Map<String, Value>,
}

/// One turn of a script.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TurnScript {
    /// Messages that its request adds, and the recorded answer.
    pub span: TurnSpan,
    /// `max_tokens`; `None`: not sent.
    pub max_tokens: Option<u32>,
    /// `min_tokens`; `None`: not sent.
    pub min_tokens: Option<u32>,
}

impl Script {
    /// Prepares a conversation. `answer_tokens` has the tokens of each turn's recorded answer, by
    /// the local tokenizer; `None` where there is no answer or no tokenizer. Lengths that the data
    /// set states go before these.
    pub fn new(
        conversation: &Conversation,
        answer_tokens: &[Option<u32>],
        plan: &RequestPlan,
    ) -> Self {
        let turns = conversation
            .turns(plan.turn_rules())
            .into_iter()
            .enumerate()
            .map(|(index, span)| {
                let counted = answer_tokens.get(index).copied().flatten();
                let recorded = conversation
                    .recorded_turn(index)
                    .map(|turn| (turn.min_tokens, turn.max_tokens))
                    .filter(|lengths| plan.compat == Compat::None && *lengths != (None, None));
                let (min_tokens, max_tokens) = recorded.unwrap_or((counted, counted));
                TurnScript {
                    span,
                    max_tokens: limit(plan.limit_max_tokens, max_tokens),
                    min_tokens: limit(plan.limit_min_tokens, min_tokens)
                        .filter(|_| plan.send_min_tokens),
                }
            })
            .collect();
        let mut extra_body = conversation.request.clone();
        extra_body.extend(plan.extra_body.clone());
        Self {
            id: conversation.id.as_str().into(),
            messages: conversation.messages.clone(),
            turns,
            extra_body,
        }
    }

    /// The recorded answer of a turn (from 0).
    pub fn recorded_answer(&self, turn: usize) -> Option<&Message> {
        self.turns.get(turn)?.span.answer.map(|index| &self.messages[index])
    }
}

/// A limit's flag: positive is itself, 0 the recorded answer's tokens (at least 1), negative none.
fn limit(flag: i64, recorded: Option<u32>) -> Option<u32> {
    match flag {
        0 => recorded.map(|tokens| tokens.max(1)),
        flag if flag > 0 => Some(u32::try_from(flag).unwrap_or(u32::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::limit;

    #[test]
    fn limits_follow_the_flag_or_the_recorded_answer() {
        assert_eq!(limit(5, Some(7)), Some(5));
        assert_eq!(limit(0, Some(7)), Some(7));
        assert_eq!(limit(0, Some(0)), Some(1));
        assert_eq!(limit(0, None), None);
        assert_eq!(limit(-1, Some(7)), None);
    }
}
