use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};
use turnbench_model::python_json::PythonFormatter;
use turnbench_model::{Compat, Content, Conversation, Message};

use crate::json_file::Node;
use crate::{Warning, WorkloadError};

/// Validates a parsed list of conversations; `path` is its file, for messages.
///
/// Each item needs an `id`, a string that no other item has, and `messages`, a list with one at
/// least; each message needs a `role`, and its `content` is a string, a list of parts, `null` or
/// absent. Every other key of a message is kept and sent as given.
///
/// # Errors
/// The first item that is not as described, with its JSON path.
pub(crate) fn from_json(
    path: &Path,
    json: &Value,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Conversation>, WorkloadError> {
    let root = Node::root(path, json);
    let items = root.items().ok_or_else(|| root.refuse("a list of conversations"))?;
    let mut ids = BTreeMap::new();
    let mut unknown_keys = BTreeSet::new();
    let mut conversations = Vec::new();
    for (index, item) in items.enumerate() {
        let conversation = conversation(&item)?;
        if let Some(first) = ids.insert(conversation.id.clone(), index) {
            return Err(WorkloadError::DuplicateId {
                path: path.to_owned(),
                id: conversation.id,
                first,
                second: index,
            });
        }
        for key in item.object()?.keys().filter(|key| !["id", "messages"].contains(&key.as_str())) {
            if unknown_keys.insert(key.clone()) {
                warnings.push(item.key(key).remark("is an unknown key and has no effect"));
            }
        }
        if conversation.turns(Compat::None).is_empty() {
            warnings.push(item.remark("has no message to answer and sends no request"));
        }
        conversations.push(conversation);
    }
    Ok(conversations)
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
    if messages.is_empty() {
        return Err(messages_node.refuse(MESSAGES));
    }
    Ok(Conversation { id, messages })
}

fn message(node: &Node) -> Result<Message, WorkloadError> {
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

/// Writes conversations as the list `[{"id", "messages": [{"role", "content"}]}]` with the bytes of
/// Python's `json.dumps(list, indent=indent)`: ASCII only, no newline at the end. Writes are buffered.
///
/// # Errors
/// Those of `writer`.
pub fn write_conversations_json(
    conversations: &[Conversation],
    indent: usize,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let mut buffered = BufWriter::new(writer);
    let formatter = PythonFormatter::indented(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut buffered, formatter);
    conversations.serialize(&mut serializer).map_err(io::Error::from)?;
    buffered.flush()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use turnbench_model::Content;

    use super::{from_json, write_conversations_json};

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
            "in.json: [1].id is \"a\", as [0].id already is, allowed is an id that no other \
             conversation has",
        );
        check(&json!(5), "in.json: the document is 5, allowed is a list of conversations");
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

    #[test]
    fn written_conversations_have_pythons_bytes() {
        let json = json!([{"id": "a", "messages": [{"role": "user", "content": "é\u{7f}🙂"}]}]);
        let conversations = from_json(Path::new("in.json"), &json, &mut Vec::new()).unwrap();
        let mut out = Vec::new();
        write_conversations_json(&conversations, 4, &mut out).unwrap();
        let expect = "[\n    {\n        \"id\": \"a\",\n        \"messages\": [\n            {\n                \"role\": \"user\",\n                \"content\": \"\\u00e9\u{7f}\\ud83d\\ude42\"\n            }\n        ]\n    }\n]";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        let mut out = Vec::new();
        write_conversations_json(&[], 4, &mut out).unwrap();
        assert_eq!(out, b"[]");
    }
}
