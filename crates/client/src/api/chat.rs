use turnbench_model::{Answer, Nanos, Received, Stamps, Usage};

use crate::api::Decoded;
use crate::api::error_body::{looks_like_error, message_of};
use crate::api::marks::MarkFinder;
use crate::api::tool_calls::ToolCalls;
use crate::api::verdict::{Complaints, early_verdict, verdict};
use crate::api::wire::{Choice, Chunk, Piece};
use crate::http1::{Body, ResponseHead};
use crate::response::RawResponse;
use crate::session::BodySink;
use crate::sse::{Event, EventParser};

/// Decodes a chat (or text completion) response, of a streamed request or a plain one.
///
/// An event is a token if it carries content, reasoning or tool-call text. Only the choice with
/// index 0 is the answer. A failed attempt keeps what came of its answer.
pub fn decode(raw: &RawResponse, stream: bool) -> Decoded {
    ChatDecoder::new(stream).finish(raw)
}

/// Decodes a response that may still be coming: as a [`BodySink`] it takes long streams batch by
/// batch, and [`ChatDecoder::finish`] decodes the rest.
#[derive(Debug)]
pub struct ChatDecoder {
    stream: bool,
    parser: EventParser,
    finder: MarkFinder,
    state: State,
}

/// What the events so far said.
#[derive(Debug, Default)]
struct State {
    answer: Answer,
    tool_calls: ToolCalls,
    usage: Option<Usage>,
    complaints: Complaints,
    chunks_at: Vec<Nanos>,
    events_count: u64,
    first_event: Option<Received>,
    first_token: Option<Received>,
    last_token: Option<Received>,
    done: Option<Received>,
}

impl BodySink for ChatDecoder {
    fn take(&mut self, head: &ResponseHead, body: &mut Body) {
        let is_stream = self.parser.is_started() || is_event_stream(body.bytes(), true);
        if self.stream && head.status == 200 && is_stream {
            self.push(body);
            body.clear();
        }
    }
}

impl ChatDecoder {
    /// A decoder of one response; `stream` when the request asked for a stream.
    pub fn new(stream: bool) -> Self {
        Self {
            stream,
            parser: EventParser::new(),
            finder: MarkFinder::default(),
            state: State::default(),
        }
    }

    /// Decodes what has not been taken yet, and judges.
    pub fn finish(mut self, raw: &RawResponse) -> Decoded {
        if let Some(outcome) = early_verdict(raw) {
            let stamps = raw.stamps.clone();
            return Decoded { outcome, answer: Answer::default(), usage: None, stamps };
        }
        let bytes = raw.body.bytes();
        let is_stream = self.parser.is_started() || is_event_stream(bytes, self.stream);
        if is_stream {
            self.push(&raw.body);
            let (state, finder) = (&mut self.state, &mut self.finder);
            self.parser.finish(|event| state.unterminated(event, finder));
        } else if raw.error.is_none() {
            self.state.plain(bytes, raw.stamps.end);
        }
        if is_stream != self.stream && raw.error.is_none() {
            let message = if self.stream {
                "a stream was asked for, the server sent a plain answer"
            } else {
                "a plain answer was asked for, the server sent a stream"
            };
            self.state.complaints.invalid.get_or_insert_with(|| message.to_owned());
        }
        self.state.decoded(raw, is_stream)
    }

    fn push(&mut self, body: &Body) {
        self.finder.extend(body);
        let (state, finder) = (&mut self.state, &mut self.finder);
        self.parser.push(body.bytes(), |event| state.event(event, finder));
    }
}

/// Whether a body is an event stream rather than a JSON document: told by its first byte, because
/// content types are not to be relied upon. A body without any is what was asked for.
fn is_event_stream(body: &[u8], asked: bool) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.map_or(asked, |first| !matches!(first, b'{' | b'['))
}

impl State {
    fn event(&mut self, event: Event<'_>, finder: &mut MarkFinder) {
        // Named events are extensions (such as SGLang's `sglext_ids`), apart from these.
        // After [DONE] everything has been said.
        if self.done.is_some() || !matches!(event.name, b"" | b"message" | b"error") {
            return;
        }
        self.events_count += 1;
        let Some(received) = finder.received(event.data_end) else { return };
        self.first_event.get_or_insert(received);
        let text = String::from_utf8_lossy(event.data);
        let text = text.trim();
        if text == "[DONE]" {
            self.done.get_or_insert(received);
            self.answer.done = true;
        } else if event.name == b"error" {
            let message = crate::api::error_message(event.data);
            self.complaints.error.get_or_insert(message.unwrap_or_default());
        } else if !text.is_empty() {
            self.chunk(text, received);
        }
    }

    /// An event whose blank line never came. The standard discards it, but a server that merely
    /// omits the last line end has still said it in full; a cut one is no JSON and says nothing.
    fn unterminated(&mut self, event: Event<'_>, finder: &mut MarkFinder) {
        let text = event.data.trim_ascii();
        let is_whole = text == b"[DONE]" || serde_json::from_slice::<Chunk<'_>>(text).is_ok();
        if is_whole {
            self.event(event, finder);
        }
    }

    fn chunk(&mut self, text: &str, received: Received) {
        match serde_json::from_str::<Chunk<'_>>(text) {
            Ok(chunk) => self.take(&chunk, text, received),
            // A repeated key is no error for most parsers: the last one counts, as for `Value`.
            Err(error) => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(value) if value.is_object() => {
                    let text = value.to_string();
                    match serde_json::from_str::<Chunk<'_>>(&text) {
                        Ok(chunk) => self.take(&chunk, &text, received),
                        Err(error) => self.invalid(&error, &text),
                    }
                }
                Ok(_) | Err(_) => self.invalid(&error, text),
            },
        }
    }

    fn invalid(&mut self, error: &serde_json::Error, text: &str) {
        let start = &text[..text.floor_char_boundary(80)];
        self.complaints
            .invalid
            .get_or_insert_with(|| format!("not a chat response: {error}: `{start}`"));
    }

    fn take(&mut self, chunk: &Chunk<'_>, text: &str, received: Received) {
        if let Some(usage) = &chunk.usage {
            self.usage = Some(usage.usage());
        }
        if chunk.error.is_some() || (!chunk.choices.present && chunk.usage.is_none()) {
            let value = serde_json::from_str(text).unwrap_or_default();
            if looks_like_error(&value) {
                let message = message_of(&value).unwrap_or_else(|| text.to_owned());
                self.complaints.error.get_or_insert(message);
            }
        }
        if let Some(choice) = &chunk.choices.first {
            self.choice(choice, received);
        }
    }

    fn choice(&mut self, choice: &Choice<'_>, received: Received) {
        let answer = &mut self.answer;
        let (content_from, reasoning_from) = (answer.content.len(), answer.reasoning.len());
        let mut tool_text = String::new();
        if let Some(piece) = choice.delta.as_ref().or(choice.message.as_ref()) {
            // The same text under both names is one text.
            let Piece { content, reasoning, reasoning_content, tool_calls, function_call } = piece;
            let reasoning = if reasoning.0.is_empty() { reasoning_content } else { reasoning };
            answer.reasoning.push_str(&reasoning.0);
            answer.content.push_str(&content.0);
            self.tool_calls.push(tool_calls.as_deref().unwrap_or_default(), &mut tool_text);
            if let Some(function) = function_call {
                self.tool_calls.push_function(function, &mut tool_text);
            }
        }
        answer.content.push_str(&choice.text.0);
        let content = &answer.content[content_from..];
        let reasoning = &answer.reasoning[reasoning_from..];
        if !content.is_empty() || !reasoning.is_empty() || !tool_text.is_empty() {
            if self.first_token.is_none() {
                answer.first_chunk = [reasoning, content, tool_text.as_str()].concat();
                self.first_token = Some(received);
            }
            self.last_token = Some(received);
            self.chunks_at.push(received.at_ns);
        }
        let reason = choice.finish_reason.0.as_ref();
        if !reason.is_empty() && answer.finish_reason.is_none() {
            answer.finish_reason = Some(reason.to_owned());
            if matches!(reason, "abort" | "error") {
                let message = format!("the server ended the answer with finish_reason {reason}");
                self.complaints.error.get_or_insert(message);
            }
        }
    }

    /// Reads a plain answer; all of it counts as arrived at its end.
    fn plain(&mut self, bytes: &[u8], end: Option<Received>) {
        let Some(end) = end else { return };
        self.first_event = Some(end);
        self.events_count = 1;
        self.chunk(String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').trim(), end);
    }

    fn decoded(mut self, raw: &RawResponse, is_stream: bool) -> Decoded {
        if is_stream && self.events_count == 0 && raw.body.total_len() > 0 {
            let content_type = raw.head.as_ref().and_then(|head| head.content_type.as_deref());
            let content_type = content_type.unwrap_or("no content type");
            self.complaints.invalid = Some(format!("no event in the response ({content_type})"));
        }
        let mut answer = self.answer;
        answer.tool_calls = self.tool_calls.into_values();
        let sent = raw.stamps.sent_ns.unwrap_or_default();
        answer.chunks_ns = self.chunks_at.iter().map(|at| at.since(sent)).collect();
        let outcome = verdict(raw, self.complaints, &answer, self.usage.as_ref(), is_stream);
        let stamps = Stamps {
            first_event: self.first_event,
            first_token: self.first_token,
            last_token: self.last_token,
            end: self.done.or(raw.stamps.end),
            ..raw.stamps.clone()
        };
        Decoded { outcome, answer, usage: self.usage, stamps }
    }
}

#[cfg(test)]
pub(crate) mod tests;
