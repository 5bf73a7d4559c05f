//! Every recorded response of a real server is read right, however its bytes are cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Read;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use turnbench_client::api::{Decoded, decode, decode_in_full};
use turnbench_client::http1::ResponseReader;
use turnbench_client::{RawResponse, TransportError};
use turnbench_model::{FailureKind, Nanos, Outcome, Received, ServerTimes, Stamps, Usage};

struct Case {
    name: String,
    wire: Vec<u8>,
    stream: bool,
    value: Value,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/servers/cases.json.zst");
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    cases
        .into_iter()
        .map(|value| Case {
            name: format!("{}/{}", value["set"].as_str().unwrap(), value["name"].as_str().unwrap()),
            wire: value["wire"].as_str().unwrap().chars().map(|byte| byte as u8).collect(),
            stream: value["stream"].as_bool().unwrap(),
            value,
        })
        .collect()
}

/// Feeds pieces ending at `ends`, each read at its own end's offset as time, then the end of the stream.
fn read(wire: &[u8], ends: impl IntoIterator<Item = usize>) -> RawResponse {
    let mut reader = ResponseReader::new();
    let (mut from, mut reads_count, mut error) = (0, 0, None);
    for end in ends.into_iter().chain([wire.len()]) {
        if end > from {
            let at = Received::user(Nanos(end as u64));
            error = error.or(reader.push(&wire[from..end], at).err().map(TransportError::from));
            (from, reads_count) = (end, reads_count + 1);
        }
    }
    let closed = Received::user(Nanos(wire.len() as u64 + 1));
    error = error.or(reader.close(closed).err());
    let stamps = Stamps {
        sent_ns: Some(Nanos::ZERO),
        headers: reader.head_received(),
        end: reader.end().or(Some(closed)),
        ..Stamps::default()
    };
    let (head, body) = reader.into_parts();
    RawResponse { head, body, stamps, reads_count, error, ..RawResponse::default() }
}

/// The reads as recorded; their lengths are those of the bytes on the wire.
fn recorded_ends(case: &Case) -> Vec<usize> {
    let mut end = 0;
    let reads = case.value["reads"].as_array().unwrap();
    reads
        .iter()
        .map(|read| {
            end += usize::try_from(read[1].as_u64().unwrap()).unwrap();
            end.min(case.wire.len())
        })
        .collect()
}

fn is_completion(case: &Case) -> bool {
    !case.value["events"].is_null() || !case.value["answer"].is_null()
}

#[test]
fn framing_is_read_as_by_pythons_http_client() {
    let cases = cases();
    assert!(cases.len() > 380, "{}", cases.len());
    for case in &cases {
        let raw = read(&case.wire, recorded_ends(case));
        let head = raw.head.as_ref().unwrap();
        assert_eq!(Some(u64::from(head.status)), case.value["status"].as_u64(), "{}", case.name);
        assert_eq!(
            head.content_type.as_deref(),
            case.value["content_type"].as_str(),
            "{}",
            case.name
        );
        assert_eq!(raw.error.is_none(), case.value["complete"].as_bool().unwrap(), "{}", case.name);
        let bytes = raw.body.bytes();
        if raw.error.is_none() {
            assert_eq!(
                Some(bytes.len() as u64),
                case.value["body_bytes"].as_u64(),
                "{}",
                case.name
            );
            assert_eq!(case.value["body_sha256"], sha256(bytes), "{}", case.name);
        }
    }
}

#[test]
fn errors_are_reported_in_the_servers_words() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.value["status"] != 200) {
        let decoded = decode(&read(&case.wire, recorded_ends(case)), case.stream);
        let Outcome::Failed(failure) = &decoded.outcome else { panic!("{}", case.name) };
        assert_eq!(failure.kind, FailureKind::HttpStatus, "{}", case.name);
        assert_eq!(failure.status.map(u64::from), case.value["status"].as_u64(), "{}", case.name);
        match case.value["message"].as_str() {
            Some(message) => {
                let message = &message[..message.floor_char_boundary(1_000)];
                assert_eq!(failure.message, message, "{}", case.name);
            }
            None => assert!(!failure.message.is_empty(), "{}", case.name),
        }
        seen += 1;
    }
    assert!(seen > 80, "{seen}");
}

fn check_stream(case: &Case, decoded: &Decoded) {
    let (name, expect) = (&case.name, &case.value["events"]);
    let answer = &decoded.answer;
    assert_eq!(Some(answer.content.as_str()), expect["text"].as_str(), "{name}");
    assert_eq!(Some(answer.reasoning.as_str()), expect["reasoning"].as_str(), "{name}");
    assert_eq!(answer.finish_reason.as_deref(), expect["finish"].as_str(), "{name}");
    assert_eq!(Some(answer.done), expect["done"].as_bool(), "{name}");
    assert_eq!(Some(answer.chunks_ns.len() as u64), expect["tokens"].as_u64(), "{name}");
    check_usage(name, decoded.usage.as_ref(), &expect["usage"]);
    let ends_well =
        answer.done || (answer.finish_reason.is_some() && case.value["complete"] == true);
    let kind = decoded.outcome.failure().map(|failure| failure.kind);
    let aborted = answer.finish_reason.as_deref() == Some("abort");
    let expect_kind = if !expect["error"].is_null() || aborted {
        Some(FailureKind::StreamError)
    } else if !ends_well {
        Some(FailureKind::Truncated)
    } else {
        None
    };
    assert_eq!(kind, expect_kind, "{name}: {:?}", decoded.outcome);
    if let Some(message) = expect["error"].as_str() {
        assert_eq!(decoded.outcome.failure().unwrap().message, message, "{name}");
    }
}

fn check_usage(name: &str, usage: Option<&Usage>, expect: &Value) {
    let Some(usage) = usage else {
        assert!(expect.is_null(), "{name}");
        return;
    };
    assert_eq!(usage.prompt_tokens, expect["prompt_tokens"].as_u64(), "{name}");
    assert_eq!(usage.completion_tokens, expect["completion_tokens"].as_u64(), "{name}");
    let cached = expect["prompt_tokens_details"]["cached_tokens"].as_u64();
    // What was told elsewhere (llama.cpp's timings, SGLang's tiers) fills in for it and says so.
    let told = usage.cached_tokens.filter(|_| usage.cached_source.is_none());
    assert_eq!(told, cached, "{name}");
    assert!(usage.cached_source.is_none() || usage.cached_tokens.is_some(), "{name}");
    let reasoning = expect["completion_tokens_details"]["reasoning_tokens"].as_u64();
    assert_eq!(usage.reasoning_tokens, reasoning, "{name}");
}

#[test]
fn streams_give_text_usage_and_verdict() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.value["events"].is_object()) {
        let decoded = decode(&read(&case.wire, recorded_ends(case)), case.stream);
        check_stream(case, &decoded);
        check_recorder(case, &decoded);
        check_stamps(&case.name, &decoded);
        seen += 1;
    }
    assert!(seen > 120, "{seen}");
}

/// What the recorder found with another parser.
fn check_recorder(case: &Case, decoded: &Decoded) {
    let expect = &case.value["recorder"];
    if !expect.is_object() {
        return;
    }
    let text = expect["text"]["0"].as_str().unwrap_or_default();
    assert_eq!(decoded.answer.content, text, "{}", case.name);
    assert_eq!(decoded.answer.done, expect["done"].as_bool().unwrap(), "{}", case.name);
    let reasoning = expect["reasoning"]["0"].as_str().unwrap_or_default();
    assert_eq!(decoded.answer.reasoning, reasoning, "{}", case.name);
}

fn check_stamps(name: &str, decoded: &Decoded) {
    let stamps = &decoded.stamps;
    let order =
        [stamps.headers, stamps.first_event, stamps.first_token, stamps.last_token, stamps.end];
    let order: Vec<_> = order.iter().flatten().map(|received| received.at_ns).collect();
    assert!(order.is_sorted(), "{name}: {stamps:?}");
    assert!(decoded.answer.chunks_ns.is_sorted(), "{name}");
    assert_eq!(stamps.first_token.map(|it| it.at_ns), decoded.answer.chunks_ns.first().copied());
}

#[test]
fn plain_answers_give_text_and_usage() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.value["answer"].is_object()) {
        let (name, expect) = (&case.name, &case.value["answer"]);
        let decoded = decode(&read(&case.wire, recorded_ends(case)), case.stream);
        assert_eq!(decoded.outcome, Outcome::Completed, "{name}");
        assert_eq!(Some(decoded.answer.content.as_str()), expect["text"].as_str(), "{name}");
        assert_eq!(Some(decoded.answer.reasoning.as_str()), expect["reasoning"].as_str(), "{name}");
        assert_eq!(decoded.answer.finish_reason.as_deref(), expect["finish"].as_str(), "{name}");
        check_usage(name, decoded.usage.as_ref(), &expect["usage"]);
        check_stamps(name, &decoded);
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn byte_by_byte_every_token_is_stamped_by_the_byte_that_ends_it() {
    for case in cases().iter().filter(|case| is_completion(case)) {
        let whole = decode(&read(&case.wire, []), case.stream);
        let single = decode(&read(&case.wire, 0..case.wire.len()), case.stream);
        assert_eq!(whole.answer.content, single.answer.content, "{}", case.name);
        assert_eq!(whole.usage, single.usage, "{}", case.name);
        assert_eq!(whole.outcome, single.outcome, "{}", case.name);
        check_stamps(&case.name, &single);
        if !case.value["events"].is_null() {
            // A token's stamp is the offset just after the line end of its event.
            for at in &single.answer.chunks_ns {
                let end = usize::try_from(at.0).unwrap();
                assert!(matches!(case.wire[end - 1], b'\n' | b'\r'), "{} {end}", case.name);
            }
        }
    }
}

#[test]
fn any_cut_gives_the_same_answer() {
    let cases: Vec<_> = cases().into_iter().filter(is_completion).collect();
    let whole: Vec<_> =
        cases.iter().map(|case| decode(&read(&case.wire, []), case.stream)).collect();
    let strategy = (0..cases.len(), prop::collection::vec(any::<prop::sample::Index>(), 0..20));
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&strategy, |(index, cuts)| {
            let case = &cases[index];
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(case.wire.len() + 1)).collect();
            ends.sort_unstable();
            let raw = read(&case.wire, ends);
            let decoded = decode(&raw, case.stream);
            prop_assert_eq!(&decoded, &decode_in_full(&raw, case.stream), "{}", case.name);
            prop_assert_eq!(&decoded.outcome, &whole[index].outcome);
            prop_assert_eq!(&decoded.usage, &whole[index].usage);
            prop_assert_eq!(&decoded.answer.content, &whole[index].answer.content);
            prop_assert_eq!(&decoded.answer.first_chunk, &whole[index].answer.first_chunk);
            prop_assert_eq!(decoded.answer.chunks_ns.len(), whole[index].answer.chunks_ns.len());
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_servers_own_times_are_read_where_it_reports_them() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| is_completion(case)) {
        let decoded = decode(&read(&case.wire, []), case.stream);
        let text = String::from_utf8_lossy(&case.wire);
        let number = |key: &str| {
            let (_, rest) = text.split_once(&format!("\"{key}\":"))?;
            rest.split([',', '}']).next()?.parse().ok()
        };
        let expect = text.contains("\"metrics\":{").then(|| ServerTimes {
            time_to_first_token_ms: number("time_to_first_token_ms"),
            generation_time_ms: number("generation_time_ms"),
            queue_time_ms: number("queue_time_ms"),
            mean_itl_ms: number("mean_itl_ms"),
        });
        assert_eq!(decoded.server_times, expect, "{}", case.name);
        seen += usize::from(expect.is_some());
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn any_truncation_keeps_a_prefix_and_is_no_success() {
    let cases: Vec<_> = cases().into_iter().filter(is_completion).collect();
    let strategy = (0..cases.len(), any::<prop::sample::Index>());
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&strategy, |(index, cut)| {
            let case = &cases[index];
            let whole = decode(&read(&case.wire, []), case.stream);
            let cut = decode(&read(&case.wire[..cut.index(case.wire.len())], []), case.stream);
            prop_assert!(whole.answer.content.starts_with(&cut.answer.content));
            prop_assert!(cut.answer.done || !cut.outcome.is_completed(), "{}", case.name);
            Ok(())
        })
        .unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    use std::fmt::Write;
    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
