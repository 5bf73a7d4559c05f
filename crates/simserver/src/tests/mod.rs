//! The whole server over loopback sockets, spoken to by hand-written HTTP.

mod answers;
mod caching;
mod recorded;
mod tiers;
mod truths;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value, json};
use turnbench_model::MonotonicClock;

use crate::engine::EngineOptions;
use crate::recordings::Parts;
use crate::words::WordTokenizer;
use crate::{Server, ServerOptions, ServerThread};

/// A server so fast that tests need not wait for it.
pub(super) fn options() -> ServerOptions {
    ServerOptions {
        engine: EngineOptions {
            max_model_len: 2048,
            kv_blocks: 1024,
            prefill_tokens_per_sec: 1e8,
            decode_ns: 20_000,
            decode_ns_per_seq: 0,
            ..EngineOptions::default()
        },
        served_model_name: "lab".to_owned(),
        model_root: "/srv/lab/model".to_owned(),
        request_id_headers: true,
        version: "0.32.0".to_owned(),
        ..ServerOptions::default()
    }
}

/// Starts a server on a free port.
pub(super) fn start(options: ServerOptions) -> ServerThread {
    let addr = ([127, 0, 0, 1], 0).into();
    let clock = Arc::new(MonotonicClock::start());
    let server = Server::bind(addr, options, Arc::new(WordTokenizer::new()), None, clock);
    server.unwrap().spawn().unwrap()
}

/// A kept-alive connection.
pub(super) struct Client {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Client {
    pub(super) fn connect(server: &ServerThread) -> Self {
        Self { stream: TcpStream::connect(server.local_addr()).unwrap(), rest: Vec::new() }
    }

    pub(super) fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    /// Reads more; the end of the connection is an error.
    fn read_more(&mut self) {
        let mut buffer = [0; 4096];
        let len = self.stream.read(&mut buffer).unwrap();
        assert!(len > 0, "closed after {:?}", String::from_utf8_lossy(&self.rest));
        self.rest.extend_from_slice(&buffer[..len]);
    }

    /// Reads until `mark` has come, and gives everything up to its end.
    pub(super) fn read_to(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            let found = self.rest.windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return self.rest.drain(..at + mark.len()).collect();
            }
            self.read_more();
        }
    }

    /// Reads one response; `head_only` for the answer to HEAD.
    pub(super) fn response(&mut self, head_only: bool) -> Parts {
        let mut response = self.read_to(b"\r\n\r\n");
        let head = String::from_utf8(response.clone()).unwrap();
        if head.contains("transfer-encoding: chunked") {
            response.extend(self.read_to(b"\r\n0\r\n\r\n"));
        } else if !head_only {
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            while self.rest.len() < length {
                self.read_more();
            }
            response.extend(self.rest.drain(..length));
        }
        Parts::of(&response)
    }

    pub(super) fn get(&mut self, path: &str) -> Parts {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: sim\r\n\r\n").as_bytes());
        self.response(false)
    }

    /// Sends a POST and does not wait for the answer.
    pub(super) fn send_post(&mut self, path: &str, fields: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n{fields}\
             Content-Length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), body.as_bytes()].concat());
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Parts {
        self.send_post(path, "", body);
        self.response(false)
    }

    /// Posts a chat and gives the JSON of the answer.
    pub(super) fn chat(&mut self, messages: &Value, more: &Value) -> Value {
        let mut body = json!({"model": "lab", "messages": messages});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let parts = self.post("/v1/chat/completions", &body);
        assert_eq!(parts.head[0], "HTTP/1.1 200 OK", "{:?}", parts.chunks);
        serde_json::from_str(&parts.chunks[0]).unwrap()
    }

    /// The value of a sample of `/metrics`; `name` includes the labels before `model_name`.
    pub(super) fn metric(&mut self, name: &str) -> f64 {
        let text = self.get("/metrics").chunks.concat();
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}")).rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// A conversation of one question.
pub(super) fn question(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}
