use super::fields::{FieldFinder, Fields};
use crate::http::Api;

/// Most bytes of a request's head; also of one line between chunks, and of all trailers. None beyond
/// is looked at, so that the split of the bytes decides nothing.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a body, with what is between its chunks.
const BODY_BYTES_MAX: usize = 256 << 20;
/// Largest empty buffer that is kept for the next request.
const KEPT_BYTES_MAX: usize = 16 << 10;
/// Most header fields.
const FIELDS_MAX: usize = 64;

/// What was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    Generate(Api),
    Models,
    Version,
    Health,
    Unknown,
    /// The path exists and wants this method.
    WrongMethod(&'static str),
}

impl Route {
    fn find(method: &str, path: &str) -> Self {
        let (route, wanted) = match path.split('?').next().unwrap_or(path) {
            "/v1/chat/completions" => (Self::Generate(Api::Chat), "POST"),
            "/v1/completions" => (Self::Generate(Api::Completion), "POST"),
            "/v1/models" => (Self::Models, "GET"),
            "/version" => (Self::Version, "GET"),
            "/health" | "/ping" => (Self::Health, "GET"),
            _ => return Self::Unknown,
        };
        if method == wanted { route } else { Self::WrongMethod(wanted) }
    }
}

/// A whole request, as far as it is looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RawRequest {
    pub(crate) route: Route,
    pub(crate) fields: Fields,
    pub(crate) x_request_id: Option<Box<str>>,
    pub(crate) x_session_id: Option<Box<str>>,
    /// The connection ends with the answer.
    pub(crate) close: bool,
}

/// Why a request cannot be read; the connection ends with the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BadRequest {
    Malformed,
    /// Head or body are longer than is read.
    TooLong,
    /// Streams need HTTP/1.1.
    OldVersion,
}

/// What is known after some bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    More,
    /// The client waits to be told to send the body. Said once.
    Continue,
    Request(RawRequest),
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    /// Chunks: up to where they have been taken apart, counted from the body's beginning.
    Chunked {
        scanned: usize,
    },
}

#[derive(Debug)]
struct Head {
    len: usize,
    framing: Framing,
    expects_continue: bool,
    request: RawRequest,
}

/// Takes requests out of a connection's bytes. A request that comes in one piece is not copied.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    /// Bytes that make no whole request yet, or belong to the next one.
    held: Vec<u8>,
    head: Option<Head>,
    /// The chunks of a chunked body, joined.
    joined: Vec<u8>,
}

impl RequestReader {
    /// Takes `bytes` on; [`Progress::Request`] may leave bytes of the next request behind, which
    /// an empty call goes on with.
    ///
    /// # Errors
    /// When these are not the bytes of a request that can be read.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        finder: &FieldFinder,
    ) -> Result<Progress, BadRequest> {
        if self.held.is_empty() {
            let (progress, used) = self.advance(bytes, finder)?;
            self.held.extend_from_slice(&bytes[used..]);
            return Ok(progress);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let (progress, used) = self.advance(&held, finder)?;
        held.drain(..used);
        if !held.is_empty() || held.capacity() <= KEPT_BYTES_MAX {
            self.held = held;
        }
        Ok(progress)
    }

    /// `view` begins where the request does. Also says how many bytes the request had.
    fn advance(
        &mut self,
        view: &[u8],
        finder: &FieldFinder,
    ) -> Result<(Progress, usize), BadRequest> {
        let mut head = match self.head.take() {
            Some(head) => head,
            None => match within_limit(view, Head::parse)? {
                Some(head) => head,
                None => return Ok((Progress::More, 0)),
            },
        };
        let rest = &view[head.len..];
        let body = match &mut head.framing {
            Framing::Length(len) if *len <= rest.len() => Some((&rest[..*len], *len)),
            Framing::Length(_) => None,
            Framing::Chunked { scanned } => {
                let ended = join_chunks(rest, scanned, &mut self.joined)?;
                ended.then_some((&self.joined[..], *scanned))
            }
        };
        let Some((body, body_len)) = body else {
            let says = std::mem::take(&mut head.expects_continue);
            self.head = Some(head);
            return Ok((if says { Progress::Continue } else { Progress::More }, 0));
        };
        if matches!(head.request.route, Route::Generate(_)) {
            head.request.fields = finder.find(body);
        }
        self.joined = Vec::new();
        Ok((Progress::Request(head.request), head.len + body_len))
    }
}

impl Head {
    /// `None` while it is incomplete.
    fn parse(view: &[u8]) -> Result<Option<Self>, BadRequest> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Request::new(&mut fields);
        let len = match parsed.parse(view).map_err(|_| BadRequest::Malformed)? {
            httparse::Status::Complete(len) => len,
            httparse::Status::Partial => return Ok(None),
        };
        if parsed.version == Some(0) {
            return Err(BadRequest::OldVersion);
        }
        let mut head = Self {
            len,
            framing: Framing::Length(0),
            expects_continue: false,
            request: RawRequest {
                route: Route::find(parsed.method.unwrap_or(""), parsed.path.unwrap_or("")),
                fields: Fields::default(),
                x_request_id: None,
                x_session_id: None,
                // An answer to HEAD has no body; what follows ours would be taken for it.
                close: parsed.method == Some("HEAD"),
            },
        };
        for field in parsed.headers.iter() {
            head.take(field.name, field.value)?;
        }
        Ok(Some(head))
    }

    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), BadRequest> {
        let has = |word: &[u8]| {
            value
                .split(|&byte| byte == b',')
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
        };
        let text = || Some(String::from_utf8_lossy(value).into());
        // Names are told apart by their length first: most fields are none of these.
        match name.len() {
            6 if name.eq_ignore_ascii_case("expect") => {
                self.expects_continue = has(b"100-continue");
            }
            10 if name.eq_ignore_ascii_case("connection") => self.request.close |= has(b"close"),
            12 if name.eq_ignore_ascii_case("x-request-id") => self.request.x_request_id = text(),
            12 if name.eq_ignore_ascii_case("x-session-id") => self.request.x_session_id = text(),
            14 if name.eq_ignore_ascii_case("content-length") => {
                let len = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                let len = len.ok_or(BadRequest::Malformed)?;
                if len > BODY_BYTES_MAX {
                    return Err(BadRequest::TooLong);
                }
                if !matches!(self.framing, Framing::Chunked { .. }) {
                    self.framing = Framing::Length(len);
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if !has(b"chunked") {
                    return Err(BadRequest::Malformed);
                }
                self.framing = Framing::Chunked { scanned: 0 };
            }
            _ => {}
        }
        Ok(())
    }
}

/// Appends the whole chunks from `scanned` on to `joined` and moves `scanned` past them. Says
/// whether the last chunk and its trailers were among them.
fn join_chunks(rest: &[u8], scanned: &mut usize, joined: &mut Vec<u8>) -> Result<bool, BadRequest> {
    loop {
        let left = &rest[*scanned..];
        let Some((line, size)) = within_limit(left, chunk_size)? else { return Ok(false) };
        if size > BODY_BYTES_MAX.saturating_sub(*scanned) as u64 {
            return Err(BadRequest::TooLong);
        }
        let size = size as usize;
        if size == 0 {
            let trailers = within_limit(&left[line..], |left| Ok(trailers_end(left)))?;
            let Some(end) = trailers else { return Ok(false) };
            *scanned += line + end;
            return Ok(true);
        }
        // The chunk's bytes, then a line end.
        let Some(chunk) = left.get(line..line + size + 2) else { return Ok(false) };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else { return Err(BadRequest::Malformed) };
        joined.extend_from_slice(chunk);
        *scanned += line + size + 2;
    }
}

/// What `parse` finds at the beginning of `bytes`; `None` while it is incomplete.
fn within_limit<T>(
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<Option<T>, BadRequest>,
) -> Result<Option<T>, BadRequest> {
    match parse(&bytes[..bytes.len().min(HEAD_BYTES_MAX)])? {
        None if bytes.len() > HEAD_BYTES_MAX => Err(BadRequest::TooLong),
        parsed => Ok(parsed),
    }
}

/// A chunk's first line: its length and the chunk's size.
fn chunk_size(left: &[u8]) -> Result<Option<(usize, u64)>, BadRequest> {
    match httparse::parse_chunk_size(left) {
        Ok(httparse::Status::Complete(parsed)) => Ok(Some(parsed)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(BadRequest::Malformed),
    }
}

/// Where the lines after the last chunk end; `None` while they are incomplete.
fn trailers_end(left: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &left[at..]) {
        let empty = left[at..at + end].trim_ascii().is_empty();
        at += end + 1;
        if empty {
            return Some(at);
        }
    }
    None
}

/// What these bytes ask for, as the raw source reads them when they come in these pieces: the requests
/// and, where it reads no further, why. The pieces decide nothing: that is what a fuzz target holds it to.
pub fn read_requests(pieces: &[&[u8]]) -> impl std::fmt::Debug + PartialEq + use<> {
    RequestsRead::of(pieces)
}

/// What a connection's bytes ask for.
#[derive(Debug, Default, PartialEq)]
struct RequestsRead {
    requests: Vec<RawRequest>,
    refused: Option<BadRequest>,
}

impl RequestsRead {
    fn of(pieces: &[&[u8]]) -> Self {
        let (mut reader, finder) = (RequestReader::default(), FieldFinder::new());
        let mut read = Self::default();
        for piece in pieces {
            let mut progress = reader.push(piece, &finder);
            while let Ok(Progress::Request(request)) = progress {
                read.requests.push(request);
                progress = reader.push(&[], &finder);
            }
            read.refused = progress.err();
            if read.refused.is_some() {
                break;
            }
        }
        read
    }
}

#[cfg(test)]
mod tests;
