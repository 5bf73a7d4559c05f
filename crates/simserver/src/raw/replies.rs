use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use super::answer::Answer;
use super::request::{BadRequest, Route};
use super::script;
use crate::engine::FinishReason;
use crate::http::{Api, ApiError, EVENTS, Finished, JSON, Meta, ModelCard, Usage, push_string};

/// Prompt and answer together, as `/v1/models` says. Nothing is limited.
pub(crate) const MODEL_LEN: u32 = 1 << 20;

/// Everything that is sent but the events.
#[derive(Debug)]
pub(crate) struct Replies {
    model: String,
    fingerprint: String,
    version: String,
    /// The latest `date` field, and the second it is of.
    date: String,
    date_second: u64,
}

impl Replies {
    /// Replies of a server for `model`.
    pub(crate) fn new(model: &str, fingerprint: &str, version: &str) -> Self {
        Self {
            model: model.to_owned(),
            fingerprint: fingerprint.to_owned(),
            version: version.to_owned(),
            date: String::new(),
            date_second: u64::MAX,
        }
    }

    /// The head of a stream that begins at `second`.
    pub(crate) fn push_stream_head(&mut self, second: u64, close: bool, out: &mut Vec<u8>) {
        self.push_head("200 OK", second, out);
        push_field(out, "content-type", EVENTS);
        out.extend_from_slice(b"vary: Origin\r\n");
        if close {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    }

    /// The answer to anything that makes no tokens.
    pub(crate) fn plain(&mut self, route: Route, second: u64, close: bool) -> Vec<u8> {
        match route {
            Route::Models => {
                let card = ModelCard {
                    id: &self.model,
                    root: &self.model,
                    created: second,
                    max_model_len: MODEL_LEN,
                    permission_id: "0000000000000000",
                };
                let body = card.list();
                self.whole("200 OK", None, Some(&body), second, close)
            }
            Route::Version => {
                let mut body = String::from("{\"version\":");
                push_string(&mut body, &self.version);
                body.push('}');
                self.whole("200 OK", None, Some(&body), second, close)
            }
            Route::Health => self.whole("200 OK", None, None, second, close),
            Route::WrongMethod(wanted) => {
                let body = "{\"detail\":\"Method Not Allowed\"}";
                self.whole("405 Method Not Allowed", Some(wanted), Some(body), second, close)
            }
            // Tokens are made elsewhere: what is left of the paths is not there.
            Route::Unknown | Route::Generate(_) => {
                let body = "{\"detail\":\"Not Found\"}";
                self.whole("404 Not Found", None, Some(body), second, close)
            }
        }
    }

    /// The answer to what is no request; the connection ends with it.
    pub(crate) fn refusal(&mut self, reason: BadRequest, second: u64) -> Vec<u8> {
        let (status, message) = match reason {
            BadRequest::Malformed => ("400 Bad Request", "The request is not HTTP/1.1."),
            BadRequest::TooLong => ("413 Content Too Large", "The request is too long."),
            BadRequest::OldVersion => {
                ("505 HTTP Version Not Supported", "Only HTTP/1.1 is supported.")
            }
        };
        let body = ApiError::bad_request(message).body();
        self.whole(status, None, Some(&body), second, true)
    }

    /// An answer that is not streamed.
    pub(crate) fn answer(&mut self, api: Api, answer: &Answer) -> Vec<u8> {
        let meta = Meta {
            id: answer.id(api),
            created: answer.created,
            model: self.model.as_str().into(),
            fingerprint: self.fingerprint.as_str().into(),
        };
        let finished = Finished {
            text: &script::text(answer.tokens),
            reason: FinishReason::Length,
            usage: Usage {
                prompt_tokens: answer.prompt_tokens,
                completion_tokens: answer.tokens,
                cache: None,
            },
            cached_details: None,
            ids: None,
            metrics: None,
        };
        let body = api.whole(&meta, &finished);
        self.whole("200 OK", None, Some(&body), answer.created, answer.close)
    }

    fn whole(
        &mut self,
        status: &str,
        allow: Option<&str>,
        body: Option<&str>,
        second: u64,
        close: bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + body.map_or(0, str::len));
        self.push_head(status, second, &mut out);
        if let Some(allow) = allow {
            push_field(&mut out, "allow", allow);
        }
        // A vector takes all that is written to it.
        let _ = write!(out, "content-length: {}\r\n", body.map_or(0, str::len));
        if body.is_some() {
            push_field(&mut out, "content-type", JSON);
        }
        out.extend_from_slice(b"vary: Origin\r\n");
        if close {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body.unwrap_or_default().as_bytes());
        out
    }

    /// Status line, date and server.
    fn push_head(&mut self, status: &str, second: u64, out: &mut Vec<u8>) {
        if self.date_second != second {
            self.date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            self.date_second = second;
        }
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_bytes());
        out.extend_from_slice(b"\r\n");
        push_field(out, "date", &self.date);
        out.extend_from_slice(b"server: uvicorn\r\n");
    }
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
