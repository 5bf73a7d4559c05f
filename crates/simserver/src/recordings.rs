//! Recorded exchanges with a real server, for tests: `testdata/vllm-0.32-http`.

use std::path::PathBuf;

use serde_json::Value;

/// One exchange.
pub(crate) struct Recording {
    /// `method`, `path`, `headers`, and `body` or `body_raw`.
    pub(crate) request: Value,
    /// The response's bytes.
    pub(crate) response: Vec<u8>,
}

/// A response, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts {
    /// Status line and fields, one each, in their order.
    pub(crate) head: Vec<String>,
    /// The body; HTTP chunks are kept apart.
    pub(crate) chunks: Vec<String>,
}

/// The file `name` of the test data.
pub(crate) fn read(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vllm-0.32-http");
    std::fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Recording {
    /// The exchange `name`, as in `basic/chat_plain`.
    pub(crate) fn load(name: &str) -> Self {
        let request = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
        Self { request, response: read(&format!("{name}.resp")) }
    }

    /// The request as it goes over the wire, but for the host.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let text = |name: &str| self.request[name].as_str().unwrap();
        let body = match (&self.request["body"], &self.request["body_raw"]) {
            (Value::Null, Value::Null) => String::new(),
            (Value::Null, raw) => raw.as_str().unwrap().to_owned(),
            (body, _) => body.to_string(),
        };
        let mut out = format!("{} {} HTTP/1.1\r\nHost: sim\r\n", text("method"), text("path"));
        for field in self.request["headers"].as_array().unwrap() {
            let (name, value) = (field[0].as_str().unwrap(), field[1].as_str().unwrap());
            if !["Host", "Content-Length"].contains(&name) {
                out.extend([name, ": ", value, "\r\n"]);
            }
        }
        out.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n", &body]);
        out.into_bytes()
    }

    /// The response.
    pub(crate) fn parts(&self) -> Parts {
        Parts::of(&self.response)
    }
}

impl Parts {
    /// Takes a complete response apart.
    pub(crate) fn of(response: &[u8]) -> Self {
        let text = std::str::from_utf8(response).unwrap();
        let (head, mut body) = text.split_once("\r\n\r\n").unwrap();
        let head: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
        let mut chunks = Vec::new();
        if head.iter().any(|field| field == "transfer-encoding: chunked") {
            while let Some((size, rest)) = body.split_once("\r\n") {
                let size = usize::from_str_radix(size, 16).unwrap();
                if size > 0 {
                    chunks.push(rest[..size].to_owned());
                }
                body = &rest[size + 2..];
            }
        } else if !body.is_empty() {
            chunks.push(body.to_owned());
        }
        Self { head, chunks }
    }

    /// The JSON of a streamed event.
    pub(crate) fn event(&self, index: usize) -> Value {
        let event = self.chunks[index].strip_prefix("data: ").unwrap();
        serde_json::from_str(event.trim_end()).unwrap()
    }

    /// With everything replaced that differs from run to run: dates, ids, creation times. The
    /// length of the body goes too where ids are in it.
    pub(crate) fn normalised(mut self) -> Self {
        for field in &mut self.head {
            for name in ["date", "x-request-id"] {
                if field.starts_with(&format!("{name}: ")) {
                    *field = format!("{name}: *");
                }
            }
        }
        for chunk in &mut self.chunks {
            for (key, end) in [("\"created\":", ','), ("\"id\":\"modelperm-", '"')] {
                *chunk = blank(chunk, key, end);
            }
        }
        self
    }
}

/// Replaces what stands between each `key` and the next `end` by a star.
fn blank(text: &str, key: &str, end: char) -> String {
    let mut pieces = text.split(key);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.find(end).map_or("", |at| &piece[at..]);
        out.extend([key, "*", rest]);
    }
    out
}
