//! The raw server over loopback: what it answers, to slow and impatient clients too, and the truth.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use turnbench_model::{MonotonicClock, Nanos};

use super::script::text;
use super::{RawOptions, RawServer, RawServerThread};

fn start(options: RawOptions) -> RawServerThread {
    let clock = Arc::new(MonotonicClock::start());
    RawServer::bind(([127, 0, 0, 1], 0).into(), options, clock).unwrap().spawn().unwrap()
}

fn connect(server: &RawServerThread) -> TcpStream {
    TcpStream::connect(server.local_addr()).unwrap()
}

/// A chat request, with these fields in its body.
fn chat(fields: &str) -> String {
    let body = format!("{{\"messages\":[]{fields}}}");
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nX-Session-ID: s\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn stream_of(tokens: u32) -> String {
    chat(&format!(",\"stream\":true,\"max_tokens\":{tokens}"))
}

/// Reads one streamed response: its head and the data of its events.
fn read_events(stream: &mut TcpStream) -> (String, Vec<String>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while !bytes.ends_with(b"data: [DONE]\n\n\r\n0\r\n\r\n") {
        let len = stream.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "cut off after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..len]);
    }
    let all = String::from_utf8(bytes).unwrap();
    let (head, mut chunks) = all.split_once("\r\n\r\n").unwrap();
    let mut events = Vec::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let event = rest[..size].strip_suffix("\n\n");
        events.extend(event.map(|event| event.strip_prefix("data: ").unwrap().to_owned()));
        chunks = rest[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            return (head.to_owned(), events);
        }
    }
}

/// The text and the id of a chat stream's events.
fn answer(events: &[String]) -> (String, String) {
    let json = |event: &String| serde_json::from_str::<Value>(event).unwrap();
    let parsed: Vec<Value> = events[..events.len() - 1].iter().map(json).collect();
    let id = parsed[0]["id"].as_str().unwrap().to_owned();
    assert!(parsed.iter().all(|event| event["id"] == *id), "{events:?}");
    let text = |event: &Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    (parsed.iter().filter_map(text).collect(), id)
}

fn truth(path: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(path).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_answer_is_the_same_however_many_events_a_write_has() {
    for events_per_write in [1, 2, 16, 1024] {
        let server = start(RawOptions { events_per_write, ..RawOptions::default() });
        let mut client = connect(&server);
        for (number, tokens) in (1..).zip([1, 2, 3, 16, 17, 64, 65, 1025]) {
            client.write_all(stream_of(tokens).as_bytes()).unwrap();
            let (head, events) = read_events(&mut client);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\ndate: "), "{head}");
            // The role, every token, the end mark.
            assert_eq!(events.len(), tokens as usize + 2, "{events_per_write} {events:?}");
            let id = format!("chatcmpl-raw-{number:012}");
            assert_eq!(answer(&events), (text(tokens), id), "{events_per_write}");
            assert!(events[events.len() - 2].contains("\"finish_reason\":\"length\""));
        }
        server.stop().unwrap();
    }
}

#[test]
fn usage_is_reported_where_it_is_asked_for() {
    let server = start(RawOptions::default());
    let mut client = connect(&server);
    let fields = ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
    client.write_all(chat(fields).as_bytes()).unwrap();
    let (_, events) = read_events(&mut client);
    let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 128);
    assert_eq!(usage["choices"], serde_json::json!([]));
    assert_eq!(events.len(), 131);
    server.stop().unwrap();
}

#[test]
fn requests_sent_together_are_answered_in_turn() {
    let server = start(RawOptions::default());
    let mut client = connect(&server);
    client.write_all(stream_of(3).repeat(20).as_bytes()).unwrap();
    // The last one says so and ends the connection.
    let last = "GET /v1/nothing HTTP/1.1\r\nConnection: close\r\n\r\n";
    client.write_all(last.as_bytes()).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 20);
    assert_eq!(all.matches("data: [DONE]").count(), 20);
    assert!(all.ends_with("connection: close\r\n\r\n{\"detail\":\"Not Found\"}"), "{all}");
    server.stop().unwrap();
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    let server = start(RawOptions { events_per_write: 16, ..RawOptions::default() });
    let mut slow = connect(&server);
    // More than loopback sockets hold: some 17 MB.
    slow.write_all(stream_of(80_000).as_bytes()).unwrap();
    let mut quick = connect(&server);
    for _ in 0..50 {
        quick.write_all(stream_of(100).as_bytes()).unwrap();
        assert_eq!(answer(&read_events(&mut quick).1).0, text(100));
    }
    assert_eq!(answer(&read_events(&mut slow).1).0, text(80_000));
    server.stop().unwrap();
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    let server = start(RawOptions::default());
    for (bytes, expect) in [
        ("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"),
        ("GET /health HTTP/1.0\r\n\r\n", "HTTP/1.1 505 "),
    ] {
        let mut client = connect(&server);
        client.write_all(bytes.as_bytes()).unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert!(all.starts_with(expect), "{all}");
    }
    server.stop().unwrap();
}

#[test]
fn the_truth_has_a_line_for_every_request_once_the_server_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let (ttft, itl) = (Nanos::from_millis(2), Nanos::from_millis(1));
    let server =
        start(RawOptions { ttft, itl, truth: Some(path.clone()), ..RawOptions::default() });
    let mut client = connect(&server);
    client.write_all(stream_of(5).as_bytes()).unwrap();
    read_events(&mut client);
    client.write_all(chat(",\"max_tokens\":3").as_bytes()).unwrap();
    let mut plain = vec![0; 4096];
    assert_ne!(client.read(&mut plain).unwrap(), 0);
    // Under way when the server stops.
    client.write_all(stream_of(1_000_000).as_bytes()).unwrap();
    assert_ne!(client.read(&mut plain).unwrap(), 0);
    server.stop().unwrap();

    let lines = truth(&path);
    let [streamed, whole, cut] = &lines[..] else { panic!("{lines:?}") };
    let at = |line: &Value, field: &str| line[field].as_u64().unwrap();
    assert_eq!(streamed["id"], "chatcmpl-raw-000000000001");
    assert_eq!(streamed["x_session_id"], "s");
    assert_eq!(
        (&streamed["output_tokens"], &streamed["finish_reason"]),
        (&5.into(), &"length".into())
    );
    let due =
        |line: &Value| (at(line, "first_token_due_unix_ns"), at(line, "last_token_due_unix_ns"));
    let received = at(streamed, "received_unix_ns");
    assert_eq!(due(streamed), (received + ttft.0, received + ttft.0 + 4 * itl.0));
    assert!(at(streamed, "first_token_unix_ns") >= due(streamed).0, "{streamed}");
    assert!(at(streamed, "last_token_unix_ns") >= due(streamed).1, "{streamed}");
    let writes: Vec<u64> = serde_json::from_value(streamed["writes_unix_ns"].clone()).unwrap();
    assert_eq!(writes.len(), 5);
    let ends = [at(streamed, "first_token_unix_ns"), at(streamed, "last_token_unix_ns")];
    assert_eq!([writes[0], writes[4]], ends);
    assert!(writes.is_sorted() && whole["writes_unix_ns"].is_null(), "{streamed} {whole}");
    assert_eq!((whole["stream"].as_bool(), &whole["output_tokens"]), (Some(false), &3.into()));
    assert!(at(whole, "first_token_unix_ns") >= due(whole).1, "{whole}");
    assert_eq!(cut["finish_reason"], "abort");
    assert!(at(cut, "output_tokens") < 1_000_000 && cut["cached_tokens"].is_null(), "{cut}");
}

#[test]
fn a_client_that_goes_away_is_noted_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let truth_to = Some(path.clone());
    let server = start(RawOptions { truth: truth_to, ..RawOptions::default() });
    for _ in 0..3 {
        let mut client = connect(&server);
        client.write_all(stream_of(1_000_000).as_bytes()).unwrap();
        assert_ne!(client.read(&mut [0; 100]).unwrap(), 0);
    }
    let mut client = connect(&server);
    client.write_all(stream_of(1).as_bytes()).unwrap();
    assert_eq!(answer(&read_events(&mut client).1).0, text(1));
    server.stop().unwrap();
    let lines = truth(&path);
    let aborted = lines.iter().filter(|line| line["finish_reason"] == "abort").count();
    assert_eq!((lines.len(), aborted), (4, 3), "{lines:?}");
}
