//! A stand-in server that answers as the recorded one did (`testdata/requests/README.md`) and in
//! some more ways (`answers`): one thread a connection, no delays, every request kept.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::answers::{answer, plain};

/// Longest wait for anything, so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(1);

/// How to answer: the k-th POST (from 1) by `script`, all others by `default`.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    pub default: Option<String>,
    pub script: BTreeMap<usize, String>,
    /// Last message -> answer, for the behaviour `exact`.
    pub exact: BTreeMap<String, String>,
    /// Seconds that the behaviour `sleep` waits.
    pub sleep_sec: f64,
    /// Whether `/version` and `/v1/models` are missing.
    pub no_server_info: bool,
    /// The key without which `/v1` answers 401.
    pub demand_key: Option<String>,
    /// Extra header lines of answers of the kind `httpNNN`, each ending in CRLF.
    pub headers: String,
}

impl Behaviour {
    /// The k-th POST (from 1) is answered by the k-th name, those after the last normally.
    pub fn script(names: &[&str]) -> Self {
        let script = names.iter().enumerate();
        let script = script.map(|(index, name)| (index + 1, (*name).to_owned())).collect();
        Self { script, ..Self::default() }
    }

    /// Every POST is answered so.
    pub fn always(name: &str) -> Self {
        Self { default: Some(name.to_owned()), ..Self::default() }
    }
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
    /// Not so with what asks for metrics, models, or token ids, which it has none of.
    pub fn asks_for_answer(&self) -> bool {
        self.method == "POST" && !self.path.ends_with("/tokenize")
    }

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
    /// Notified whenever a request has been seen.
    changed: Condvar,
    posts: AtomicUsize,
    connections: AtomicUsize,
    port: u16,
    /// No further connections are accepted.
    closing: AtomicBool,
    /// The listener is gone.
    closed: AtomicBool,
}

impl Stub {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            behaviour,
            seen: Mutex::default(),
            changed: Condvar::new(),
            posts: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            port,
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.closing.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&server);
                let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(&shared, stream, connection));
            }
            drop(listener);
            let _seen = server.seen.lock().expect("no thread panicked");
            server.closed.store(true, Ordering::SeqCst);
            server.changed.notify_all();
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

    /// Waits until there were that many requests for answers.
    pub fn wait_for_posts(&self, count: usize) {
        let seen = self.shared.seen.lock().expect("no thread panicked");
        let enough = |seen: &mut Vec<Seen>| {
            seen.iter().filter(|seen| seen.asks_for_answer()).count() < count
        };
        let (_seen, waited) =
            self.shared.changed.wait_timeout_while(seen, PATIENCE, enough).expect("no panic");
        assert!(!waited.timed_out(), "no {count} POSTs came");
    }

    /// The bodies of the requests for answers so far.
    pub fn bodies(&self) -> Vec<Value> {
        self.posts().iter().map(Seen::json).collect()
    }

    /// The requests for answers so far.
    pub fn posts(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::asks_for_answer).collect()
    }
}

impl Shared {
    /// Stops listening; returns once connections are refused.
    fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let _wakes_the_listener = TcpStream::connect(("127.0.0.1", self.port));
        let seen = self.seen.lock().expect("no thread panicked");
        let open = |_: &mut Vec<Seen>| !self.closed.load(Ordering::SeqCst);
        let waited = self.changed.wait_timeout_while(seen, PATIENCE, open).expect("no panic");
        assert!(!waited.1.timed_out(), "the listener did not close");
    }
}

fn serve(shared: &Shared, stream: TcpStream, connection: usize) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut out = stream;
    while let Some(mut seen) = read_request(&mut reader, connection) {
        seen.behaviour = behaviour_of(shared, &seen);
        shared.seen.lock().expect("no thread panicked").push(seen.clone());
        shared.changed.notify_all();
        if seen.behaviour == "die" {
            shared.close();
        }
        let goes_on = if seen.asks_for_answer() {
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
    if !seen.asks_for_answer() {
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
    let authorization = behaviour.demand_key.as_ref().map(|key| format!("Bearer {key}"));
    if authorization.is_some() && seen.header("authorization") != authorization.as_deref() {
        plain(out, 401, "", &json!({"error": "Unauthorized"}).to_string())?;
        return Ok(true);
    }
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
