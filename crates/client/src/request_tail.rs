use serde_json::{Map, Value};

use crate::json_style::{JsonStyle, Object};

/// What follows the messages in a request body. Keys come in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestTail<'a> {
    /// `conversation_id`.
    pub conversation_id: Option<&'a str>,
    /// `stream: true` with `stream_options`; without it neither is sent.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// `max_tokens`.
    pub max_tokens: Option<u32>,
    /// `min_tokens`.
    pub min_tokens: Option<u32>,
    /// `ignore_eos: true`.
    pub ignore_eos: bool,
    /// More keys. They replace those above; `model` and `messages` in it are not sent.
    pub extra_body: Option<&'a Map<String, Value>>,
}

impl RequestTail<'_> {
    /// Writes the rest of a body to the end of `out`.
    pub fn write(&self, style: JsonStyle, out: &mut Vec<u8>) {
        out.push(b']');
        let mut object = Object::resume(style, out);
        let extra = |key: &str| self.extra_body.is_some_and(|extra| extra.contains_key(key));
        if let Some(id) = self.conversation_id.filter(|_| !extra("conversation_id")) {
            object.text("conversation_id", id);
        }
        if self.stream && !extra("stream") {
            object.value("stream", &true);
        }
        if self.stream && !extra("stream_options") {
            let options = object.key("stream_options");
            let mut options = Object::open(style, options);
            options.value("include_usage", &self.include_usage);
            options.close();
        }
        for (key, tokens) in [("max_tokens", self.max_tokens), ("min_tokens", self.min_tokens)] {
            if let Some(tokens) = tokens.filter(|_| !extra(key)) {
                object.value(key, &tokens);
            }
        }
        if self.ignore_eos && !extra("ignore_eos") {
            object.value("ignore_eos", &true);
        }
        let more = self.extra_body.into_iter().flatten();
        for (key, value) in more.filter(|(key, _)| !matches!(key.as_str(), "model" | "messages")) {
            object.value(key, value);
        }
        object.close();
    }
}
