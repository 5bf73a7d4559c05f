use std::collections::VecDeque;

use serde_json::{Map, Value};
use turnbench_model::{Content, Message};

use super::LIST_KEYS;
use super::speaker::{self, Speaker};
use crate::format::{Skipped, openai};
use crate::json_file::Node;

/// Keys of a role/content entry that are sent along.
const ENTRY_KEYS: [&str; 4] = ["name", "tool_calls", "tool_call_id", "reasoning_content"];

/// What an item holds of its conversation.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) messages: Vec<Message>,
    pub(super) request: Map<String, Value>,
}

/// The calls of a conversation.
#[derive(Debug, Default)]
pub(super) struct Calls {
    count: u64,
    /// Ids of calls that no result answered yet.
    open: VecDeque<String>,
}

/// The id that an item gives: text, or a number.
pub(super) fn id(item: &Value) -> Option<String> {
    match item.get("id")? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// The list of messages.
pub(super) fn list<'a>(item: &Node<'a>) -> Node<'a> {
    let present = LIST_KEYS.iter().map(|key| item.key(key)).find(|node| node.value().is_some());
    present.unwrap_or_else(|| item.key(LIST_KEYS[0]))
}

/// Reads an item.
pub(super) fn read(item: &Node, calls: &mut Calls) -> Result<Part, Skipped> {
    item.object().map_err(|error| Skipped::new("no object", error))?;
    let list = list(item);
    let entries =
        list.items().ok_or_else(|| Skipped::new("no list of messages", list.refuse("a list")))?;
    let mut part = Part::default();
    for entry in entries {
        entry_into(&entry, calls, &mut part.messages)?;
    }
    let system = item.key("system");
    if let Some(text) = system.value().and_then(Value::as_str).filter(|text| !text.is_empty())
        && part.messages.first().is_none_or(|first| first.role != "system")
    {
        part.messages.insert(0, Message::new("system", text));
    }
    if let Some(tools) = openai::tools(&item.key("tools"))? {
        part.request.insert("tools".to_owned(), tools);
    }
    Ok(part)
}

fn entry_into(entry: &Node, calls: &mut Calls, messages: &mut Vec<Message>) -> Result<(), Skipped> {
    entry.object().map_err(|error| Skipped::new("malformed message", error))?;
    let from = entry.key("from");
    let (name, text) = if from.value().is_some() {
        (from, entry.key("value"))
    } else if entry.key("role").value().is_some() {
        (entry.key("role"), entry.key("content"))
    } else {
        return Err(Skipped::new("message without a speaker", from.refuse(speaker::ALLOWED)));
    };
    let known = name.value().and_then(Value::as_str).and_then(Speaker::of);
    let Some(speaker) = known else {
        return Err(Skipped::new("unknown speaker", name.refuse(speaker::ALLOWED)));
    };
    let extra: Map<String, Value> = ENTRY_KEYS
        .iter()
        .filter_map(|&key| Some((key.to_owned(), entry.key(key).not_null()?.clone())))
        .collect();
    let content = content(&text, &extra)?;
    match speaker {
        Speaker::Role(role) => {
            if role == "user" && content.text().is_empty() && !matches!(content, Content::Parts(_))
            {
                let error = text.refuse("a question that is not empty");
                return Err(Skipped::new("empty question", error));
            }
            messages.push(Message { role: role.to_owned(), content, extra });
        }
        Speaker::Calls => messages.push(calls.ask(&text, &content.text())?),
        Speaker::Result if extra.contains_key("tool_call_id") => {
            messages.push(Message { role: "tool".to_owned(), content, extra });
        }
        Speaker::Result => messages.extend(calls.answer(content.text())),
    }
    Ok(())
}

fn content(node: &Node, extra: &Map<String, Value>) -> Result<Content, Skipped> {
    match node.value() {
        Some(Value::String(text)) => Ok(Content::Text(text.clone())),
        Some(Value::Array(parts)) if parts.iter().all(Value::is_object) => {
            Ok(Content::Parts(parts.clone()))
        }
        None | Some(Value::Null) if extra.contains_key("tool_calls") => Ok(Content::Null),
        _ => Err(Skipped::new("message without text", node.refuse("a string"))),
    }
}

impl Calls {
    /// The assistant's message that a text of calls means.
    fn ask(&mut self, node: &Node, text: &str) -> Result<Message, Skipped> {
        let Some(calls) = speaker::calls(text) else {
            let error =
                node.refuse("JSON text of {\"name\", \"arguments\"}, or of a list of these");
            return Err(Skipped::new("malformed function call", error));
        };
        self.open.clear();
        let calls = calls.iter().map(|(name, arguments)| {
            let id = format!("call_{}", self.count);
            self.count += 1;
            self.open.push_back(id.clone());
            speaker::call(&id, name, arguments)
        });
        let calls: Value = calls.collect();
        let extra = [("tool_calls".to_owned(), calls)].into_iter().collect();
        Ok(Message { role: "assistant".to_owned(), content: Content::Null, extra })
    }

    /// The tool messages that a result means: one, or as many as calls wait for one, where it is a
    /// list of as many.
    fn answer(&mut self, text: String) -> Vec<Message> {
        let results = serde_json::from_str::<Vec<Value>>(&text).unwrap_or_default();
        if self.open.len() > 1 && results.len() == self.open.len() {
            let text =
                |result: &Value| result.as_str().map_or_else(|| result.to_string(), str::to_owned);
            return results.iter().map(|result| self.result(text(result))).collect();
        }
        vec![self.result(text)]
    }

    fn result(&mut self, text: String) -> Message {
        let mut message = Message::new("tool", text);
        let id = self.open.pop_front();
        message.extra.extend(id.map(|id| ("tool_call_id".to_owned(), Value::String(id))));
        message
    }
}
