//! What reading and decoding an answer of 1,000 events costs per event, in ns: the HTTP framing, the
//! decoding by the last event's shape, and the decoding in full. No socket is involved.
//!
//! `cargo run --release -p turnbench-client --example decode_speed`

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;

use turnbench_client::api::{Decoded, decode, decode_in_full};
use turnbench_client::http1::ResponseReader;
use turnbench_client::{HttpError, RawResponse};
use turnbench_model::{Clock, MonotonicClock, Nanos, Received, Stamps};

/// Tokens of the answer.
const EVENTS: usize = 1_000;
/// Each figure is the best of so many runs.
const RUNS: usize = 300;
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    transfer-encoding: chunked\r\n\r\n";
/// Texts of the events, in turn.
const PLAIN: [&str; 4] = [" the", " cache", ",", " evicted"];
const ESCAPED: [&str; 4] = [" \\\"the", "\\u00e9", ",", "\\n\\n"];

fn main() -> Result<(), HttpError> {
    println!("ns per event             events/read  framing   by shape    in full");
    let no_usage = |_: usize| String::new();
    let usage = |tokens: usize| {
        let total = tokens + 517;
        format!(
            r#","usage":{{"prompt_tokens":517,"total_tokens":{total},"completion_tokens":{tokens}}}"#
        )
    };
    for per_read in [1, 16] {
        line("text alone", per_read, &answer(PLAIN, no_usage))?;
        line("text with escapes", per_read, &answer(ESCAPED, no_usage))?;
        line("a usage in every event", per_read, &answer(PLAIN, usage))?;
    }
    Ok(())
}

/// The bytes of an answer as vLLM 0.32 sends it, event by event, each a chunk of the transfer coding.
fn answer(texts: [&str; 4], usage: impl Fn(usize) -> String) -> Vec<String> {
    let event = |choice: &str, usage: &str| {
        let data = format!(
            r#"data: {{"id":"chatcmpl-9e918046967b06bc","object":"chat.completion.chunk","created":1795503803,"model":"lab","choices":[{{"index":0,{choice}}}]{usage}}}"#
        );
        format!("{:x}\r\n{data}\n\n\r\n", data.len() + 2)
    };
    let mut events = vec![event(r#""delta":{"role":"assistant","content":""}"#, &usage(0))];
    for (index, text) in texts.iter().cycle().take(EVENTS).enumerate() {
        let choice = format!(
            r#""delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null,"token_ids":null"#
        );
        events.push(event(&choice, &usage(index + 1)));
    }
    events.push(event(r#""delta":{},"finish_reason":"stop""#, &usage(EVENTS)));
    events.push("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n".to_owned());
    events
}

fn line(name: &str, per_read: usize, events: &[String]) -> Result<(), HttpError> {
    let reads: Vec<_> = events.chunks(per_read).map(<[String]>::concat).collect();
    let raw = read(&reads)?;
    let framing = best(|| read(&reads));
    let by_shape = best(|| decode(&raw, true));
    let in_full = best(|| decode_in_full(&raw, true));
    println!("{name:<24} {per_read:>11} {framing:>8.1} {by_shape:>10.1} {in_full:>10.1}");
    let Decoded { answer, .. } = decode(&raw, true);
    assert_eq!(answer.chunks_ns.len(), EVENTS, "{name}");
    Ok(())
}

fn read(reads: &[String]) -> Result<RawResponse, HttpError> {
    let mut reader = ResponseReader::new();
    reader.push(HEAD.as_bytes(), Received::user(Nanos::ZERO))?;
    for (index, bytes) in reads.iter().enumerate() {
        reader.push(bytes.as_bytes(), Received::user(Nanos(index as u64)))?;
    }
    let stamps = Stamps { sent_ns: Some(Nanos::ZERO), end: reader.end(), ..Stamps::default() };
    let (head, body) = reader.into_parts();
    Ok(RawResponse { head, body, stamps, ..RawResponse::default() })
}

/// Time per event of the fastest run, in ns.
fn best<T>(mut run: impl FnMut() -> T) -> f64 {
    let clock = MonotonicClock::start();
    let times = (0..RUNS).map(|_| {
        let start = clock.now();
        black_box(run());
        clock.now().since(start)
    });
    times.min().unwrap_or_default().0 as f64 / EVENTS as f64
}
