use serde_json::{Map, Value, json};
use turnbench_model::{Content, Message, RecordedTurn};

use crate::format::openai::{is_extra, tokens};
use crate::format::{Skipped, units};
use crate::json_file::Node;

/// Every key of a turn, and of a row that is one.
pub(super) const KEYS: [&str; 17] = [
    "type",
    "session_id",
    "text",
    "texts",
    "image",
    "images",
    "audio",
    "audios",
    "video",
    "videos",
    "role",
    "timestamp",
    "delay",
    "output_length",
    "max_tokens",
    "model",
    "extra",
];

/// What a turn may consist of: one, or several.
const CONTENT: [(&str, &str); 4] =
    [("text", "texts"), ("image", "images"), ("audio", "audios"), ("video", "videos")];

/// A turn, read.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) message: Message,
    pub(super) recorded: RecordedTurn,
    /// Keys for the request.
    pub(super) extra: Map<String, Value>,
}

/// Whether a value is an object with something to send.
pub(super) fn has_content(value: &Value) -> bool {
    CONTENT.iter().any(|(one, several)| {
        value.get(one).is_some_and(Value::is_string)
            || value.get(several).is_some_and(Value::is_array)
    })
}

/// Reads a turn.
pub(super) fn read(node: &Node) -> Result<Turn, Skipped> {
    node.object().map_err(|error| Skipped::new("no object", error))?;
    let role_node = node.key("role");
    let role = match role_node.not_null().map(Value::as_str) {
        None => "user",
        Some(Some(role @ ("system" | "developer" | "user" | "assistant" | "tool"))) => role,
        Some(_) => {
            let error = role_node.refuse("system, developer, user, assistant or tool");
            return Err(Skipped::new("unknown role", error));
        }
    };
    let message = Message { role: role.to_owned(), content: content(node)?, extra: Map::new() };
    let extra_node = node.key("extra");
    let extra = match extra_node.not_null() {
        None => Map::new(),
        Some(Value::Object(extra)) => extra.clone(),
        Some(_) => {
            return Err(Skipped::new("malformed extra", extra_node.refuse("an object")));
        }
    };
    let keep = |(key, value): &(String, Value)| is_extra(key) && !value.is_null();
    Ok(Turn { message, recorded: recorded(node)?, extra: extra.into_iter().filter(keep).collect() })
}

fn recorded(node: &Node) -> Result<RecordedTurn, Skipped> {
    let extra = node.key("extra");
    let caps =
        [node.key("max_tokens"), extra.key("max_completion_tokens"), extra.key("max_tokens")];
    let cap = caps.iter().find(|cap| cap.not_null().is_some());
    let models = [node.key("model"), extra.key("model")];
    let recorded = RecordedTurn {
        sent_at_ns: units::millis(&node.key("timestamp"))?,
        think_time_ns: units::millis(&node.key("delay"))?,
        model: models.iter().find_map(|it| Some(it.value()?.as_str()?.to_owned())),
        min_tokens: tokens(&extra.key("min_tokens"))?,
        max_tokens: cap.map_or(Ok(None), tokens)?,
        ..RecordedTurn::default()
    };
    Ok(match tokens(&node.key("output_length"))? {
        Some(length) => recorded.with_answer_tokens(length),
        None => recorded,
    })
}

/// One text as it is, everything else as parts: texts first, then media.
fn content(node: &Node) -> Result<Content, Skipped> {
    let mut parts = Vec::new();
    let mut only_text = None;
    for (one, several) in CONTENT {
        for (place, text) in strings(node, one, several)? {
            let part = match one {
                "text" => {
                    only_text = parts.is_empty().then(|| text.clone());
                    json!({"type": "text", "text": text})
                }
                "audio" => audio(&place, &text)?,
                _ => url_part(&place, one, &text)?,
            };
            parts.push(part);
        }
    }
    match (parts.len(), only_text) {
        (0, _) => {
            let error = node.key("text").refuse("a text, or texts, images, audios or videos");
            Err(Skipped::new("turn without content", error))
        }
        (1, Some(text)) => Ok(Content::Text(text)),
        _ => Ok(Content::Parts(parts)),
    }
}

/// The strings of a kind of content, with their places; empty ones are none.
fn strings<'a>(
    node: &Node<'a>,
    one: &str,
    several: &str,
) -> Result<Vec<(Node<'a>, String)>, Skipped> {
    let malformed = |error| Skipped::new("malformed content", error);
    let mut strings = Vec::new();
    let mut push = |place: Node<'a>| {
        let text = place.string("a string").map_err(malformed)?.to_owned();
        strings.push((place, text));
        Ok::<(), Skipped>(())
    };
    let single = node.key(one);
    if single.not_null().is_some() {
        push(single)?;
    }
    let list = node.key(several);
    if list.not_null().is_some() {
        let allowed = "a list of strings or of {\"name\", \"contents\"}";
        let items: Vec<Node<'a>> =
            list.items().ok_or_else(|| malformed(list.refuse(allowed)))?.collect();
        for item in items {
            if item.value().is_some_and(Value::is_object) {
                let contents = item.key("contents");
                let items: Vec<Node<'a>> = contents
                    .items()
                    .ok_or_else(|| malformed(contents.refuse("a list of strings")))?
                    .collect();
                items.into_iter().try_for_each(&mut push)?;
            } else {
                push(item)?;
            }
        }
    }
    strings.retain(|(_, text)| !text.is_empty());
    Ok(strings)
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "data:"].iter().any(|scheme| text.starts_with(scheme))
}

fn url_part(place: &Node, kind: &str, url: &str) -> Result<Value, Skipped> {
    if !is_url(url) {
        let error = place.refuse("a URL that begins with http://, https:// or data:");
        return Err(Skipped::new("media that is a file", error));
    }
    let kind = format!("{kind}_url");
    Ok(json!({"type": kind, kind: {"url": url}}))
}

/// `"wav,BASE64"` and `data:audio/wav;base64,BASE64` carry the sound, a URL points to it.
fn audio(place: &Node, text: &str) -> Result<Value, Skipped> {
    let (head, data) = text.split_once(',').unwrap_or(("", text));
    let format = match head.strip_prefix("data:audio/") {
        Some(kind) => kind.strip_suffix(";base64"),
        None => Some(head).filter(|head| ["wav", "mp3"].contains(head)),
    };
    match format {
        Some(format) => {
            Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
        }
        None if is_url(text) => url_part(place, "audio", text),
        None => {
            let allowed = "\"wav,BASE64\", \"mp3,BASE64\" or a URL";
            Err(Skipped::new("media that is a file", place.refuse(allowed)))
        }
    }
}
