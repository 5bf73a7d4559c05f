//! LLaMA-Factory's layout: the parts of a message are `{"type", "value"}`.
//!
//! `text` becomes the content (several are put together as the trainer does, without anything
//! between them), `reasoning` the message's `reasoning_content`, `tool_call` (JSON of `{"name",
//! "arguments"}`) an entry of `tool_calls` with a made id, and `image_url`, `audio_url` and
//! `video_url` parts of the API. A tool message answers the calls before it in their order; one
//! that holds a list of just as many results becomes as many messages. Keys of training
//! (`loss_weight`) are lost.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};
use turnbench_model::{Content, Message};

use super::check_role;
use crate::format::Skipped;
use crate::json_file::Node;

/// Whether a message's parts have values.
pub(super) fn is_message(message: &Node) -> bool {
    let content = message.key("content");
    let parts = content.value().and_then(Value::as_array);
    parts.is_some_and(|parts| {
        let of_layout = |part: &Value| part.get("value").is_some() && part.get("text").is_none();
        parts.first().is_some_and(|part| part.get("type").is_some() && of_layout(part))
    })
}

/// The messages of a row as the API spells them.
pub(super) fn messages(nodes: &[Node]) -> Result<Vec<Message>, Skipped> {
    let mut messages = Vec::with_capacity(nodes.len());
    let mut calls_count = 0;
    // Ids of calls that no tool message answered yet.
    let mut open: VecDeque<String> = VecDeque::new();
    for node in nodes {
        check_role(node)?;
        let role = node.key("role").value().and_then(Value::as_str).unwrap_or_default();
        let parts = Parts::read(node)?;
        if role == "tool" {
            messages.extend(tool_messages(parts.text, &mut open));
            continue;
        }
        let mut message = Message { role: role.to_owned(), ..parts.message() };
        if !parts.calls.is_empty() {
            open.clear();
            let calls = parts.calls.into_iter().map(|(name, arguments)| {
                let id = format!("call_{calls_count}");
                calls_count += 1;
                open.push_back(id.clone());
                let function = json!({"name": name, "arguments": arguments});
                json!({"id": id, "type": "function", "function": function})
            });
            message.extra.insert("tool_calls".to_owned(), calls.collect());
        }
        messages.push(message);
    }
    Ok(messages)
}

/// The parts of a message, by kind.
#[derive(Default)]
struct Parts {
    text: String,
    reasoning: String,
    /// Name and arguments, as JSON text.
    calls: Vec<(String, String)>,
    media: Vec<Value>,
    texts_count: usize,
}

impl Parts {
    fn read(message: &Node) -> Result<Self, Skipped> {
        let mut parts = Self::default();
        let content = message.key("content");
        let malformed = |error| Skipped::new("malformed message", error);
        let items = content.items().ok_or_else(|| malformed(content.refuse("a list of parts")))?;
        for part in items {
            let value = part.key("value");
            let text = value.string("a string").map_err(malformed)?;
            match part.key("type").value().and_then(Value::as_str) {
                Some("text") => {
                    parts.text.push_str(text);
                    parts.texts_count += 1;
                }
                Some("reasoning") => parts.reasoning.push_str(text),
                Some("tool_call") => parts.calls.push(call(&value, text)?),
                Some(kind @ ("image_url" | "audio_url" | "video_url")) => {
                    parts.media.push(media(&value, kind, text)?);
                }
                _ => {
                    let allowed = "text, reasoning, tool_call, image_url, audio_url or video_url";
                    return Err(malformed(part.key("type").refuse(allowed)));
                }
            }
        }
        Ok(parts)
    }

    /// The message without its role and calls.
    fn message(&self) -> Message {
        let mut extra = Map::new();
        if !self.reasoning.is_empty() {
            extra.insert("reasoning_content".to_owned(), self.reasoning.clone().into());
        }
        let content = if !self.media.is_empty() {
            let text = json!({"type": "text", "text": self.text});
            let text = (self.texts_count > 0).then_some(text);
            Content::Parts(self.media.iter().cloned().chain(text).collect())
        } else if self.texts_count > 0 {
            Content::Text(self.text.clone())
        } else {
            Content::Null
        };
        Message { role: String::new(), content, extra }
    }
}

fn call(node: &Node, text: &str) -> Result<(String, String), Skipped> {
    let parsed = serde_json::from_str::<Value>(text).ok();
    let call = parsed.as_ref().and_then(|call| {
        let arguments = plain_text(call.get("arguments")?);
        Some((call.get("name")?.as_str()?.to_owned(), arguments))
    });
    call.ok_or_else(|| {
        let error = node.refuse("JSON text of {\"name\", \"arguments\"}");
        Skipped::new("malformed tool call", error)
    })
}

/// A string as it is, anything else as JSON.
fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn media(node: &Node, kind: &str, url: &str) -> Result<Value, Skipped> {
    if ["http://", "https://", "data:"].iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(json!({"type": kind, kind: {"url": url}}));
    }
    let error = node.refuse("a URL that begins with http://, https:// or data:");
    Err(Skipped::new("media that is a file", error))
}

/// A tool's result, for the calls that wait for one.
fn tool_messages(text: String, open: &mut VecDeque<String>) -> Vec<Message> {
    let results = serde_json::from_str::<Vec<Value>>(&text).unwrap_or_default();
    let contents: Option<Vec<&Value>> = results.iter().map(|it| it.get("content")).collect();
    match contents {
        Some(contents) if open.len() > 1 && contents.len() == open.len() => contents
            .into_iter()
            .map(|content| tool_message(plain_text(content), open.pop_front()))
            .collect(),
        _ => vec![tool_message(text, open.pop_front())],
    }
}

fn tool_message(text: String, id: Option<String>) -> Message {
    let mut message = Message::new("tool", text);
    message.extra.extend(id.map(|id| ("tool_call_id".to_owned(), Value::String(id))));
    message
}
