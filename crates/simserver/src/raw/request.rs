use super::fields::{FieldFinder, Fields};
use crate::http::Api;

/// Most bytes of a request's head; also of one line between chunks.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a body.
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
            None => match Head::parse(view)? {
                Some(head) => head,
                None if view.len() > HEAD_BYTES_MAX => return Err(BadRequest::TooLong),
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
        let (line, size) = match httparse::parse_chunk_size(left) {
            Ok(httparse::Status::Complete(parsed)) => parsed,
            Ok(httparse::Status::Partial) if left.len() > HEAD_BYTES_MAX => {
                return Err(BadRequest::TooLong);
            }
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err(BadRequest::Malformed),
        };
        if size > (BODY_BYTES_MAX - joined.len().min(BODY_BYTES_MAX)) as u64 {
            return Err(BadRequest::TooLong);
        }
        let size = size as usize;
        if size == 0 {
            let Some(end) = trailers_end(&left[line..])? else { return Ok(false) };
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

/// Where the lines after the last chunk end; `None` while they are incomplete.
fn trailers_end(left: &[u8]) -> Result<Option<usize>, BadRequest> {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &left[at..]) {
        let empty = left[at..at + end].trim_ascii().is_empty();
        at += end + 1;
        if empty {
            return Ok(Some(at));
        }
    }
    if left.len() > HEAD_BYTES_MAX { Err(BadRequest::TooLong) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, FieldFinder, Progress, RawRequest, RequestReader, Route};
    use crate::http::Api;
    use proptest::prelude::*;

    const PLAIN: &str = "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\n\
        Content-Type: application/json\r\nX-SESSION-ID: s 1\r\nContent-Length: 33\r\n\r\n\
        {\"max_tokens\": 5, \"stream\": true}";
    const CHUNKED: &str = "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\
        x-request-id: r\r\nConnection: Close\r\n\r\n\
        9;x=y\r\n{\"max_tok\r\n8\r\nens\":12}\r\n0\r\nTrailer: 1\r\n\r\n";
    const MODELS: &str = "GET /v1/models HTTP/1.1\r\n\r\n";

    /// The requests in `bytes`, fed in pieces of these lengths.
    fn read(
        bytes: &[u8],
        mut pieces: impl Iterator<Item = usize>,
    ) -> Result<Vec<RawRequest>, BadRequest> {
        let (mut reader, finder) = (RequestReader::default(), FieldFinder::new());
        let (mut requests, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(pieces.next().unwrap_or(usize::MAX).min(rest.len()));
            rest = later;
            let mut progress = reader.push(piece, &finder)?;
            while let Progress::Request(request) = progress {
                requests.push(request);
                progress = reader.push(&[], &finder)?;
            }
        }
        Ok(requests)
    }

    fn check_error(bytes: &str, expect: BadRequest) {
        assert_eq!(read(bytes.as_bytes(), std::iter::empty()), Err(expect), "{bytes:?}");
    }

    #[test]
    fn fields_and_framing_are_read() {
        let all = [PLAIN, CHUNKED, MODELS].concat();
        let requests = read(all.as_bytes(), std::iter::empty()).unwrap();
        let [plain, chunked, models] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(plain.route, Route::Generate(Api::Chat));
        assert_eq!((plain.fields.tokens, plain.fields.stream), (Some(5), true));
        assert_eq!((plain.x_session_id.as_deref(), plain.close), (Some("s 1"), false));
        assert_eq!(chunked.route, Route::Generate(Api::Completion));
        assert_eq!((chunked.fields.tokens, chunked.fields.stream), (Some(12), false));
        assert_eq!((chunked.x_request_id.as_deref(), chunked.close), (Some("r"), true));
        assert_eq!(models.route, Route::Models);
    }

    #[test]
    fn paths_and_methods_find_their_route() {
        let check = |line: &str, expect: Route| {
            let request = read(format!("{line} HTTP/1.1\r\n\r\n").as_bytes(), std::iter::empty());
            assert_eq!(request.unwrap()[0].route, expect, "{line}");
        };
        check("GET /health", Route::Health);
        check("GET /version", Route::Version);
        check("GET /nothing", Route::Unknown);
        check("GET /v1/chat/completions", Route::WrongMethod("POST"));
        check("POST /v1/models", Route::WrongMethod("GET"));
        check("HEAD /health", Route::WrongMethod("GET"));
    }

    #[test]
    fn a_client_that_waits_is_told_to_go_on_once() {
        let (mut reader, finder) = (RequestReader::default(), FieldFinder::new());
        let head =
            b"POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(reader.push(head, &finder), Ok(Progress::Continue));
        assert_eq!(reader.push(b"{", &finder), Ok(Progress::More));
        assert!(matches!(reader.push(b"}", &finder), Ok(Progress::Request(_))));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        check_error("GET\r\n\r\n", BadRequest::Malformed);
        check_error("GET / HTTP/1.0\r\n\r\n", BadRequest::OldVersion);
        check_error("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", BadRequest::Malformed);
        check_error("POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", BadRequest::TooLong);
        check_error("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", BadRequest::Malformed);
        let chunks =
            |chunks: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        check_error(&chunks("x\r\n"), BadRequest::Malformed);
        check_error(&chunks("1\r\nabc"), BadRequest::Malformed);
        check_error(&chunks("ffffffff\r\n"), BadRequest::TooLong);
        check_error(&format!("GET / HTTP/1.1\r\na: {}", "x".repeat(70_000)), BadRequest::TooLong);
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_requests(
            pieces in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let all = [PLAIN, CHUNKED, MODELS, PLAIN].concat();
            let whole = read(all.as_bytes(), std::iter::empty()).unwrap();
            let pieces = pieces.iter().copied().cycle();
            prop_assert_eq!(read(all.as_bytes(), pieces).unwrap(), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            damage in prop::collection::vec((0_usize..400, any::<u8>()), 0..4),
        ) {
            let _ = read(&bytes, std::iter::empty());
            let mut all = [PLAIN, CHUNKED].concat().into_bytes();
            for (at, byte) in damage {
                if let Some(place) = all.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = read(&all, [7, 30].into_iter().cycle());
        }
    }
}
