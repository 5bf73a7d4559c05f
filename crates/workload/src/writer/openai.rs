use serde_json::{Map, Value, json};
use turnbench_model::{Conversation, RecordedTurn, TurnRules};

use super::{Layout, Sheet, WriteError, WriteReport, lost};

/// Chat rows as the OpenAI API spells them, one a conversation: `{"id", "messages", …}` with the
/// request's keys (`tools`, …) beside the messages.
///
/// Messages go out with all their keys. `max_tokens`, `min_tokens` and `model` stand once in a row,
/// so they are written where all turns have the same. Times, block names and parents are lost, and
/// conversations without text as a whole.
pub(super) struct OpenAiRows;

impl Layout for OpenAiRows {
    fn write(&mut self, conversation: Conversation, sheet: &mut Sheet) -> Result<(), WriteError> {
        if conversation.messages.is_empty() {
            sheet.report.lose(lost::WITHOUT_TEXT, 1);
            return Ok(());
        }
        let row = row(conversation, &mut sheet.report);
        sheet.line(&row)?;
        sheet.report.conversations += 1;
        Ok(())
    }
}

fn row(conversation: Conversation, report: &mut WriteReport) -> Map<String, Value> {
    lost::lose_own(&conversation, report);
    lost::lose_trace(&conversation, report);
    report.lose(lost::SEND_TIMES, lost::turns(&conversation, |turn| turn.sent_at_ns.is_some()));
    report.lose(lost::THINK_TIMES, lost::turns(&conversation, |turn| turn.think_time_ns.is_some()));
    report.lose_if(has_own_borders(&conversation), lost::BORDERS);
    let Conversation { id, messages, request, recorded, .. } = conversation;
    let mut row = Map::new();
    if !is_made_id(&id) {
        row.insert("id".to_owned(), Value::String(id));
    }
    row.insert("messages".to_owned(), json!(messages));
    for (key, value) in request {
        if key == "id" || key == "messages" {
            report.lose(lost::REQUEST_KEYS, 1);
        } else {
            row.insert(key, value);
        }
    }
    let mut put = |key: &str, of: &dyn Fn(&RecordedTurn) -> Option<Value>, what| {
        let mut values = recorded.iter().map(of);
        match values.next().flatten() {
            Some(first)
                if !row.contains_key(key) && values.all(|it| it.as_ref() == Some(&first)) =>
            {
                row.insert(key.to_owned(), first);
            }
            _ => {
                let known = recorded.iter().filter(|turn| of(turn).is_some());
                report.lose(what, known.count() as u64);
            }
        }
    };
    put("model", &|turn| turn.model.clone().map(Value::from), lost::MODELS);
    // The API has no limit of 0 tokens.
    let limit = |tokens: Option<u32>| tokens.filter(|&tokens| tokens > 0).map(Value::from);
    put("max_tokens", &|turn| limit(turn.max_tokens), lost::MAX_TOKENS);
    put("min_tokens", &|turn| limit(turn.min_tokens), lost::MIN_TOKENS);
    row
}

/// Whether the turns are others than the roles of the messages make them.
fn has_own_borders(conversation: &Conversation) -> bool {
    if conversation.recorded.iter().all(|turn| turn.messages_count.is_none()) {
        return false;
    }
    let plain = Conversation::new("", conversation.messages.clone());
    let spans = |conversation: &Conversation| -> Vec<_> {
        let turns = conversation.turns(TurnRules::default());
        turns.into_iter().map(|turn| (turn.messages, turn.answer)).collect()
    };
    spans(&plain) != spans(conversation)
}

/// Whether an id was made from the number of a row that had none, and says nothing.
pub(super) fn is_made_id(id: &str) -> bool {
    id.strip_prefix("row-")
        .is_some_and(|row| !row.is_empty() && row.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};
    use turnbench_model::{Content, Conversation, Message, Nanos, Parent, RecordedTurn};

    use crate::writer::testing::check as check_rows;
    use crate::writer::{Target, WriterOptions};

    fn check(conversations: &[Conversation], rows: &[&str], lost: &[&str]) {
        check_rows(Target::OpenAi, WriterOptions::default(), conversations, rows, lost);
    }

    fn message(role: &str, content: Content, extra: &serde_json::Value) -> Message {
        let extra = extra.as_object().cloned().unwrap_or_default();
        Message { role: role.to_owned(), content, extra }
    }

    fn two_turns(recorded: Vec<RecordedTurn>) -> Conversation {
        let roles = ["user", "assistant", "user"];
        let messages = roles.iter().map(|role| Message::new(role, "x")).collect();
        Conversation { recorded, ..Conversation::new("a", messages) }
    }

    const MESSAGES: &str = r#"{"id":"a","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"x"},{"role":"user","content":"x"}]"#;

    #[test]
    fn messages_keep_their_keys_and_the_request_stands_beside_them() {
        let calls = json!({"reasoning_content": "r", "tool_calls": [{"id": "1"}]});
        let messages = vec![
            message("user", Content::Parts(vec![json!({"type": "text", "text": "t"})]), &json!({})),
            message("assistant", Content::Null, &calls),
            message("tool", Content::Text("é".to_owned()), &json!({"tool_call_id": "1"})),
        ];
        let request: Map<_, _> =
            [("tools".to_owned(), json!([{"type": "function"}]))].into_iter().collect();
        let conversation = Conversation { request, ..Conversation::new("row-7", messages) };
        check(
            &[conversation],
            &[concat!(
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"t"}]},"#,
                r#"{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"1"}]},"#,
                r#"{"role":"tool","content":"é","tool_call_id":"1"}],"tools":[{"type":"function"}]}"#,
            )],
            &[],
        );
    }

    #[test]
    fn one_value_for_all_turns_is_the_rows() {
        let turn = RecordedTurn { model: Some("m".to_owned()), ..RecordedTurn::default() };
        let exact = turn.clone().with_answer_tokens(5);
        let row = format!(r#"{MESSAGES},"model":"m","max_tokens":5,"min_tokens":5}}"#);
        check(&[two_turns(vec![exact.clone(), exact.clone()])], &[&row], &[]);
        let row = format!(r#"{MESSAGES},"model":"m"}}"#);
        let lost = ["limits of answer lengths: 1", "least lengths of answers: 1"];
        check(&[two_turns(vec![exact, turn])], &[&row], &lost);
    }

    #[test]
    fn what_a_chat_row_does_not_hold_is_counted() {
        let turn = RecordedTurn {
            sent_at_ns: Some(Nanos(1)),
            think_time_ns: Some(Nanos(1)),
            latency_ns: Some(Nanos(1)),
            prompt_tokens: Some(1),
            hash_ids: vec![1],
            standalone: true,
            messages_count: Some(1),
            ..RecordedTurn::default()
        };
        let second = RecordedTurn { messages_count: Some(1), ..turn.clone() };
        let parent = Some(Parent { id: "p".to_owned(), after_turn: 1, before_turn: None });
        let request = [("messages".to_owned(), json!(1))].into_iter().collect();
        let conversation = Conversation { parent, request, ..two_turns(vec![turn, second]) };
        let row = format!("{MESSAGES}}}");
        check(
            &[conversation, Conversation::new("b", Vec::new())],
            &[&row],
            &[
                "latencies of recorded answers: 2",
                "parents of sub-conversations: 1",
                "recorded lengths of prompts: 2",
                "block names of turns: 2",
                "turns without the history before them: 1",
                "send times: 2",
                "think times: 2",
                "keys of requests: 1",
                "conversations without text: 1",
            ],
        );
    }

    #[test]
    fn turns_with_a_history_of_their_own_lose_their_borders() {
        let turn = RecordedTurn { messages_count: Some(3), ..RecordedTurn::default() };
        let row = format!("{MESSAGES}}}");
        check(&[two_turns(vec![turn])], &[&row], &["borders between turns: 1"]);
    }
}
