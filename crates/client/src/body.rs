use serde::Serialize;
use serde_json::{Map, Value};
use turnbench_model::python_json::{escape_into, to_python_json};
use turnbench_model::{Content, Message};

/// How JSON is spelled in request bodies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JsonStyle {
    /// No blanks, UTF-8 as it is.
    #[default]
    Compact,
    /// As Python's `json.dumps`: `", "`, `": "`, `\uXXXX` for everything outside ASCII.
    Python,
}

/// The growing part of a conversation's request bodies: the model and all messages so far, as
/// JSON text that is only ever appended to.
///
/// ```
/// use turnbench_client::{ConversationBody, JsonStyle, RequestTail};
/// use turnbench_model::Message;
///
/// let mut body = ConversationBody::new(JsonStyle::Python, "m");
/// body.push(&Message::new("user", "hi"));
/// let mut tail = Vec::new();
/// RequestTail { stream: true, max_tokens: Some(7), ..RequestTail::default() }
///     .write(JsonStyle::Python, &mut tail);
/// let text = String::from_utf8([body.history(), &tail].concat())?;
/// assert_eq!(
///     text,
///     r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "#.to_owned()
///         + r#""stream_options": {"include_usage": false}, "max_tokens": 7}"#
/// );
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConversationBody {
    style: JsonStyle,
    bytes: Vec<u8>,
    /// Length of what stands before the messages.
    head: usize,
    messages_count: u32,
}

impl ConversationBody {
    /// A body without messages.
    pub fn new(style: JsonStyle, model: &str) -> Self {
        let mut bytes = Vec::with_capacity(4096);
        let mut object = Object::open(style, &mut bytes);
        object.text("model", model);
        object.key("messages").push(b'[');
        let head = bytes.len();
        Self { style, bytes, head, messages_count: 0 }
    }

    /// Takes all messages out.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.head);
        self.messages_count = 0;
    }

    /// Appends a message with all its keys: role, content, then the others in their order.
    pub fn push(&mut self, message: &Message) {
        let (style, out) = self.open_message();
        let mut object = Object::open(style, out);
        object.text("role", &message.role);
        match &message.content {
            Content::Text(text) => object.text("content", text),
            Content::Parts(parts) => object.value("content", parts),
            Content::Null => object.value("content", &()),
        }
        for (key, value) in &message.extra {
            object.value(key, value);
        }
        object.close();
    }

    /// Messages in it.
    pub const fn messages_count(&self) -> u32 {
        self.messages_count
    }

    /// How its JSON is spelled; a tail must be spelled alike.
    pub const fn style(&self) -> JsonStyle {
        self.style
    }

    /// The text so far. A [`RequestTail`] completes it.
    pub fn history(&self) -> &[u8] {
        &self.bytes
    }

    fn open_message(&mut self) -> (JsonStyle, &mut Vec<u8>) {
        if self.messages_count > 0 {
            self.bytes.extend_from_slice(self.style.comma());
        }
        self.messages_count += 1;
        (self.style, &mut self.bytes)
    }
}

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
        let mut object = Object { style, out, empty: false };
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

impl JsonStyle {
    const fn comma(self) -> &'static [u8] {
        match self {
            Self::Compact => b",",
            Self::Python => b", ",
        }
    }

    fn write_text(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Compact => self.write(text, out),
            Self::Python => escape_into(text, out),
        }
    }

    fn write(self, value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
        // Neither can fail: memory takes every byte, and these values have string keys.
        match self {
            Self::Compact => serde_json::to_writer(out, value).unwrap_or_default(),
            Self::Python => {
                let value = serde_json::to_value(value).unwrap_or_default();
                out.extend_from_slice(to_python_json(&value).as_bytes());
            }
        }
    }
}

/// A JSON object being written.
struct Object<'a> {
    style: JsonStyle,
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(style: JsonStyle, out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { style, out, empty: true }
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.extend_from_slice(self.style.comma());
        }
        self.style.write_text(key, self.out);
        self.out.extend_from_slice(match self.style {
            JsonStyle::Compact => b":",
            JsonStyle::Python => b": ",
        });
        self.out
    }

    fn text(&mut self, key: &str, text: &str) {
        let style = self.style;
        style.write_text(text, self.key(key));
    }

    fn value(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        let style = self.style;
        style.write(value, self.key(key));
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use turnbench_model::{Answer, HistoryReasoning, Message};

    use super::{ConversationBody, JsonStyle, RequestTail};

    fn text(body: &ConversationBody, tail: RequestTail<'_>) -> String {
        let mut bytes = body.history().to_vec();
        tail.write(body.style(), &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn object(value: &Value) -> &serde_json::Map<String, Value> {
        value.as_object().unwrap()
    }

    #[test]
    fn python_bodies_are_spelled_as_the_reference_sends_them() {
        // A body as recorded from the reference, with an answer in its history.
        let mut body = ConversationBody::new(JsonStyle::Python, "stub-model");
        body.push(&Message::new("user", "naïve \"q\"\u{7f}\n — 😀"));
        let answer = Answer { content: "Reply é".to_owned(), ..Answer::default() };
        body.push(&answer.to_message(HistoryReasoning::Drop));
        let tail = RequestTail {
            conversation_id: Some("conv_a"),
            stream: true,
            max_tokens: Some(7),
            ..RequestTail::default()
        };
        let expect = concat!(
            r#"{"model": "stub-model", "messages": [{"role": "user", "content": "na\u00efve \"q\""#,
            "\u{7f}",
            r#"\n \u2014 \ud83d\ude00"}, {"role": "assistant", "content": "Reply \u00e9"}], "#,
            r#""conversation_id": "conv_a", "stream": true, "stream_options": {"include_usage": false}, "#,
            r#""max_tokens": 7}"#,
        );
        assert_eq!(text(&body, tail), expect);
        assert_eq!(body.messages_count(), 2);
    }

    #[test]
    fn extra_keys_of_messages_and_bodies_are_sent() {
        let mut body = ConversationBody::new(JsonStyle::Compact, "m");
        let message: Message = serde_json::from_value(
            json!({"role": "tool", "content": [{"type": "text", "text": "é"}], "tool_call_id": "t"}),
        )
        .unwrap();
        body.push(&message);
        let extra = json!({"model": "x", "top_p": 0.5, "ignore_eos": false, "stream_options": {}});
        let tail = RequestTail {
            stream: true,
            include_usage: true,
            min_tokens: Some(2),
            ignore_eos: true,
            extra_body: Some(object(&extra)),
            ..RequestTail::default()
        };
        let expect = concat!(
            r#"{"model":"m","messages":[{"role":"tool","content":[{"type":"text","text":"é"}],"#,
            r#""tool_call_id":"t"}],"stream":true,"min_tokens":2,"top_p":0.5,"ignore_eos":false,"#,
            r#""stream_options":{}}"#,
        );
        assert_eq!(text(&body, tail), expect);
    }

    #[test]
    fn answers_keep_tool_calls_and_reasoning_on_demand() {
        let call =
            json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let answer = Answer {
            reasoning: "why".to_owned(),
            tool_calls: vec![call.clone()],
            ..Answer::default()
        };
        for style in [JsonStyle::Compact, JsonStyle::Python] {
            let mut body = ConversationBody::new(style, "m");
            body.push(&answer.to_message(HistoryReasoning::Keep));
            body.push(&answer.to_message(HistoryReasoning::Drop));
            let sent: Value = serde_json::from_str(&text(&body, RequestTail::default())).unwrap();
            let mut expect = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            assert_eq!(sent["messages"][1], expect);
            expect["reasoning_content"] = json!("why");
            assert_eq!(sent["messages"][0], expect);
        }
    }
}
