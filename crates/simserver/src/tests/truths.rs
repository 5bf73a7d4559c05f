use std::path::Path;

use serde_json::{Value, json};

use super::{Client, options, question, start};
use crate::ServerOptions;

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for a truth line that the server writes after the client has gone.
fn wait_for_lines(path: &Path, count: usize) -> Vec<Value> {
    loop {
        let lines = lines(path);
        if lines.len() >= count {
            return lines;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_truth_is_one_line_per_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let server = start(ServerOptions { truth: Some(path.clone()), ..options() });
    let mut client = Client::connect(&server);
    for stream in [true, false] {
        let body = json!({
            "messages": question("hi"), "stream": stream, "max_tokens": 9, "ignore_eos": true,
        });
        let fields = "X-Request-Id: r-1\r\nX-Session-ID: s-1\r\n";
        client.send_post("/v1/chat/completions", fields, &body);
        client.response(false);
    }
    let truths = wait_for_lines(&path, 2);
    for (truth, stream) in truths.iter().zip([true, false]) {
        assert_eq!(truth["id"], "chatcmpl-r-1");
        assert_eq!(
            (&truth["x_request_id"], &truth["x_session_id"]),
            (&json!("r-1"), &json!("s-1"))
        );
        assert_eq!(truth["stream"], stream);
        assert_eq!(truth["output_tokens"], 9);
        assert_eq!(truth["cached_tokens"], if stream { 0 } else { 48 });
        assert_eq!(truth["finish_reason"], "length");
        let at = |name: &str| truth[name].as_u64().unwrap_or_else(|| panic!("{name}: {truth}"));
        assert!(at("arrival_unix_ns") <= at("received_unix_ns"));
        assert!(at("received_unix_ns") <= at("first_token_due_unix_ns"));
        assert!(at("first_token_due_unix_ns") < at("last_token_due_unix_ns"));
        // The wall clock may be slewed against the monotonic one: allow it a millisecond.
        assert!(at("first_token_due_unix_ns") <= at("first_token_unix_ns") + 1_000_000);
        assert!(at("last_token_due_unix_ns") <= at("last_token_unix_ns") + 1_000_000);
        let plain = at("first_token_unix_ns") == at("last_token_unix_ns");
        assert!(plain || stream, "a plain answer is written at once");
    }
}

#[test]
fn a_client_that_goes_away_ends_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let mut slow = ServerOptions { truth: Some(path.clone()), ..options() };
    slow.engine.decode_ns = 1_000_000;
    let server = start(slow);
    for stream in [true, false] {
        let mut client = Client::connect(&server);
        let body = json!({
            "messages": question("hi"), "stream": stream, "max_tokens": 2000, "ignore_eos": true,
        });
        client.send_post("/v1/chat/completions", "", &body);
        if stream {
            client.read_to(b"\"token_ids\":null");
        } else {
            let mut other = Client::connect(&server);
            while other.metric("vllm:num_requests_running") < 1.0 {}
        }
    }
    let truths = wait_for_lines(&path, 2);
    for truth in &truths {
        assert_eq!(truth["finish_reason"], "abort");
        assert!(truth["output_tokens"].as_u64().unwrap() < 2000);
    }
    let mut client = Client::connect(&server);
    while client.metric("vllm:num_requests_running") > 0.0 {}
    let success = "vllm:request_success_total{engine=\"0\",finished_reason=\"length\"";
    assert_eq!(client.metric(success), 0.0);
    assert_eq!(client.metric("vllm:e2e_request_latency_seconds_count"), 0.0);
}

#[test]
fn a_truth_file_that_cannot_be_created_is_named() {
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/truth.jsonl");
    let options = ServerOptions { truth: Some(path), ..options() };
    let clock = Arc::new(turnbench_model::MonotonicClock::start());
    let tokenizer = Arc::new(crate::words::WordTokenizer::new());
    let addr = ([127, 0, 0, 1], 0).into();
    let error = crate::Server::bind(addr, options, tokenizer, None, clock).unwrap_err();
    assert!(error.to_string().contains("missing/truth.jsonl: "), "{error}");
}
