use serde_json::Value;

/// Longest failure message, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_000;
/// Deepest nesting of error objects looked into.
const DEPTH_MAX: usize = 4;
/// Most entries of a list of errors that are spelled out.
const LIST_MAX: usize = 5;

/// The server's own words in an error response's body, whatever its shape:
/// `{"error": {"message"}}`, `{"error": "text"}`, `{"message"}`, `{"detail": "text"}`,
/// `{"detail": [{"loc", "msg"}]}`, plain text. At most 1,000 bytes. `None`: it is empty.
pub fn error_message(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let mut text = text.trim();
    // Some servers answer a refused stream with a stream of one event.
    if let Some(rest) = text.strip_prefix("data:") {
        text = rest.lines().next().unwrap_or_default().trim();
    }
    let found = serde_json::from_str::<Value>(text).ok().and_then(|value| message_of(&value));
    let message = found.unwrap_or_else(|| text.to_owned());
    (!message.is_empty()).then(|| shorten(message))
}

/// The message in an error object.
pub(crate) fn message_of(value: &Value) -> Option<String> {
    find(value, DEPTH_MAX).filter(|message| !message.is_empty())
}

/// Whether an object without choices is an error: it has an error's keys.
pub(crate) fn looks_like_error(value: &Value) -> bool {
    let is = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
    is("error") || is("detail") || is("errors") || (is("message") && !is("choices"))
}

fn find(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Object(object) if depth > 0 => {
            ["error", "message", "detail", "errors", "msg", "reason"]
                .iter()
                .filter_map(|key| object.get(*key).filter(|value| !value.is_null()))
                .find_map(|value| find(value, depth - 1))
        }
        Value::Array(list) if depth > 0 => {
            let texts: Vec<_> =
                list.iter().take(LIST_MAX).filter_map(|entry| listed(entry, depth - 1)).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_) => {
            None
        }
    }
}

/// An entry of a validation error's list: `body.messages: Field required`.
fn listed(entry: &Value, depth: usize) -> Option<String> {
    let message = find(entry, depth)?;
    let place = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    match entry.get("loc").and_then(Value::as_array) {
        Some(parts) if !parts.is_empty() => {
            let parts: Vec<_> = parts.iter().map(place).collect();
            Some(format!("{}: {message}", parts.join(".")))
        }
        _ => Some(message),
    }
}

/// Cut to the longest message that is kept, at a character's end.
pub(crate) fn shorten(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::error_message;

    fn check(body: &str, expect: Option<&str>) {
        assert_eq!(error_message(body.as_bytes()).as_deref(), expect, "{body}");
    }

    #[test]
    fn every_known_shape_gives_the_servers_words() {
        check(r#"{"error":{"message":"too long","type":"x","code":"400"}}"#, Some("too long"));
        check(r#"{"error":"Unauthorized"}"#, Some("Unauthorized"));
        check(r#"{"message":"no","type":"t","code":404}"#, Some("no"));
        check(r#"{"object":"error","message":"no","code":404}"#, Some("no"));
        check(r#"{"detail":"Not Found"}"#, Some("Not Found"));
        check(
            r#"{"detail":[{"loc":["body",28],"msg":"bad"},{"loc":["body","x"],"msg":"worse"}]}"#,
            Some("body.28: bad; body.x: worse"),
        );
        check(r#"{"status":"failure","message":"m"}"#, Some("m"));
        check("data: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n", Some("m"));
        check("  Internal Server Error\n", Some("Internal Server Error"));
        check(r#"{"code":5}"#, Some(r#"{"code":5}"#));
        check("{broken", Some("{broken"));
        check("", None);
    }

    #[test]
    fn long_messages_are_cut_at_a_characters_end() {
        let message = error_message("é".repeat(800).as_bytes()).unwrap();
        assert_eq!(message.len(), 1_000);
        let message = error_message(format!("x{}", "é".repeat(800)).as_bytes()).unwrap();
        assert_eq!(message.len(), 999);
    }
}
