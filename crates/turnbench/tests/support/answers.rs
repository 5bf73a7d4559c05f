//! How the stand-in server answers a POST. The recorded behaviours are described in
//! `testdata/requests/README.md`; besides there are `close` (no answer), `hold_end` (all said, the body never ends), `hold` and `hold_mid` (none
//! or three pieces, then nothing until the client has gone), `die` (a normal answer, and from then
//! on no connection is accepted), `bye` (a normal answer, and the connection is closed), `unframed`
//! (a stream that ends with its connection), `html` and `garbage` (not what the API promises), `tool_calls`,
//! and `cached` (usage with cached tokens).

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::stub::{Behaviour, Seen};

/// Longest wait for a client to go.
const HOLD_SEC: f64 = 60.0;

/// What the behaviour `reasoning` thinks before it answers.
pub const REASONING: [&str; 3] = ["Let me", " think", " first"];

/// The call that the behaviour `tool_calls` makes.
pub fn tool_call() -> Value {
    json!({"id": "call_1", "type": "function",
           "function": {"name": "look", "arguments": "{\"at\": \"x\"}"}})
}

/// Writes a whole response.
pub fn plain(out: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Stub\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.write_all(head.as_bytes())?;
    out.write_all(body.as_bytes())
}

/// Answers a POST; `false` closes the connection.
pub fn answer(behaviour: &Behaviour, seen: &Seen, out: &mut TcpStream) -> std::io::Result<bool> {
    let request = seen.json();
    let mut name = seen.behaviour.as_str();
    if let Some(status) = name.strip_prefix("http") {
        let status: u16 = status.parse().expect("httpNNN");
        let body = json!({"object": "error", "message": format!("stub {status}"), "code": status});
        plain(out, status, &behaviour.headers, &body.to_string())?;
        return Ok(true);
    }
    match name {
        "close" => return Ok(false),
        "hold" => {
            wait_or_gone(out, HOLD_SEC);
            return Ok(false);
        }
        // A server that repeats the key it was given.
        "echo" => {
            let headers = &seen.headers;
            let key = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            let message = format!("bad key {}", key.map_or("", |(_, value)| value.as_str()));
            plain(out, 401, "", &json!({"error": {"message": message}}).to_string())?;
            return Ok(true);
        }
        "html" => {
            plain(out, 200, "", "<html>not an API</html>")?;
            return Ok(true);
        }
        "sleep" => {
            wait_or_gone(out, behaviour.sleep_sec);
            name = "normal";
        }
        _ => {}
    }
    let pieces = pieces(behaviour, name, &request);
    let goes_on = if request["stream"] == json!(true) {
        stream(out, name, &pieces)?
    } else {
        whole(out, name, &pieces.concat())?;
        true
    };
    Ok(goes_on && !matches!(name, "die" | "bye"))
}

/// Waits that long, or until the other side has gone.
fn wait_or_gone(out: &TcpStream, seconds: f64) {
    let _ = out.set_read_timeout(Some(Duration::from_secs_f64(seconds.max(0.001))));
    let _ = out.peek(&mut [0]);
    let _ = out.set_read_timeout(None);
}

fn pieces(behaviour: &Behaviour, name: &str, request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().expect("messages");
    let last = messages.last().and_then(|message| message["content"].as_str()).unwrap_or("");
    if name == "exact" {
        return vec![behaviour.exact[last].clone()];
    }
    let mut pieces: Vec<String> = ["Reply", " to", " turn"].map(str::to_owned).to_vec();
    pieces.push(format!(" {}", messages.len()));
    pieces.push(":".to_owned());
    pieces.extend(last.split(' ').take(6).map(|word| format!(" {word}")));
    match name {
        "multi" => vec![pieces[..3].concat(), pieces[3..8.min(pieces.len())].concat(), {
            pieces[8.min(pieces.len())..].concat()
        }],
        "single" => vec![pieces.concat()],
        _ => pieces,
    }
}

fn whole(out: &mut TcpStream, name: &str, text: &str) -> std::io::Result<()> {
    let large = "x y ".repeat(60_000);
    let content = match name {
        "ns_null" => Value::Null,
        "ns_large" => json!(large),
        _ => json!(text),
    };
    let role = if name == "ns_role" { "tool" } else { "assistant" };
    let mut message = json!({"role": role, "content": content});
    if name == "reasoning" {
        message["reasoning_content"] = json!(REASONING.concat());
    }
    if name == "tool_calls" {
        message["content"] = Value::Null;
        message["tool_calls"] = json!([tool_call()]);
    }
    let body = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 10},
    });
    let text = if name == "ns_pretty" { format!("{body:#}") } else { body.to_string() };
    plain(out, 200, "", &text)
}

fn chunk(delta: &Value, finish: &Value) -> String {
    json!({"id": "x", "object": "chat.completion.chunk",
           "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    .to_string()
}

fn stream(out: &mut TcpStream, name: &str, pieces: &[String]) -> std::io::Result<bool> {
    out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")?;
    let events = events(name, pieces);
    if name == "unframed" {
        let body = format!("\r\ndata: {}\n\n", events.join("\n\ndata: "));
        out.write_all(body.as_bytes())?;
        return Ok(false);
    }
    out.write_all(b"Transfer-Encoding: chunked\r\n\r\n")?;
    for event in &events {
        let line_end = if name == "crlf" { "\r\n" } else { "\n" };
        let data = if name == "nospace" { "data:" } else { "data: " };
        let before = match name {
            "comments" => ": keep-alive\n\n",
            "event" => "event: message\n",
            _ => "",
        };
        let text = format!("{before}{data}{event}{line_end}{line_end}");
        out.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
    }
    if matches!(name, "hold_mid" | "hold_end") {
        wait_or_gone(out, HOLD_SEC);
    }
    if matches!(name, "cut_hard" | "hold_mid" | "hold_end") {
        return Ok(false);
    }
    out.write_all(b"0\r\n\r\n")?;
    Ok(true)
}

fn events(name: &str, pieces: &[String]) -> Vec<String> {
    let content = |text: &str| chunk(&json!({"content": text}), &Value::Null);
    let mut events = Vec::new();
    match name {
        "no_role" => {}
        "role_null" => {
            events.push(chunk(&json!({"role": "assistant", "content": null}), &Value::Null));
        }
        _ => events.push(chunk(&json!({"role": "assistant", "content": ""}), &Value::Null)),
    }
    if name == "reasoning" {
        for text in REASONING {
            events.push(chunk(&json!({"reasoning_content": text}), &Value::Null));
        }
    }
    if name == "tool_calls" {
        let call = json!({"index": 0, "id": "call_1", "type": "function",
                          "function": {"name": "look", "arguments": ""}});
        events.push(chunk(&json!({"tool_calls": [call]}), &Value::Null));
        for part in ["{\"at\":", " \"x\"}"] {
            let call = json!({"index": 0, "function": {"arguments": part}});
            events.push(chunk(&json!({"tool_calls": [call]}), &Value::Null));
        }
    }
    if name == "empty_chunks" {
        events.push(content(""));
    }
    for (index, piece) in pieces.iter().enumerate() {
        match (name, index) {
            ("none" | "tool_calls", _) => continue,
            ("cut_clean" | "cut_hard" | "hold_mid", 3) => return events,
            ("garbage", 3) => {
                events.push("{\"choices\": [".to_owned());
                return events;
            }
            ("error_json", 3) => {
                let error = json!({"message": "stub failure", "type": "InternalServerError",
                                   "code": 500});
                events.push(json!({"error": error}).to_string());
                events.push("[DONE]".to_owned());
                return events;
            }
            ("empty_chunks", 1 | 3) => events.push(content("")),
            _ => {}
        }
        events.push(content(piece));
    }
    events.push(chunk(&json!({}), &json!("stop")));
    if name == "cached" {
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107,
                           "prompt_tokens_details": {"cached_tokens": 64}});
        events.push(json!({"id": "x", "choices": [], "usage": usage}).to_string());
    }
    if name == "usage_chunk" {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
        events.push(json!({"id": "x", "choices": [], "usage": usage}).to_string());
    }
    if name != "no_done" {
        events.push("[DONE]".to_owned());
    }
    events
}
