//! Decoding by the last event's shape says what decoding in full says, whatever comes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use proptest::sample::Index;
use turnbench_client::api::{ChatDecoder, Decoded, decode, decode_in_full};
use turnbench_client::http1::ResponseReader;
use turnbench_client::{BodySink, ConversationBody, JsonStyle, RawResponse};
use turnbench_model::{HistoryReasoning, Message, Nanos, Received, Stamps};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// The inside of a JSON string; at times none.
fn inside() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z é😀]{0,6}",
        2 => r#"(\\n|\\"|\\\\|\\/|\\u00e9|\\ud83d\\ude00|x){1,4}"#,
        1 => r"(\\ud83d|\\ude00)",
        1 => "(\"|\\\\|\n|\\\\x|\",\"content\":\"y|\\\\u12)",
    ]
}

/// The same, but for half a pair at most valid.
fn valid_inside() -> impl Strategy<Value = String> {
    r#"([a-z é😀]|\\n|\\"|\\\\|\\/|\\u00E9|\\ud83d|\\ude00){0,4}"#
}

/// What stands around a text in the events of some server; `C` is a time, `U` a usage.
fn around() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        (
            r#"{"id":"a","created":C,"choices":[{"index":0,"delta":{"content":""#,
            r#""},"logprobs":null,"finish_reason":null,"token_ids":null}]}"#,
        ),
        (r#"{"choices":[{"index":0,"delta":{"reasoning":""#, r#""}}],"usage":U}"#),
        (
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":null,"content":""#,
            r#""},"finish_reason":null,"matched_stop":null}],"usage":U,"created":C}"#,
        ),
        (r#"{"usage":U,"choices":[{"delta":{"content":""#, r#""}}]}"#),
        (r#"{"choices":[{"finish_reason":null,"delta":{"reasoning_content":""#, r#""}}]}"#),
        (r#"{"choices":[{"delta":{"reasoning":"r","reasoning_content":""#, r#""}}]}"#),
        (r#"{"choices":[{"delta":{"reasoning":""#, r#"","reasoning_content":"r"}}]}"#),
        (r#"{"choices":[{"delta":{"reasoning":"","reasoning_content":""#, r#""}}]}"#),
        (r#"{"choices":[{"index":1,"delta":{"content":""#, r#""}}]}"#),
        (r#"{"choices":[{"index":0,"text":""#, r#""}],"usage":null}"#),
        (r#"{"choices":[{"delta":{"content":"","content":""#, r#""}}]}"#),
        (r#"{"choices":[{"delta":{"content":[""#, r#""]}}]}"#),
        (r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":""#, r#""}}]}}]}"#),
        (r#"{"choices":[{"delta":{},"finish_reason":""#, r#""}]}"#),
        (r#"{"error":{"message":""#, r#""}}"#),
        (r#"{"choices":[{"delta":{"content":""#, r#""}}],"error":0}"#),
        (r#"{"choices":[],"metrics":{"queue_time_ms":1},"usage":U,"x":""#, r#""}"#),
    ])
}

/// An event's start and end: how it is spelled as lines.
fn lines() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop_oneof![
        12 => Just(("data: ", "\n\n")),
        2 => Just(("data:", "\n\n")),
        2 => Just(("data: ", "\r\n\r\n")),
        1 => prop::sample::select(vec![
            ("data: ", "\r\r"),
            ("data: ", "\n"),
            ("data: ", "\nid: 7\n\n"),
            (": ping\ndata: ", "\n\n"),
            ("event: message\ndata: ", "\n\n"),
            ("event: other\ndata: ", "\n\n"),
            ("\u{feff}data: ", "\n\n"),
            ("data: {\ndata: ", "\n\n"),
        ]),
    ]
}

fn usage() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..200_u32, 0..2_000_u32).prop_map(|(prompt, completion)| format!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"prompt_tokens_details":{{"cached_tokens":{prompt}}}}}"#
        )),
        1 => prop::sample::select(vec!["007", "-1", "1e3", "1.5", "12345678901234567890"]).prop_map(|odd| format!(
            r#"{{"prompt_tokens":1,"completion_tokens":{odd},"prompt_tokens_details":{{"cached_tokens":1}}}}"#
        )),
        1 => Just("null".to_owned()),
    ]
}

/// Runs of events of one server that differ little, as streams have them.
fn run() -> impl Strategy<Value = String> {
    let between =
        prop_oneof![20 => Just(""), 1 => Just("data: [DONE]\n\n"), 1 => Just(": ping\n\n")];
    let event = (inside(), usage(), 0..3_u32, between);
    (around(), lines(), prop::collection::vec(event, 1..8)).prop_map(
        |((before, after), (start, end), events)| {
            let mut text = String::new();
            for (inside, usage, created, between) in events {
                let fill = |part: &str| {
                    part.replace('U', &usage).replace(":C", &format!(":17000{created}"))
                };
                text += &[between, start, &fill(before), &inside, &fill(after), end].concat();
            }
            text
        },
    )
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..2);
    (prop::collection::vec(run(), 1..5), changes).prop_map(|(runs, changes)| {
        let mut bytes = runs.concat().into_bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// The body in pieces that end at `ends`, one read each; `sink` takes it now and then.
fn read(body: &[u8], ends: &[usize], mut sink: impl FnMut(&mut ResponseReader)) -> RawResponse {
    let mut reader = ResponseReader::new();
    reader.push(HEAD, Received::user(Nanos(0))).unwrap();
    let mut from = 0;
    for &end in ends.iter().chain([&body.len()]) {
        if end > from {
            reader.push(&body[from..end], Received::user(Nanos(end as u64))).unwrap();
            from = end;
            sink(&mut reader);
        }
    }
    reader.close(Received::user(Nanos(body.len() as u64))).unwrap();
    let stamps = Stamps { sent_ns: Some(Nanos::ZERO), end: reader.end(), ..Stamps::default() };
    let (head, body) = reader.into_parts();
    RawResponse { head, body, stamps, ..RawResponse::default() }
}

/// Batches are longer than any comments after an event's data, as they are in a session.
fn decode_in_batches(body: &[u8], ends: &[usize]) -> Decoded {
    const BATCH_BYTES: usize = 800;
    let mut decoder = ChatDecoder::new(true);
    let raw = read(body, ends, |reader| {
        if reader.body().bytes().len() >= BATCH_BYTES
            && let (Some(head), body) = reader.parts_mut()
        {
            decoder.take(head, body);
        }
    });
    decoder.finish(&raw)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_decodes_as_in_full(
        body in stream(),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        ends.sort_unstable();
        let raw = read(&body, &ends, |_| {});
        let full = decode_in_full(&raw, true);
        prop_assert_eq!(&decode(&raw, true), &full, "{}", String::from_utf8_lossy(&body));
        if raw.body.bytes().first() == Some(&b'd') {
            let batched = decode_in_batches(&body, &ends);
            prop_assert_eq!(&batched, &full, "{}", String::from_utf8_lossy(&body));
        }
        prop_assert_eq!(full.answer.chunks_ns.len(), full.answer.chunk_delays_ns.len());
    }

    #[test]
    fn the_next_request_has_the_servers_own_bytes(
        insides in prop::collection::vec(valid_inside(), 1..9),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let event = |inside: &String| {
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{inside}\"}}}}]}}\n\n")
        };
        let body: String = insides.iter().map(event).collect();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        ends.sort_unstable();
        let decoded = decode(&read(body.as_bytes(), &ends, |_| {}), true);
        let mut next = ConversationBody::new(JsonStyle::Compact, "m");
        next.push_answer(&decoded.answer, &decoded.spelling, HistoryReasoning::Drop);
        let sent = std::str::from_utf8(next.history()).unwrap();
        let message = &sent[sent.find('[').unwrap() + 1..];
        let said: Message = serde_json::from_str(message).unwrap();
        prop_assert_eq!(said.content.text(), decoded.answer.content.as_str());
        let whole = insides.concat();
        if serde_json::from_str::<String>(&format!("\"{whole}\"")).is_ok() {
            prop_assert_eq!(message, format!("{{\"role\":\"assistant\",\"content\":\"{whole}\"}}"));
        }
    }

    #[test]
    fn a_kept_spelling_says_the_answers_text(body in stream()) {
        let decoded = decode(&read(&body, &[], |_| {}), true);
        let texts = [
            (&decoded.answer.content, &decoded.spelling.content),
            (&decoded.answer.reasoning, &decoded.spelling.reasoning),
        ];
        for (text, spelling) in texts {
            if let Some(spelling) = spelling {
                let said = serde_json::from_str::<String>(&format!("\"{spelling}\""));
                prop_assert_eq!(said.ok(), Some(text.clone()));
            }
        }
    }
}
