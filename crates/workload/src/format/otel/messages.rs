use serde_json::{Map, Value, json};
use turnbench_model::{Content, Message};

use crate::format::Skipped;
use crate::json_file::Node;

/// The messages of an attribute: a list, or a string of JSON that is one.
pub(super) fn messages(attribute: &Node) -> Result<Vec<Message>, Skipped> {
    let refuse = || {
        let error = attribute.refuse("a list of messages, or JSON text of one");
        Skipped::new("malformed messages", error)
    };
    let parsed;
    let list = match attribute.value() {
        Some(Value::String(text)) => {
            parsed = serde_json::from_str::<Value>(text).map_err(|_| refuse())?;
            attribute.holding(&parsed)
        }
        _ => attribute.clone(),
    };
    let mut messages = Vec::new();
    for node in list.items().ok_or_else(refuse)? {
        if node.key("parts").value().is_some() {
            of_parts(&node, &mut messages)?;
        } else {
            messages.push(of_content(&node)?);
        }
    }
    Ok(messages)
}

/// System instructions: text, or a list of parts, or JSON text of one.
pub(super) fn instructions(attribute: &Node) -> Result<Option<Message>, Skipped> {
    let parsed;
    let parts = match attribute.not_null() {
        None => return Ok(None),
        Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => {
                parsed = list;
                attribute.holding(&parsed)
            }
            Ok(_) | Err(_) => return Ok(Some(Message::new("system", text))),
        },
        Some(_) => attribute.clone(),
    };
    let mut build = Parts::default();
    let refuse = || {
        let error = attribute.refuse("text, or a list of parts");
        Skipped::new("malformed messages", error)
    };
    for part in parts.items().ok_or_else(refuse)? {
        build.take(&part)?;
    }
    Ok(Some(Message { role: "system".to_owned(), content: build.content(), extra: Map::new() }))
}

fn role(node: &Node) -> Result<&'static str, Skipped> {
    const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];
    let role = node.key("role");
    let named = role.value().and_then(Value::as_str);
    let known = ROLES.into_iter().find(|known| Some(*known) == named);
    known.ok_or_else(|| {
        let error = role.refuse("system, developer, user, assistant, tool or function");
        Skipped::new("unknown role", error)
    })
}

/// A message as the chat API spells it.
fn of_content(node: &Node) -> Result<Message, Skipped> {
    role(node)?;
    let mut message =
        crate::format::message(node).map_err(|error| Skipped::new("malformed messages", error))?;
    message.extra.retain(|key, value| key != "finish_reason" && !value.is_null());
    let says_something = message.is_assistant() && !message.extra.is_empty();
    if message.content == Content::Null && !says_something {
        let error = node.key("content").refuse("a string or a list of parts");
        return Err(Skipped::new("message without content", error));
    }
    Ok(message)
}

/// A message of parts: itself, unless it holds nothing but tool results, and one for each of these.
fn of_parts(node: &Node, messages: &mut Vec<Message>) -> Result<(), Skipped> {
    let role = role(node)?;
    let list = node.key("parts");
    let mut parts = Parts::default();
    let refuse = || Skipped::new("malformed messages", list.refuse("a list of parts"));
    for part in list.items().ok_or_else(refuse)? {
        parts.take(&part)?;
    }
    let content = parts.content();
    let mut extra = Map::new();
    if !parts.reasoning.is_empty() {
        extra.insert("reasoning_content".to_owned(), parts.reasoning.into());
    }
    if !parts.calls.is_empty() {
        extra.insert("tool_calls".to_owned(), parts.calls.into());
    }
    let has_results = !parts.results.is_empty();
    messages.extend(parts.results);
    let says_something = content != Content::Null || !extra.is_empty();
    if says_something {
        messages.push(Message { role: role.to_owned(), content, extra });
    } else if !has_results {
        let error = list.refuse("a list of parts with one at least");
        return Err(Skipped::new("message without content", error));
    }
    Ok(())
}

/// Parts of a message by kind.
#[derive(Default)]
struct Parts {
    reasoning: String,
    calls: Vec<Value>,
    results: Vec<Message>,
    /// Text and media, as the chat API spells them.
    content: Vec<Value>,
}

impl Parts {
    fn take(&mut self, part: &Node) -> Result<(), Skipped> {
        let malformed = |error| Skipped::new("malformed messages", error);
        let text = |key| part.key(key).string("a string").map_err(malformed);
        let kind = part.key("type");
        match kind.value().and_then(Value::as_str) {
            Some("text") => self.content.push(json!({"type": "text", "text": text("content")?})),
            Some("reasoning" | "thinking") => self.reasoning.push_str(text("content")?),
            Some("tool_call") => {
                let arguments = as_text(part.key("arguments").value().unwrap_or(&Value::Null));
                let function = json!({"name": text("name")?, "arguments": arguments});
                let id = part.key("id").value().cloned().unwrap_or_default();
                self.calls.push(json!({"id": id, "type": "function", "function": function}));
            }
            Some("tool_call_response") => self.results.push(result(part)?),
            Some("uri") => self.content.push(media(part, text("uri")?)?),
            Some("blob") => {
                let mime = text("mime_type")?;
                let url = format!("data:{mime};base64,{}", text("content")?);
                self.content.push(media(part, &url)?);
            }
            _ => {
                let allowed = "text, reasoning, tool_call, tool_call_response, uri or blob";
                return Err(Skipped::new("unknown part", kind.refuse(allowed)));
            }
        }
        Ok(())
    }

    /// Text where it is one, else parts.
    fn content(&self) -> Content {
        match &self.content[..] {
            [] => Content::Null,
            [one] if one.get("text").is_some() => {
                Content::Text(one["text"].as_str().unwrap_or_default().to_owned())
            }
            parts => Content::Parts(parts.to_vec()),
        }
    }
}

fn as_text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_null() => "{}".to_owned(),
        None => value.to_string(),
    }
}

fn result(part: &Node) -> Result<Message, Skipped> {
    let keys = ["response", "result", "content"];
    let response = keys.iter().find_map(|key| part.key(key).not_null());
    let response = response.ok_or_else(|| {
        let error = part.key("response").refuse("what the tool returned");
        Skipped::new("malformed messages", error)
    })?;
    let mut message = Message::new("tool", as_text(response));
    let id = part.key("id").not_null().cloned();
    message.extra.extend(id.map(|id| ("tool_call_id".to_owned(), id)));
    Ok(message)
}

/// A part of the chat API for a medium at a URL.
fn media(part: &Node, url: &str) -> Result<Value, Skipped> {
    let modality = part.key("modality");
    let kind = match modality.not_null().and_then(Value::as_str) {
        Some("image") | None => "image_url",
        Some("audio") => "audio_url",
        Some("video") => "video_url",
        Some(_) => {
            return Err(Skipped::new("unknown part", modality.refuse("image, audio or video")));
        }
    };
    Ok(json!({"type": kind, kind: {"url": url}}))
}
