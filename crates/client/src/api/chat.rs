use crate::api::Decoded;
use crate::api::marks::MarkFinder;
use crate::api::shape::Shape;
use crate::api::state::State;
use crate::api::verdict::early_verdict;
use crate::http1::{Body, ResponseHead};
use crate::response::RawResponse;
use crate::session::BodySink;
use crate::sse::EventParser;

/// Decodes a chat (or text completion) response, of a streamed request or a plain one.
///
/// An event is a token if it carries content, reasoning or tool-call text. Only the choice with
/// index 0 is the answer. A failed attempt keeps what came of its answer.
pub fn decode(raw: &RawResponse, stream: bool) -> Decoded {
    ChatDecoder::new(stream).finish(raw)
}

/// Decodes as [`decode`] does, but every event's JSON in full: slower, and with the same result.
/// What tests hold the other against.
pub fn decode_in_full(raw: &RawResponse, stream: bool) -> Decoded {
    ChatDecoder { shape: None, ..ChatDecoder::new(stream) }.finish(raw)
}

/// Decodes a response that may still be coming: as a [`BodySink`] it takes long streams batch by
/// batch, and [`ChatDecoder::finish`] decodes the rest.
///
/// An event's JSON is decoded in full only where it differs from the one before in more than its text:
/// successive events of a stream seldom do.
#[derive(Debug)]
pub struct ChatDecoder {
    stream: bool,
    parser: EventParser,
    finder: MarkFinder,
    /// The last text event's; `None`: every event is decoded in full.
    shape: Option<Shape>,
    state: State,
}

impl BodySink for ChatDecoder {
    fn take(&mut self, head: &ResponseHead, body: &mut Body) {
        // Where its beginning does not tell yet, it stays until it does.
        let is_stream = self.parser.is_started() || is_event_stream(body.bytes(), false);
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
            shape: Some(Shape::default()),
            state: State::default(),
        }
    }

    /// Decodes what has not been taken yet, and judges.
    pub fn finish(mut self, raw: &RawResponse) -> Decoded {
        if let Some(outcome) = early_verdict(raw) {
            return Decoded::failed(outcome, raw.stamps.clone());
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
            self.state.complain(message);
        }
        self.state.decoded(raw, is_stream)
    }

    fn push(&mut self, body: &Body) {
        self.finder.extend(body, !self.parser.is_between_events());
        let bytes = body.bytes();
        let mut at = 0;
        while at < bytes.len() {
            let is_between = self.parser.is_between_events();
            if is_between && !self.state.is_done() {
                at += self.take_by_shape(&bytes[at..]);
            }
            let rest = &bytes[at..];
            let (taken, event) = self.parser.next(rest);
            at += taken;
            let Some(event) = event else { continue };
            let text = self.state.event(event, &mut self.finder);
            if let (Some(shape), Some(text), true) = (&mut self.shape, text, is_between) {
                shape.learn(&rest[..taken], event.data, text);
            }
        }
    }

    /// Takes the events at the start of `bytes` that have the last one's shape: their length.
    fn take_by_shape(&mut self, bytes: &[u8]) -> usize {
        let Some(shape) = &self.shape else { return 0 };
        let offset = self.parser.offset();
        let (mut at, mut usage) = (0, None);
        while let Some(hit) = shape.read(&bytes[at..]) {
            let received = self.finder.received(offset + at + hit.data_end);
            self.state.text_event(hit.kind, hit.json, received);
            // Only the last usage counts.
            usage = hit.usage.or(usage);
            at += hit.len;
        }
        if let Some(usage) = usage {
            self.state.usage_text(usage);
        }
        self.parser.skip(at);
        at
    }
}

/// Whether a body is an event stream rather than a JSON document: told by its first byte, because
/// content types are not to be relied upon. A body without any is what was asked for.
fn is_event_stream(body: &[u8], asked: bool) -> bool {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    // Also what may become the mark is none of a body's bytes.
    let is_mark = BYTE_ORDER_MARK.starts_with(body);
    let body = body.strip_prefix(if is_mark { body } else { BYTE_ORDER_MARK }).unwrap_or(body);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.map_or(asked, |first| !matches!(first, b'{' | b'['))
}

#[cfg(test)]
mod cached_tokens_tests;
#[cfg(test)]
pub(crate) mod tests;
