use std::path::Path;

use serde_json::json;
use turnbench_model::{
    FailureKind, HistoryReasoning, Message, Nanos, Outcome, Received, ServerTimes, Stamps,
};

use super::{ChatDecoder, decode, decode_in_full};
use crate::api::{AnswerSpelling, Decoded};
use crate::error::TransportError;
use crate::http1::ResponseReader;
use crate::response::RawResponse;
use crate::session::BodySink;
use crate::{ConversationBody, JsonStyle};

/// A 200 response whose body comes in `pieces`, at 1, 2, 3, … ns after it was sent at 0.
pub(crate) fn response(pieces: &[&str]) -> RawResponse {
    let mut reader = ResponseReader::new();
    reader.push(b"HTTP/1.1 200 OK\r\n\r\n", Received::user(Nanos(0))).unwrap();
    for (index, piece) in pieces.iter().enumerate() {
        reader.push(piece.as_bytes(), Received::user(Nanos(index as u64 + 1))).unwrap();
    }
    reader.close(Received::user(Nanos(pieces.len() as u64 + 1))).unwrap();
    let stamps = Stamps { sent_ns: Some(Nanos::ZERO), end: reader.end(), ..Stamps::default() };
    let (head, body) = reader.into_parts();
    RawResponse { head, body, stamps, ..RawResponse::default() }
}

/// A recorded body of the stub server, one line per read.
pub(crate) fn recorded(name: &str) -> RawResponse {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/requests/sse");
    let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    response(&lines)
}

fn event(value: &serde_json::Value) -> String {
    format!("data: {value}\n\n")
}

fn delta(delta: &serde_json::Value) -> String {
    event(&json!({"choices": [{"index": 0, "delta": delta}]}))
}

fn stop() -> String {
    event(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
}

fn stream(pieces: &[String]) -> Decoded {
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    let raw = response(&pieces);
    let decoded = decode(&raw, true);
    assert_eq!(decoded, decode_in_full(&raw, true));
    decoded
}

fn kind(decoded: &Decoded) -> Option<FailureKind> {
    decoded.outcome.failure().map(|failure| failure.kind)
}

fn check_recorded(name: &str, expect: Option<FailureKind>, content: &str, tokens: usize) {
    let raw = recorded(name);
    let decoded = decode(&raw, !name.starts_with("ns_"));
    assert_eq!(decoded, decode_in_full(&raw, !name.starts_with("ns_")), "{name}");
    assert_eq!(kind(&decoded), expect, "{name}: {:?}", decoded.outcome);
    assert_eq!(decoded.answer.content, content, "{name}");
    assert_eq!(decoded.answer.chunks_ns.len(), tokens, "{name}");
}

#[test]
fn the_stub_servers_behaviours_are_judged() {
    let whole = "Reply to turn 3: And tomorrow — naïve question?";
    for name in ["normal", "role_null", "no_role", "empty_chunks", "comments", "event", "crlf"] {
        check_recorded(name, None, whole, 10);
    }
    for name in ["nospace", "usage_chunk", "no_done"] {
        check_recorded(name, None, whole, 10);
    }
    check_recorded("multi", None, whole, 3);
    check_recorded("single", None, whole, 1);
    check_recorded("ns_normal", None, whole, 1);
    check_recorded("ns_pretty", None, whole, 1);
    check_recorded("ns_role", None, whole, 1);
    check_recorded("reasoning", None, whole, 13);
    check_recorded("cut_clean", Some(FailureKind::Truncated), "Reply to turn", 3);
    check_recorded("cut_hard", Some(FailureKind::Truncated), "Reply to turn", 3);
    check_recorded("error_json", Some(FailureKind::StreamError), "Reply to turn", 3);
    check_recorded("none", Some(FailureKind::Invalid), "", 0);
}

#[test]
fn tokens_are_events_with_text_and_have_the_stamp_of_their_read() {
    let decoded = stream(&[
        delta(&json!({"role": "assistant", "content": ""})),
        delta(&json!({"reasoning": "th", "reasoning_content": "th"})),
        delta(&json!({"reasoning_content": "ink", "reasoning": null})),
        delta(&json!({"content": ""})),
        delta(&json!({"content": "a"})),
        stop(),
        event(&json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}})),
        "data: [DONE]\n\n".to_owned(),
    ]);
    assert_eq!(decoded.outcome, Outcome::Completed);
    let answer = &decoded.answer;
    assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("think", "a"));
    assert_eq!(answer.first_chunk, "th");
    assert_eq!(answer.chunks_ns, [Nanos(2), Nanos(3), Nanos(5)]);
    let at = |received: Option<Received>| received.map(|received| received.at_ns.0);
    let stamps = &decoded.stamps;
    assert_eq!(at(stamps.first_event), Some(1));
    assert_eq!((at(stamps.first_token), at(stamps.last_token)), (Some(2), Some(5)));
    assert_eq!(at(stamps.end), Some(8));
}

#[test]
fn tool_calls_are_assembled_and_count_as_tokens() {
    let call = |call: serde_json::Value| delta(&json!({"tool_calls": [call]}));
    let decoded = stream(&[
        call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f"}})),
        call(json!({"index": 0, "function": {"arguments": "{\"x\""}})),
        call(json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": ": 1}"}})),
        call(json!({"index": 1, "function": {"arguments": ""}})),
        stop(),
    ]);
    assert_eq!(decoded.outcome, Outcome::Completed);
    let expect = json!([
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]);
    assert_eq!(json!(decoded.answer.tool_calls), expect);
    assert_eq!(decoded.answer.chunks_ns, [Nanos(1), Nanos(2), Nanos(3), Nanos(4)]);
    assert_eq!(decoded.answer.first_chunk, "f");
}

#[test]
fn whole_tool_calls_without_index_stay_apart() {
    let call = |id: &str| json!({"id": id, "function": {"name": id, "arguments": "{}"}});
    let message =
        json!({"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]});
    let text =
        json!({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).to_string();
    let decoded = decode(&response(&[&text]), false);
    assert_eq!(decoded.outcome, Outcome::Completed);
    assert_eq!(decoded.answer.tool_calls.len(), 2);
}

#[test]
fn errors_inside_a_stream_carry_the_servers_words() {
    let check = |piece: &str, message: &str| {
        let decoded = stream(&[delta(&json!({"content": "a"})), piece.to_owned()]);
        let failure = decoded.outcome.failure().unwrap();
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::StreamError, message));
        assert_eq!((failure.status, decoded.answer.content.as_str()), (Some(200), "a"));
    };
    check("data: {\"error\": {\"message\": \"m\"}}\n\n", "m");
    check("data: {\"error\": \"m\"}\n\ndata: [DONE]\n\n", "m");
    check("data: {\"object\": \"error\", \"message\": \"m\", \"code\": 500}\n\n", "m");
    check("data: {\"detail\": \"m\"}\n\n", "m");
    check("event: error\ndata: m\n\n", "m");
    let aborted = json!({"choices": [{"delta": {}, "finish_reason": "abort"}]});
    check(&event(&aborted), "the server ended the answer with finish_reason abort");
}

#[test]
fn odd_events_are_judged() {
    let content = || delta(&json!({"content": "a"}));
    let check = |pieces: &[String], expect| assert_eq!(kind(&stream(pieces)), expect, "{pieces:?}");
    check(&[content(), "data: {broken\n\n".to_owned(), stop()], Some(FailureKind::Invalid));
    check(&[content(), "data: 5\n\n".to_owned(), stop()], Some(FailureKind::Invalid));
    check(&["<html>hello</html>".to_owned()], Some(FailureKind::Invalid));
    check(&[json!({"choices": []}).to_string()], Some(FailureKind::Invalid));
    check(&[], Some(FailureKind::Truncated));
    check(&[content()], Some(FailureKind::Truncated));
    // Neither an unfinished last event, nor an extension's event, nor a repeated key does harm.
    check(&[content(), stop(), "data: {\"cho".to_owned()], None);
    check(&[content(), "data: [DONE]".to_owned()], None);
    check(&[content(), "event: sglext_ids\ndata: zzz\n\n".to_owned(), stop()], None);
    check(
        &[content(), "data: {\"id\": 1, \"choices\": [], \"choices\": []}\n\n".to_owned(), stop()],
        None,
    );
    check(&[content(), "data: {\"worker_id\": 9544073408519451999}\n\n".to_owned(), stop()], None);
}

#[test]
fn an_answer_without_text_counts_if_the_server_counted_it() {
    let usage = |tokens: u64| {
        event(&json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": tokens}}))
    };
    assert_eq!(stream(&[stop(), usage(1)]).outcome, Outcome::Completed);
    assert_eq!(kind(&stream(&[stop()])), Some(FailureKind::Invalid));
    assert_eq!(
        kind(&stream(&[usage(0), "data: [DONE]\n\n".to_owned()])),
        Some(FailureKind::Invalid)
    );
}

#[test]
fn what_comes_after_done_changes_nothing_about_success() {
    let mut raw = response(&[&delta(&json!({"content": "a"})), "data: [DONE]\n\n"]);
    raw.error = Some(TransportError::Timeout { limit_ms: 5 });
    assert_eq!(decode(&raw, true).outcome, Outcome::Completed);
    let mut raw = response(&[&delta(&json!({"content": "a"})), &stop()]);
    raw.error = Some(TransportError::Timeout { limit_ms: 5 });
    let decoded = decode(&raw, true);
    assert_eq!(kind(&decoded), Some(FailureKind::Timeout));
    assert_eq!(decoded.answer.content, "a");
}

#[test]
fn only_the_first_choice_is_the_answer() {
    let choice = |index: u64, text: &str| json!({"index": index, "delta": {"content": text}});
    let decoded = stream(&[
        event(&json!({"choices": [choice(1, "no")]})),
        event(&json!({"choices": [choice(1, "no"), choice(0, "yes")]})),
        stop(),
    ]);
    assert_eq!((decoded.answer.content.as_str(), decoded.answer.chunks_ns.len()), ("yes", 1));
}

#[test]
fn the_last_usage_counts_and_odd_numbers_are_not_reported() {
    let usage = json!({"prompt_tokens": 1e3, "completion_tokens": null,
        "prompt_tokens_details": {"cached_tokens": 16}, "cost": 1.575e-05});
    let decoded = stream(&[
        event(&json!({"choices": [], "usage": {"prompt_tokens": 1}})),
        event(&json!({"choices": [], "usage": usage})),
        event(&json!({"choices": [], "usage": null})),
    ]);
    let usage = decoded.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(1_000), None));
    assert_eq!(usage.cached_tokens, Some(16));
}

#[test]
fn a_stream_taken_in_batches_decodes_the_same() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/requests/sse/reasoning.txt"),
    )
    .unwrap();
    let whole = decode(&response(&[&text]), true);
    for step in [1, 7, 64, 200] {
        let mut reader = ResponseReader::new();
        let mut decoder = ChatDecoder::new(true);
        reader.push(b"HTTP/1.1 200 OK\r\n\r\n", Received::user(Nanos(0))).unwrap();
        for (index, piece) in text.as_bytes().chunks(step).enumerate() {
            reader.push(piece, Received::user(Nanos(index as u64 + 1))).unwrap();
            if index % 3 == 0
                && let (Some(head), body) = reader.parts_mut()
            {
                decoder.take(head, body);
                assert!(body.bytes().is_empty());
            }
        }
        reader.close(Received::user(Nanos(9_999))).unwrap();
        let stamps = Stamps { sent_ns: Some(Nanos::ZERO), end: reader.end(), ..Stamps::default() };
        let (head, body) = reader.into_parts();
        let raw = RawResponse { head, body, stamps: stamps.clone(), ..RawResponse::default() };
        let batched = decoder.finish(&raw);
        assert_eq!(
            (&batched.outcome, &batched.answer.content),
            (&whole.outcome, &whole.answer.content)
        );
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(step)
            .map(|piece| std::str::from_utf8(piece).unwrap_or_default())
            .collect();
        if pieces.concat() == text {
            assert_eq!(batched.answer, decode(&response(&pieces), true).answer, "{step}");
        }
    }
}

#[test]
fn events_that_differ_in_their_text_only_are_not_decoded_in_full() {
    let texts = ["a", "", "é😀", "\\n\"", "x"].map(|text| delta(&json!({"content": text})));
    let stream = texts.concat();
    let first = texts[0].len();
    let mut decoder = ChatDecoder::new(true);
    decoder.push(&response(&[&stream[..first]]).body);
    let rest = response(&[&stream]).body;
    decoder.finder.extend(&rest, false);
    assert_eq!(decoder.take_by_shape(&rest.bytes()[first..]), stream.len() - first);
}

#[test]
fn delays_in_the_kernel_and_who_stamped_are_kept_event_by_event() {
    let mut reader = ResponseReader::new();
    reader.push(b"HTTP/1.1 200 OK\r\n\r\n", Received::user(Nanos(0))).unwrap();
    let stamp = |index: u64, by_user: bool| {
        let (at_ns, read_ns) = (Nanos(10 * index), Nanos(11 * index + 3));
        let by_kernel = Received { at_ns, read_ns, source: turnbench_model::StampSource::Kernel };
        if by_user { Received::user(read_ns) } else { by_kernel }
    };
    let events = [("a", false), ("", true), ("b", true), ("c", false)];
    for (index, (text, by_user)) in (0..).zip(events) {
        let received = stamp(index, by_user);
        reader.push(delta(&json!({"content": text})).as_bytes(), received).unwrap();
    }
    reader.close(Received::user(Nanos(99))).unwrap();
    let (head, body) = reader.into_parts();
    let answer = decode(&RawResponse { head, body, ..RawResponse::default() }, true).answer;
    assert_eq!(answer.chunks_ns, [Nanos(0), Nanos(25), Nanos(30)]);
    assert_eq!(answer.chunk_delays_ns, [Nanos(3), Nanos(0), Nanos(6)]);
    assert_eq!(answer.user_stamped_chunks, [1]);
}

#[test]
fn the_servers_spelling_of_a_text_is_kept() {
    let piece = |inside: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{inside}\"}}}}]}}\n\n")
    };
    let decoded =
        stream(&[piece("a"), piece("\\u00e9"), piece("\\ud83d"), piece("\\ude00"), stop()]);
    assert_eq!(decoded.answer.content, "aé😀");
    assert_eq!(decoded.spelling.content.as_deref(), Some("a\\u00e9\\ud83d\\ude00"));
    assert_eq!(decoded.answer.chunks_ns.len(), 4);
    // Half a pair cannot be sent on, and a text without escapes needs no other spelling.
    let decoded = stream(&[piece("\\ud83d"), piece("é"), stop()]);
    assert_eq!(decoded.outcome, Outcome::Completed);
    assert_eq!(
        (decoded.answer.content.as_str(), decoded.answer.first_chunk.as_str()),
        ("\u{fffd}é", "\u{fffd}")
    );
    assert_eq!(decoded.spelling, AnswerSpelling::default());
    let parts = json!([{"type": "text", "text": "a\n"}, "b"]);
    let decoded = stream(&[delta(&json!({"content": parts})), stop()]);
    assert_eq!(decoded.answer.content, "a\nb");
    assert_eq!(decoded.spelling.content.as_deref(), Some("a\\nb"));
}

#[test]
fn tool_calls_are_sent_back_as_the_server_spelled_them() {
    let piece = |call: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{call}]}}}}]}}\n\n")
    };
    let decoded = stream(&[
        piece(r#"{"index":0,"id":"a\/1","type":"function","function":{"name":"f"}}"#),
        piece(r#"{"index":0,"function":{"arguments":"{\"x\": \"\u00e9\ud83d"}}"#),
        piece(r#"{"index":1,"id":"b","function":{"name":"g","arguments":"\ud83d"}}"#),
        piece(r#"{"index":0,"function":{"arguments":"\ude00\/\"}"}}"#),
        stop(),
    ]);
    let sent = |style| {
        let mut body = ConversationBody::new(style, "m");
        body.push(&Message::new("user", "é"));
        let history = body.history().to_vec();
        body.push_answer(&decoded.answer, &decoded.spelling, HistoryReasoning::Keep);
        let added = body.history().strip_prefix(&history[..]);
        String::from_utf8(added.unwrap().to_vec()).unwrap()
    };
    let expect = concat!(
        r#",{"role":"assistant","content":null,"tool_calls":[{"id":"a\/1","type":"function","#,
        r#""function":{"name":"f","arguments":"{\"x\": \"\u00e9\ud83d\ude00\/\"}"}},"#,
        r#"{"id":"b","type":"function","function":{"name":"g","arguments":""#,
        // Half a surrogate pair cannot be sent on.
        "\u{fffd}",
        r#""}}]}"#,
    );
    assert_eq!(sent(JsonStyle::Compact), expect);
    assert!(sent(JsonStyle::Python).contains(r#""id": "a/1", "type": "function""#));
    // What has no escapes needs no other spelling.
    let plain = r#"{"index":0,"id":"a","function":{"name":"é","arguments":"[]"}}"#;
    assert_eq!(stream(&[piece(plain), stop()]).spelling, AnswerSpelling::default());
}

#[test]
fn the_servers_own_times_are_kept_and_odd_ones_are_not_reported() {
    let times = |metrics: serde_json::Value| {
        let usage = json!({"choices": [], "usage": {"completion_tokens": 1}, "metrics": metrics});
        stream(&[delta(&json!({"content": "a"})), stop(), event(&usage)]).server_times
    };
    let found = times(json!({"time_to_first_token_ms": 8.5, "mean_itl_ms": null, "more": [1]}));
    assert_eq!(
        found,
        Some(ServerTimes { time_to_first_token_ms: Some(8.5), ..ServerTimes::default() })
    );
    assert_eq!(times(json!(null)), None);
    assert_eq!(times(json!({"time_to_first_token_ms": "8"})), None);
    assert_eq!(times(json!([1, 2])), None);
}
