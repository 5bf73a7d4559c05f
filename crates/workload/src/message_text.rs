use serde_json::Value;
use turnbench_model::{Content, Message};

/// The texts of a message whose tokens are counted, in the order in which models get them: an
/// answer's reasoning, the content, the names and arguments of tool calls. Empty ones are left
/// out.
pub(crate) fn message_texts(message: &Message) -> Vec<String> {
    let mut texts = Vec::new();
    let mut push = |text: &str| {
        if !text.is_empty() {
            texts.push(text.to_owned());
        }
    };
    if let Some(reasoning) = message.extra.get("reasoning_content").and_then(Value::as_str) {
        push(reasoning);
    }
    push(&message.content.text());
    let calls = message.extra.get("tool_calls").and_then(Value::as_array);
    for call in calls.into_iter().flatten() {
        let function = call.get("function");
        for key in ["name", "arguments"] {
            if let Some(text) = function.and_then(|function| function.get(key)?.as_str()) {
                push(text);
            }
        }
    }
    texts
}

/// Whether a message has parts that [`message_texts`] leaves out, such as images.
pub(crate) fn has_media(message: &Message) -> bool {
    match &message.content {
        Content::Parts(parts) => parts.iter().any(|part| part.get("text").is_none()),
        Content::Text(_) | Content::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnbench_model::Message;

    use super::{has_media, message_texts};

    fn message(json: serde_json::Value) -> Message {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn reasoning_comes_before_the_content_and_calls_after_it() {
        let answer = message(json!({"role": "assistant", "content": "c", "reasoning_content": "r",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, {}]}));
        assert_eq!(message_texts(&answer), ["r", "c", "f", "{}"]);
        assert!(message_texts(&message(json!({"role": "user", "content": null}))).is_empty());
    }

    #[test]
    fn parts_without_text_are_seen() {
        let image = json!({"type": "image_url", "image_url": {"url": "u"}});
        let text = json!({"type": "text", "text": "t"});
        let mixed = message(json!({"role": "user", "content": [image, text]}));
        assert_eq!((has_media(&mixed), message_texts(&mixed)), (true, vec!["t".to_owned()]));
        assert!(!has_media(&message(json!({"role": "user", "content": [text]}))));
    }
}
