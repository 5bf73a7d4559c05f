//! A stand-in server that answers as the recorded one did (`testdata/requests/README.md`):
//! one thread a connection, no delays, every request kept.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// How to answer: the k-th POST (from 1) by `script`, all others by `default`.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    pub default: Option<String>,
    pub script: BTreeMap<usize, String>,
    /// Last message -> answer, for the behaviour `exact`.
    pub exact: BTreeMap<String, String>,
    /// Seconds that the behaviour `sleep` waits.
    pub sleep_sec: f64,
    /// Whether `/version` and `/v1/models` exist.
    pub no_server_info: bool,
    /// Extra header lines of answers to POSTs, each ending in CRLF.
    pub headers: String,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub connection: usize,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub behaviour: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a request body is JSON")
    }
}

/// The server; it lives until the test's process ends.
pub struct Stub {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: Behaviour,
    seen: Mutex<Vec<Seen>>,
    posts: AtomicUsize,
    connections: AtomicUsize,
}

impl Stub {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            behaviour,
            seen: Mutex::default(),
            posts: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&server);
                let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(&shared, stream, connection));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no thread panicked").clone()
    }

    /// The POSTs so far.
    pub fn posts(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == "POST").collect()
    }
}

fn serve(shared: &Shared, stream: TcpStream, connection: usize) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut out = stream;
    while let Some(mut seen) = read_request(&mut reader, connection) {
        seen.behaviour = behaviour_of(shared, &seen);
        shared.seen.lock().expect("no thread panicked").push(seen.clone());
        let goes_on = if seen.method == "POST" {
            answer(&shared.behaviour, &seen, &mut out)
        } else {
            info(&shared.behaviour, &seen, &mut out)
        };
        if !matches!(goes_on, Ok(true)) {
            return;
        }
    }
}

fn behaviour_of(shared: &Shared, seen: &Seen) -> String {
    if seen.method != "POST" {
        return String::new();
    }
    let number = shared.posts.fetch_add(1, Ordering::SeqCst) + 1;
    let scripted = shared.behaviour.script.get(&number);
    scripted.or(shared.behaviour.default.as_ref()).cloned().unwrap_or_else(|| "normal".to_owned())
}

fn read_request(reader: &mut impl BufRead, connection: usize) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen =
        Seen { method, path, connection, headers, body: String::new(), behaviour: String::new() };
    let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).expect("a request body is UTF-8");
    Some(seen)
}

fn info(behaviour: &Behaviour, seen: &Seen, out: &mut TcpStream) -> std::io::Result<bool> {
    let path = seen.path.trim_start_matches('/');
    let body = match path {
        _ if behaviour.no_server_info => None,
        "version" => Some(json!({"version": "0.0.stub"})),
        "v1/models" => Some(json!({"object": "list", "data": [
            {"id": "stub-model", "object": "model", "max_model_len": 4096}
        ]})),
        _ => None,
    };
    match body {
        Some(body) => plain(out, 200, "", &body.to_string())?,
        None => plain(out, 404, "", "not found")?,
    }
    Ok(true)
}

fn plain(out: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Stub\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.write_all(head.as_bytes())?;
    out.write_all(body.as_bytes())
}

/// Answers a POST; `false` closes the connection.
fn answer(behaviour: &Behaviour, seen: &Seen, out: &mut TcpStream) -> std::io::Result<bool> {
    let request = seen.json();
    let mut name = seen.behaviour.as_str();
    if let Some(status) = name.strip_prefix("http") {
        let status: u16 = status.parse().expect("httpNNN");
        let body = json!({"object": "error", "message": format!("stub {status}"), "code": status});
        plain(out, status, &behaviour.headers, &body.to_string())?;
        return Ok(true);
    }
    if name == "sleep" {
        wait_or_gone(out, behaviour.sleep_sec);
        name = "normal";
    }
    let pieces = pieces(behaviour, name, &request);
    if request["stream"] == json!(true) {
        stream(out, name, &pieces)
    } else {
        whole(out, name, &pieces.concat())?;
        Ok(true)
    }
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
    let body = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": role, "content": content},
                     "finish_reason": "stop"}],
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
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let events = events(name, pieces);
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
    if name == "cut_hard" {
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
        for text in ["Let me", " think", " first"] {
            events.push(chunk(&json!({"reasoning_content": text}), &Value::Null));
        }
    }
    if name == "empty_chunks" {
        events.push(content(""));
    }
    for (index, piece) in pieces.iter().enumerate() {
        match (name, index) {
            ("none", _) => continue,
            ("cut_clean" | "cut_hard", 3) => return events,
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
    if name == "usage_chunk" {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
        events.push(json!({"id": "x", "choices": [], "usage": usage}).to_string());
    }
    if name != "no_done" {
        events.push("[DONE]".to_owned());
    }
    events
}
