use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER, VARY,
};
use hyper::{Response, StatusCode};

use super::stream::Reply;

/// JSON.
pub(crate) const JSON: &str = "application/json";
/// A stream of events.
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";
/// The text that a Prometheus server scrapes.
pub(crate) const EXPOSITION: &str = "text/plain; version=1.0.0; charset=utf-8";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header fields that answers share, in the order in which vLLM's HTTP server writes them.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Now, in nanoseconds since the Unix epoch.
    pub(crate) unix_ns: u64,
    /// Sent back as `x-request-id`.
    pub(crate) request_id: Option<HeaderValue>,
}

impl Head {
    /// A complete answer.
    pub(crate) fn full(
        self,
        status: StatusCode,
        content_type: Option<&'static str>,
        body: impl Into<Bytes>,
    ) -> Response<Reply> {
        let body = body.into();
        let length = body.len();
        self.respond(status, None, Some(length), content_type, Reply::Full(Full::new(body)))
    }

    /// The answer to a request without the key. It comes from an outer layer, which adds neither
    /// `vary` nor a request id.
    pub(crate) fn unauthorized(self) -> Response<Reply> {
        let head = Self { request_id: None, ..self };
        let mut response =
            head.full(StatusCode::UNAUTHORIZED, Some(JSON), "{\"error\":\"Unauthorized\"}");
        response.headers_mut().remove(VARY);
        response
    }

    /// A method that the path does not have, `allow` being the one it has.
    pub(crate) fn wrong_method(self, allow: &'static str) -> Response<Reply> {
        let body = Bytes::from_static(b"{\"detail\":\"Method Not Allowed\"}");
        let length = Some(body.len());
        let reply = Reply::Full(Full::new(body));
        self.respond(StatusCode::METHOD_NOT_ALLOWED, Some(allow), length, Some(JSON), reply)
    }

    /// A stream of events.
    pub(crate) fn stream(self, body: Reply) -> Response<Reply> {
        self.respond(StatusCode::OK, None, None, Some(EVENTS), body)
    }

    fn respond(
        self,
        status: StatusCode,
        allow: Option<&'static str>,
        length: Option<usize>,
        content_type: Option<&'static str>,
        body: Reply,
    ) -> Response<Reply> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_nanos(self.unix_ns));
        if let Ok(date) = HeaderValue::from_str(&date) {
            headers.insert(DATE, date);
        }
        headers.insert(SERVER, HeaderValue::from_static("uvicorn"));
        if let Some(allow) = allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(request_id) = self.request_id {
            headers.insert(REQUEST_ID, request_id);
        }
        response
    }
}
