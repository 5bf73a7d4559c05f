use turnbench_model::{Answer, Content, HistoryReasoning, Message};

use crate::api::AnswerSpelling;
use crate::json_style::{JsonStyle, Object};

/// Most bytes of memory that a body holds beyond its text: conversations may wait long.
const SPARE_BYTES_MAX: usize = 8 * 1024;

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
        let mut bytes = Vec::new();
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

    /// Appends an answer as [`Answer::to_message`] has it. In the compact style its texts keep the
    /// server's own escapes.
    pub fn push_answer(
        &mut self,
        answer: &Answer,
        spelling: &AnswerSpelling,
        reasoning: HistoryReasoning,
    ) {
        let (style, out) = self.open_message();
        let mut object = Object::open(style, out);
        object.text("role", "assistant");
        if answer.content.is_empty() && !answer.tool_calls.is_empty() {
            object.value("content", &());
        } else {
            object.spelled("content", &answer.content, spelling.content.as_deref());
        }
        if reasoning == HistoryReasoning::Keep && !answer.reasoning.is_empty() {
            let spelling = spelling.reasoning.as_deref();
            object.spelled("reasoning_content", &answer.reasoning, spelling);
        }
        if !answer.tool_calls.is_empty() {
            object.spelled_list("tool_calls", &answer.tool_calls, spelling.tool_calls.as_deref());
        }
        object.close();
    }

    /// Gives back memory that growing took beyond the text, but for a few KiB.
    pub fn free_spare(&mut self) {
        if self.bytes.capacity() - self.bytes.len() > SPARE_BYTES_MAX {
            self.bytes.shrink_to(self.bytes.len() + SPARE_BYTES_MAX / 2);
        }
    }

    /// Messages in it.
    pub const fn messages_count(&self) -> u32 {
        self.messages_count
    }

    /// How its JSON is spelled; a tail must be spelled alike.
    pub const fn style(&self) -> JsonStyle {
        self.style
    }

    /// The text so far. A [`RequestTail`](crate::RequestTail) completes it.
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use turnbench_model::{Answer, HistoryReasoning, Message};

    use super::ConversationBody;
    use crate::api::AnswerSpelling;
    use crate::{JsonStyle, RequestTail};

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
        body.push_answer(&answer, &AnswerSpelling::default(), HistoryReasoning::Drop);
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
    fn a_waiting_body_holds_little_more_than_its_text() {
        let mut body = ConversationBody::new(JsonStyle::Compact, "m");
        for length in [10, 5_000, 70_000, 1_000_000, 0] {
            body.push(&Message::new("user", "x".repeat(length)));
            body.free_spare();
            let spare = body.bytes.capacity() - body.bytes.len();
            assert!(spare <= super::SPARE_BYTES_MAX, "{length}: {spare}");
        }
    }

    #[test]
    fn the_servers_escapes_are_sent_back() {
        let answer = Answer {
            content: "a\u{e9}/😀\n".to_owned(),
            reasoning: "é".to_owned(),
            ..Answer::default()
        };
        let spelling = AnswerSpelling {
            content: Some(r"\u0061\u00e9\/\ud83d\ude00\n".to_owned()),
            reasoning: Some(r"\u00E9".to_owned()),
            tool_calls: None,
        };
        let sent = |style, reasoning| {
            let mut body = ConversationBody::new(style, "m");
            body.push_answer(&answer, &spelling, reasoning);
            text(&body, RequestTail::default())
        };
        let expect = concat!(
            r#"{"model":"m","messages":[{"role":"assistant","content":"\u0061\u00e9\/\ud83d\ude00\n","#,
            r#""reasoning_content":"\u00E9"}]}"#,
        );
        assert_eq!(sent(JsonStyle::Compact, HistoryReasoning::Keep), expect);
        let expect = concat!(
            r#"{"model": "m", "messages": [{"role": "assistant", "#,
            r#""content": "a\u00e9/\ud83d\ude00\n"}]}"#,
        );
        assert_eq!(sent(JsonStyle::Python, HistoryReasoning::Drop), expect);
    }

    #[test]
    fn an_answer_is_sent_as_its_message() {
        let call = json!({"function": {"name": "f", "arguments": "{}"}});
        let answers = [
            Answer { content: "a\n\"é".to_owned(), ..Answer::default() },
            Answer { reasoning: "why".to_owned(), ..Answer::default() },
            Answer { tool_calls: vec![call.clone()], ..Answer::default() },
            Answer {
                content: "a".to_owned(),
                reasoning: "why".to_owned(),
                tool_calls: vec![call],
                ..Answer::default()
            },
        ];
        for style in [JsonStyle::Compact, JsonStyle::Python] {
            for reasoning in [HistoryReasoning::Keep, HistoryReasoning::Drop] {
                for answer in &answers {
                    let mut pushed = ConversationBody::new(style, "m");
                    pushed.push_answer(answer, &AnswerSpelling::default(), reasoning);
                    let mut expect = ConversationBody::new(style, "m");
                    expect.push(&answer.to_message(reasoning));
                    assert_eq!(pushed.bytes, expect.bytes);
                    assert_eq!(pushed.messages_count(), 1);
                }
            }
        }
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
            let spelling = AnswerSpelling::default();
            body.push_answer(&answer, &spelling, HistoryReasoning::Keep);
            body.push_answer(&answer, &spelling, HistoryReasoning::Drop);
            let sent: Value = serde_json::from_str(&text(&body, RequestTail::default())).unwrap();
            let mut expect = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            assert_eq!(sent["messages"][1], expect);
            expect["reasoning_content"] = json!("why");
            assert_eq!(sent["messages"][0], expect);
        }
    }
}
