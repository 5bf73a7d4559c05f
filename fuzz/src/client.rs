//! Targets on what a server may send.

#![allow(clippy::expect_used, reason = "a target that does not hold panics")]

use turnbench_client::api::{ChatDecoder, Decoded, decode, decode_in_full, decode_reference};
use turnbench_client::http1::{ResponseHead, ResponseReader};
use turnbench_client::sse::{Event, EventParser};
use turnbench_client::{
    BodySink, ConversationBody, JsonStyle, KeepBody, RawResponse, RequestTail, TransportError,
};
use turnbench_model::{HistoryReasoning, Nanos, Received, Stamps};

use super::splits::splits;

const CHUNKED_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// Any bytes as a response: head, framing, compression and body are the same however the bytes are
/// split, and decoding them never panics.
pub fn response(data: &[u8]) {
    let expect = Read::of(&[data]);
    for pieces in splits(data) {
        assert_eq!(Read::of(&pieces), expect, "{pieces:?}");
    }
    let raw = raw_response(&[data]);
    for stream in [true, false] {
        assert_eq!(decode(&raw, stream), decode_in_full(&raw, stream));
        decode_reference(&raw, stream);
    }
}

/// Any bytes as a chunked body: read as the slow and obvious decoder does, however they are split.
pub fn chunked(data: &[u8]) {
    let wire = [CHUNKED_HEAD, data].concat();
    let expect = Read::of(&[&wire]);
    for pieces in splits(data) {
        let pieces = [&[CHUNKED_HEAD], pieces.as_slice()].concat();
        assert_eq!(Read::of(&pieces), expect, "{pieces:?}");
    }
    if let Some(body) = simple_chunks(data) {
        assert!(expect.is_done, "simple chunks end");
        assert_eq!(expect.body.as_deref(), Some(body.as_slice()));
    }
}

/// Any bytes as an event stream: the same events however they are split.
pub fn event_stream(data: &[u8]) {
    let expect = events(&[data]);
    for pieces in splits(data) {
        assert_eq!(events(&pieces), expect, "{pieces:?}");
    }
}

/// Any bytes as the body of a chat response: decoding by shape says what decoding in full says, the
/// reads only move stamps, and the answer can be sent back.
pub fn chat(data: &[u8]) {
    let expect = decode_both(&[STREAM_HEAD, data]);
    for pieces in splits(data) {
        let decoded = decode_both(&[&[STREAM_HEAD], pieces.as_slice()].concat());
        assert_eq!(decoded.outcome, expect.outcome);
        assert_eq!(decoded.usage, expect.usage);
        assert_eq!(decoded.server_times, expect.server_times);
        assert_eq!(decoded.spelling, expect.spelling);
        assert_eq!(decoded.answer.content, expect.answer.content);
        assert_eq!(decoded.answer.reasoning, expect.answer.reasoning);
        assert_eq!(decoded.answer.tool_calls, expect.answer.tool_calls);
        assert_eq!(decoded.answer.chunks_ns.len(), expect.answer.chunks_ns.len());
        assert!(decoded.answer.chunks_ns.is_sorted());
    }
    decode(&raw_response(&[STREAM_HEAD, data]), false);
    check_body(&expect);
}

/// Any bytes as the body of a chat response that is taken away while it comes: decoding batch by batch
/// says what decoding the whole says.
pub fn chat_batches(data: &[u8]) {
    for pieces in splits(data) {
        let pieces = [&[STREAM_HEAD], pieces.as_slice()].concat();
        for stream in [true, false] {
            let mut decoder = ChatDecoder::new(stream);
            let raw = read_response(&pieces, &mut decoder);
            assert_eq!(decoder.finish(&raw), decode(&raw_response(&pieces), stream), "{pieces:?}");
        }
    }
}

/// The next request says what the answer said.
fn check_body(decoded: &Decoded) {
    let Decoded { answer, spelling, .. } = decoded;
    for style in [JsonStyle::Compact, JsonStyle::Python] {
        let mut body = ConversationBody::new(style, "m");
        body.push_answer(answer, spelling, HistoryReasoning::Keep);
        let mut bytes = body.history().to_vec();
        RequestTail::default().write(style, &mut bytes);
        let sent: serde_json::Value = serde_json::from_slice(&bytes).expect("a body is JSON");
        let message = &sent["messages"][0];
        let expect = serde_json::to_value(answer.to_message(HistoryReasoning::Keep));
        assert_eq!(message, &expect.expect("a message is JSON"));
    }
}

fn decode_both(pieces: &[&[u8]]) -> Decoded {
    let raw = raw_response(pieces);
    let decoded = decode(&raw, true);
    assert_eq!(decoded, decode_in_full(&raw, true));
    assert_eq!(decoded.answer.chunks_ns.len(), decoded.answer.chunk_delays_ns.len());
    decoded
}

/// What was read of a response.
#[derive(Debug, PartialEq)]
struct Read {
    is_failed: bool,
    is_done: bool,
    can_keep_alive: bool,
    head: Option<ResponseHead>,
    /// `None` after an error, before which more or less of it may have been kept.
    body: Option<Vec<u8>>,
}

impl Read {
    fn of(pieces: &[&[u8]]) -> Self {
        let mut reader = ResponseReader::new();
        let error = push(&mut reader, pieces);
        Self {
            is_failed: error.is_some(),
            is_done: reader.is_done(),
            can_keep_alive: error.is_none() && reader.can_keep_alive(),
            head: reader.head().cloned(),
            body: error.is_none().then(|| reader.body().bytes().to_vec()),
        }
    }
}

fn push(reader: &mut ResponseReader, pieces: &[&[u8]]) -> Option<TransportError> {
    push_to(reader, pieces, &mut KeepBody)
}

/// Has `sink` take what it wants after every piece.
fn push_to(
    reader: &mut ResponseReader,
    pieces: &[&[u8]],
    sink: &mut impl BodySink,
) -> Option<TransportError> {
    (1..).zip(pieces).find_map(|(at, piece)| {
        let error = reader.push(piece, Received::user(Nanos(at))).err();
        if let (Some(head), body) = reader.parts_mut() {
            sink.take(head, body);
        }
        error.map(TransportError::from)
    })
}

fn raw_response(pieces: &[&[u8]]) -> RawResponse {
    read_response(pieces, &mut KeepBody)
}

fn read_response(pieces: &[&[u8]], sink: &mut impl BodySink) -> RawResponse {
    let mut reader = ResponseReader::new();
    let closed = Received::user(Nanos(pieces.len() as u64 + 1));
    let error = push_to(&mut reader, pieces, sink);
    let error = error.or_else(|| reader.close(closed).err());
    let end = reader.end().or(Some(closed));
    let stamps = Stamps { sent_ns: Some(Nanos::ZERO), end, ..Stamps::default() };
    let (head, body) = reader.into_parts();
    RawResponse { head, body, stamps, error, ..RawResponse::default() }
}

/// Chunks without extensions, trailers and lenience; `None`: these are others.
fn simple_chunks(mut wire: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = wire.windows(2).position(|pair| pair == b"\r\n").filter(|end| *end <= 8)?;
        let digits = std::str::from_utf8(&wire[..end]).ok()?;
        let size = usize::from_str_radix(digits.strip_prefix('+').map_or(digits, |_| ""), 16);
        let (data, rest) = wire[end + 2..].split_at_checked(size.ok()?)?;
        body.extend_from_slice(data);
        wire = rest.strip_prefix(b"\r\n")?;
        if data.is_empty() {
            return Some(body);
        }
    }
}

type Seen = (Vec<u8>, Vec<u8>, usize, bool);

fn events(pieces: &[&[u8]]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut see = |event: Event<'_>| {
        let Event { name, data, data_end, terminated } = event;
        seen.push((name.to_vec(), data.to_vec(), data_end, terminated));
    };
    let mut parser = EventParser::new();
    for piece in pieces {
        parser.push(piece, &mut see);
    }
    parser.finish(see);
    seen
}
