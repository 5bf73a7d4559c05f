use crate::error::HttpError;

/// Most header lines of a response.
const HEADERS_MAX: usize = 256;

/// What matters of a response's head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHead {
    /// Status code.
    pub status: u16,
    /// Reason phrase, as sent; often empty.
    pub reason: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Retry-After`: seconds or an HTTP date.
    pub retry_after: Option<String>,
    /// `Date`, the server's clock, against which a `Retry-After` date counts.
    pub date: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// Whether the server means to keep the connection open.
    pub keep_alive: bool,
}

impl ResponseHead {
    /// Whether the content type is `text/event-stream`.
    pub fn is_event_stream(&self) -> bool {
        self.media_type().eq_ignore_ascii_case("text/event-stream")
    }

    /// Whether the content type is JSON (`application/json` or `…+json`).
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type().to_ascii_lowercase();
        media_type == "application/json" || media_type.ends_with("+json")
    }

    fn media_type(&self) -> &str {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        content_type.split(';').next().unwrap_or_default().trim()
    }
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Parses the head at the start of `bytes`: its length, itself, and the framing of its body.
/// `None`: it is not complete.
pub(crate) fn parse_head(
    bytes: &[u8],
) -> Result<Option<(usize, ResponseHead, Framing)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.allow_spaces_after_header_name_in_responses(true);
    let status = config.parse_response(&mut response, bytes).map_err(HttpError::Head)?;
    let httparse::Status::Complete(length) = status else { return Ok(None) };

    let mut head = ResponseHead {
        status: response.code.unwrap_or_default(),
        reason: response.reason.unwrap_or_default().to_owned(),
        keep_alive: response.version == Some(1),
        ..ResponseHead::default()
    };
    let mut framing = Framing::UntilClose;
    let mut content_length = None;
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            for part in value.split(',') {
                let length = parse_length(part.trim())?;
                if *content_length.get_or_insert(length) != length {
                    return Err(HttpError::ContentLength);
                }
            }
        } else if is("transfer-encoding") {
            let last = value.rsplit(',').next().unwrap_or_default().trim();
            if last.eq_ignore_ascii_case("chunked") {
                framing = Framing::Chunked;
            }
        } else if is("connection") {
            for token in value.split(',').map(str::trim) {
                if token.eq_ignore_ascii_case("close") {
                    head.keep_alive = false;
                } else if token.eq_ignore_ascii_case("keep-alive") && response.version == Some(0) {
                    head.keep_alive = true;
                }
            }
        } else if is("content-type") {
            head.content_type = Some(value);
        } else if is("retry-after") {
            head.retry_after = Some(value);
        } else if is("date") {
            head.date = Some(value);
        } else if is("content-encoding") {
            head.content_encoding = Some(value);
        }
    }
    if let (Framing::UntilClose, Some(length)) = (framing, content_length) {
        framing = Framing::Length(length);
    }
    if matches!(head.status, 100..=199 | 204 | 304) {
        framing = Framing::None;
    }
    if framing == Framing::UntilClose {
        head.keep_alive = false;
    }
    Ok(Some((length, head, framing)))
}

/// Digits only, as RFC 9110 wants them: no sign.
fn parse_length(text: &str) -> Result<u64, HttpError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HttpError::ContentLength);
    }
    text.parse().map_err(|_| HttpError::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::{Framing, parse_head};
    use crate::error::HttpError;

    fn check(head: &str, framing: Framing, keep_alive: bool) {
        let wire = format!("{head}\r\n\r\n");
        let (length, head, found) = parse_head(wire.as_bytes()).unwrap().unwrap();
        assert_eq!((length, found, head.keep_alive), (wire.len(), framing, keep_alive), "{wire}");
    }

    #[test]
    fn framing_and_keep_alive_follow_rfc_9112() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 5", Framing::Length(5), true);
        check("HTTP/1.1 200\r\nContent-Length: 5, 5", Framing::Length(5), true);
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nConnection: close",
            Framing::Length(5),
            false,
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", Framing::Chunked, true);
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: gzip, chunked",
            Framing::Chunked,
            true,
        );
        check("HTTP/1.1 200 OK", Framing::UntilClose, false);
        check("HTTP/1.0 200 OK\r\ncontent-length: 5", Framing::Length(5), false);
        check(
            "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: Keep-Alive",
            Framing::Length(5),
            true,
        );
        check("HTTP/1.1 204 No Content", Framing::None, true);
    }

    #[test]
    fn contradicting_lengths_are_refused() {
        for lengths in
            ["1\r\nContent-Length: 2", "1, 2", "-1", "+1", "", "0x1", "99999999999999999999"]
        {
            let wire = format!("HTTP/1.1 200 OK\r\nContent-Length: {lengths}\r\n\r\n");
            assert_eq!(parse_head(wire.as_bytes()), Err(HttpError::ContentLength), "{lengths}");
        }
    }
}
