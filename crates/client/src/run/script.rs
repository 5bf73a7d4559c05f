use std::sync::Arc;

use serde_json::{Map, Value};
use turnbench_model::{Compat, Conversation, Message, RequestPlan, TurnSpan};

/// A conversation prepared for replay: nothing about it is worked out while the run goes. Its
/// messages are those of the workload, which all scripts share.
#[derive(Clone, Debug)]
pub struct Script {
    /// Id of the conversation.
    pub id: Arc<str>,
    /// Its turns.
    pub turns: Vec<TurnScript>,
    /// Keys of every request besides those that turnbench sets: the data set's, and over them the
    /// plan's.
    pub extra_body: Arc<Map<String, Value>>,
    workload: Arc<[Conversation]>,
    /// Place of the conversation in the workload.
    index: usize,
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
    /// Prepares all conversations of a workload. `answer_tokens` has the tokens of each turn's
    /// recorded answer, by the local tokenizer; `None` where there is no answer or no tokenizer.
    /// Lengths that the data set states go before these.
    pub fn of_workload(
        workload: &Arc<[Conversation]>,
        answer_tokens: &[Vec<Option<u32>>],
        plan: &RequestPlan,
    ) -> Vec<Self> {
        let plan_body = Arc::new(plan.extra_body.clone());
        let script = |(index, tokens): (usize, &Vec<Option<u32>>)| {
            let conversation = &workload[index];
            Self {
                id: conversation.id.as_str().into(),
                turns: TurnScript::of_conversation(conversation, tokens, plan),
                extra_body: if conversation.request.is_empty() {
                    Arc::clone(&plan_body)
                } else {
                    let mut body = conversation.request.clone();
                    body.extend(plan.extra_body.clone());
                    Arc::new(body)
                },
                workload: Arc::clone(workload),
                index,
            }
        };
        answer_tokens.iter().enumerate().take(workload.len()).map(script).collect()
    }

    /// The messages as recorded.
    pub fn messages(&self) -> &[Message] {
        &self.workload[self.index].messages
    }

    /// The recorded answer of a turn (from 0).
    pub fn recorded_answer(&self, turn: usize) -> Option<&Message> {
        self.turns.get(turn)?.span.answer.map(|index| &self.messages()[index])
    }
}

impl TurnScript {
    fn of_conversation(
        conversation: &Conversation,
        answer_tokens: &[Option<u32>],
        plan: &RequestPlan,
    ) -> Vec<Self> {
        conversation
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
                Self {
                    span,
                    max_tokens: limit(plan.limit_max_tokens, max_tokens),
                    min_tokens: limit(plan.limit_min_tokens, min_tokens)
                        .filter(|_| plan.send_min_tokens),
                }
            })
            .collect()
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
    use std::sync::Arc;

    use turnbench_model::{Conversation, Message};

    use super::{Script, limit};

    #[test]
    fn scripts_hold_no_messages_of_their_own() {
        let conversation = |id: &str| Conversation::new(id, vec![Message::new("user", "hello")]);
        let workload: Arc<[Conversation]> = [conversation("a"), conversation("b")].into();
        let plan = serde_json::from_value(serde_json::json!({
            "stream": true, "limit_min_tokens": 0, "limit_max_tokens": 0, "send_min_tokens": true,
            "ignore_eos": false, "timeout_ns": 1, "send_conversation_id": false,
            "verify_output": false, "history_reasoning": "drop", "extra_body": {}, "compat": "none"
        }))
        .unwrap();
        let scripts = Script::of_workload(&workload, &[vec![None], vec![None]], &plan);
        assert_eq!(scripts.len(), 2);
        for (script, conversation) in scripts.iter().zip(&*workload) {
            assert_eq!(*script.id, conversation.id);
            assert_eq!(script.messages().as_ptr(), conversation.messages.as_ptr());
        }
        assert!(Arc::ptr_eq(&scripts[0].extra_body, &scripts[1].extra_body));
    }

    #[test]
    fn limits_follow_the_flag_or_the_recorded_answer() {
        assert_eq!(limit(5, Some(7)), Some(5));
        assert_eq!(limit(0, Some(7)), Some(7));
        assert_eq!(limit(0, Some(0)), Some(1));
        assert_eq!(limit(0, None), None);
        assert_eq!(limit(-1, Some(7)), None);
    }
}
