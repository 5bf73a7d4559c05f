use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU32;

use rustc_hash::{FxBuildHasher, FxHashMap};
use serde_json::{Map, Value};
use turnbench_model::{Content, Conversation, Message, Parent, RecordedTurn, TurnRules, TurnSpan};

use super::{Container, Format, Item, JsonRows, Peek, Reader, Row, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// turnbench's own form, and that of vLLM's multi-turn benchmark: `{"id", "messages"}` objects in a
/// list or after one another.
pub(super) const FORMAT: Format = Format {
    name: "conversations",
    about: "[{\"id\", \"messages\"}], as JSON or JSONL",
    sniff,
    read,
};

const KEYS: [&str; 6] = ["id", "messages", "request", "recorded", "hash_block_size", "parent"];

/// Any list at all, too, when nothing in it is an object: it is then refused with the place.
fn sniff(peek: &Peek) -> bool {
    if super::openai::sniff(peek) || super::sharegpt::sniff(peek) {
        return false;
    }
    match peek.container() {
        Container::JsonList => {
            peek.has_keys(&["id", "messages"]) || !peek.rows().iter().any(Value::is_object)
        }
        Container::JsonValues => peek.has_keys(&["id", "messages"]),
        Container::Parquet | Container::Text | Container::Empty => false,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    Ok(Box::new(Conversations::new(source.rows())))
}

/// Reads and validates conversations.
///
/// Each item needs an `id`, a string that no other item has, and `messages`, a list with one at
/// least; each message needs a `role`, and its `content` is a string, a list of parts, `null` or
/// absent. Every other key of a message is kept and sent as given. An item that is not so ends the
/// file: this is the form that tools write, and what is wrong in it is wrong on purpose or broken.
struct Conversations {
    rows: JsonRows,
    /// Row by hash of its id; a collision of hashes is told apart by nothing, and would refuse one
    /// file in 2^40 of a million rows.
    ids: FxHashMap<u64, u64>,
    unknown_keys: BTreeSet<String>,
    ready: VecDeque<Item>,
}

impl Conversations {
    fn new(rows: JsonRows) -> Self {
        let (ids, unknown_keys) = (FxHashMap::default(), BTreeSet::new());
        Self { rows, ids, unknown_keys, ready: VecDeque::new() }
    }

    fn take(&mut self, row: &Row) -> Result<(), WorkloadError> {
        let value = row.value()?;
        let item = row.node(&value);
        let conversation = conversation(&item)?;
        let hash = std::hash::BuildHasher::hash_one(&FxBuildHasher, &conversation.id);
        if let Some(first) = self.ids.insert(hash, row.index) {
            return Err(item.key("id").refuse(&format!(
                "an id that no other conversation has (item {first} has it, counted from 0)"
            )));
        }
        for key in item.object()?.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            if self.unknown_keys.insert(key.clone()) {
                let remark = item.key(key).remark("is an unknown key and has no effect");
                self.ready.push_back(Item::Remark(remark));
            }
        }
        if !conversation.messages.is_empty() && conversation.turns(TurnRules::default()).is_empty()
        {
            let remark = item.remark("has no message to answer and sends no request");
            self.ready.push_back(Item::Remark(remark));
        }
        self.ready.push_back(Item::Conversation(Box::new(conversation)));
        Ok(())
    }
}

impl Iterator for Conversations {
    type Item = Result<Item, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let taken = match self.rows.next()? {
                Ok(row) => self.take(&row),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

fn conversation(item: &Node) -> Result<Conversation, WorkloadError> {
    const MESSAGES: &str = "a list with one message at least";
    item.object()?;
    let id = item.key("id").string("a string")?.to_owned();
    let messages_node = item.key("messages");
    let messages = messages_node
        .items()
        .ok_or_else(|| messages_node.refuse(MESSAGES))?
        .map(|message_node| message(&message_node))
        .collect::<Result<Vec<_>, _>>()?;
    let recorded: Vec<RecordedTurn> = typed(&item.key("recorded"), RECORDED)?.unwrap_or_default();
    if messages.is_empty() && recorded.is_empty() {
        return Err(messages_node.refuse(MESSAGES));
    }
    let hash_block_size: Option<NonZeroU32> =
        typed(&item.key("hash_block_size"), "a whole number of tokens, 1 or more")?;
    let conversation = Conversation {
        id,
        messages,
        request: typed(&item.key("request"), "an object")?.unwrap_or_default(),
        recorded,
        hash_block_size: hash_block_size.map(NonZeroU32::get),
        parent: typed::<Parent>(&item.key("parent"), "{\"id\", \"after_turn\", \"before_turn\"}")?,
    };
    check_recorded(item, &conversation)?;
    Ok(conversation)
}

const RECORDED: &str = "a list with one object for each turn, of the keys sent_at_ns, \
                        think_time_ns, latency_ns, ttft_ns, model, prompt_tokens, min_tokens, \
                        max_tokens, hash_ids, standalone and messages_count";

/// What was recorded belongs to turns, one entry each.
fn check_recorded(item: &Node, conversation: &Conversation) -> Result<(), WorkloadError> {
    let recorded = conversation.recorded.len();
    if recorded == 0 || conversation.messages.is_empty() {
        return Ok(());
    }
    let turns: Vec<TurnSpan> = conversation.turns(TurnRules::default());
    if turns.len() == recorded {
        return Ok(());
    }
    let allowed =
        format!("a list with one entry for each turn, of which there are {}", turns.len());
    Err(item.key("recorded").refuse(&allowed))
}

/// A value of a known shape; absent and `null` are the same.
fn typed<T: serde::de::DeserializeOwned>(
    node: &Node,
    allowed: &str,
) -> Result<Option<T>, WorkloadError> {
    let parse = |value: &Value| T::deserialize(value).map_err(|_| node.refuse(allowed));
    node.not_null().map(parse).transpose()
}

/// A message as the chat API spells it, with every key it has.
pub(crate) fn message(node: &Node) -> Result<Message, WorkloadError> {
    let object = node.object()?;
    let role_node = node.key("role");
    let role = role_node.string("a role, such as \"user\" or \"assistant\"")?;
    if role.is_empty() {
        return Err(role_node.refuse("a role, such as \"user\" or \"assistant\""));
    }
    let content_node = node.key("content");
    let content = match content_node.value() {
        None | Some(Value::Null) => Content::Null,
        Some(Value::String(text)) => Content::Text(text.clone()),
        Some(Value::Array(parts)) => Content::Parts(parts.clone()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(content_node.refuse("a string, a list of parts, or null"));
        }
    };
    let extra: Map<String, Value> = object
        .iter()
        .filter(|(key, _)| !["role", "content"].contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok(Message { role: role.to_owned(), content, extra })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use serde_json::{Value, json};
    use turnbench_model::{Content, Conversation};

    use super::Conversations;
    use crate::format::{Item, JsonRows};
    use crate::{Warning, WorkloadError};

    fn from_json(
        path: &Path,
        json: &Value,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Conversation>, WorkloadError> {
        let text = std::io::Cursor::new(json.to_string().into_bytes());
        let rows = JsonRows::new(Arc::from(path), Box::new(text));
        let mut conversations = Vec::new();
        for item in Conversations::new(rows) {
            match item? {
                Item::Conversation(conversation) => conversations.push(*conversation),
                Item::Remark(warning) => warnings.push(warning),
                Item::Skipped(_) | Item::Merged(_) => {}
            }
        }
        Ok(conversations)
    }

    fn check(json: &Value, expect: &str) {
        let error = from_json(Path::new("in.json"), json, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn items_that_are_no_conversations_are_named_with_their_place() {
        let good = json!({"id": "a", "messages": [{"role": "user", "content": "x"}]});
        check(&json!([good, 5]), "in.json: [1] is 5, allowed is a JSON object");
        check(&json!([{"messages": []}]), "in.json: [0].id is missing, allowed is a string");
        check(&json!([{"id": 7}]), "in.json: [0].id is 7, allowed is a string");
        check(
            &json!([{"id": "a", "messages": "hi"}]),
            "in.json: [0].messages is \"hi\", allowed is a list with one message at least",
        );
        check(
            &json!([{"id": "a", "messages": []}]),
            "in.json: [0].messages is [], allowed is a list with one message at least",
        );
        check(
            &json!([{"id": "a", "messages": [{"content": "x"}]}]),
            "in.json: [0].messages[0].role is missing, allowed is a role, such as \"user\" or \
             \"assistant\"",
        );
        check(
            &json!([{"id": "a", "messages": [{"role": "user", "content": 5}]}]),
            "in.json: [0].messages[0].content is 5, allowed is a string, a list of parts, or null",
        );
        check(
            &json!([good, good]),
            "in.json: [1].id is \"a\", allowed is an id that no other conversation has (item 0 \
             has it, counted from 0)",
        );
        check(&json!(5), "in.json:1: the document is 5, allowed is a JSON object");
    }

    #[test]
    fn extra_roles_parts_and_keys_are_kept() {
        let json = json!([{"id": "a", "messages": [
            {"role": "system", "content": "s", "name": "n"},
            {"role": "user", "content": [{"type": "text", "text": "t"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "r"},
        ]}]);
        let conversations = from_json(Path::new("in.json"), &json, &mut Vec::new()).unwrap();
        let messages = &conversations[0].messages;
        assert_eq!(messages[0].extra["name"], "n");
        assert!(matches!(&messages[1].content, Content::Parts(parts) if parts.len() == 1));
        assert_eq!(messages[2].content, Content::Null);
        assert_eq!(messages[2].extra["tool_calls"], json!([{"id": "1"}]));
        assert_eq!(messages[3].role, "tool");
    }

    #[test]
    fn what_has_no_effect_is_warned_of_once() {
        let item = |id: &str| json!({"id": id, "x": 1, "messages": [{"role": "assistant"}]});
        let json = json!([item("a"), item("b")]);
        let mut warnings = Vec::new();
        from_json(Path::new("in.json"), &json, &mut warnings).unwrap();
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "in.json: [0].x is an unknown key and has no effect",
                "in.json: [0] has no message to answer and sends no request",
                "in.json: [1] has no message to answer and sends no request",
            ]
        );
    }
}
