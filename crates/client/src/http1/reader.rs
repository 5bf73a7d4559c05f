use turnbench_model::Received;

use crate::error::{HttpError, TransportError};
use crate::http1::body::Body;
use crate::http1::chunked::ChunkedDecoder;
use crate::http1::compression::Inflater;
use crate::http1::head::{Framing, ResponseHead, parse_head};

/// Longest head, in bytes, of the response and of each interim one.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most interim (1xx) responses before the response. Servers send one or two.
const INTERIM_MAX: u32 = 16;
/// Longest body, in bytes, also of one that is taken away while it comes.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Reads one response from any split of its bytes, without a socket or a clock.
///
/// Interim (1xx) responses are skipped. Body bytes are kept undecoded, with the stamp of the read that
/// brought them.
///
/// ```
/// use turnbench_client::http1::ResponseReader;
/// use turnbench_model::{Nanos, Received};
///
/// let mut reader = ResponseReader::new();
/// let at = Received::user(Nanos(7));
/// reader.push(b"HTTP/1.1 200 OK\r\nContent-Le", at)?;
/// reader.push(b"ngth: 2\r\n\r\nhi", at)?;
/// assert!(reader.is_done());
/// assert_eq!(reader.body().bytes(), b"hi");
/// # Ok::<(), turnbench_client::HttpError>(())
/// ```
#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    head_bytes: Vec<u8>,
    interim_count: u32,
    head: Option<ResponseHead>,
    head_received: Option<Received>,
    body: Body,
    inflater: Option<Inflater>,
    deflated: Vec<u8>,
    end: Option<Received>,
    surplus: bool,
    touched: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
    Done,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseReader {
    /// A reader before the first byte.
    pub const fn new() -> Self {
        Self {
            state: State::Head,
            head_bytes: Vec::new(),
            interim_count: 0,
            head: None,
            head_received: None,
            body: Body::EMPTY,
            inflater: None,
            deflated: Vec::new(),
            end: None,
            surplus: false,
            touched: false,
        }
    }

    /// Takes what a read brought.
    ///
    /// # Errors
    /// When this is not HTTP/1.1, or beyond a limit. What was read before stays.
    pub fn push(&mut self, bytes: &[u8], received: Received) -> Result<(), HttpError> {
        self.touched |= !bytes.is_empty();
        if matches!(self.state, State::Head) {
            return self.push_head(bytes, received);
        }
        self.push_body(bytes, received)
    }

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// When the response was not complete.
    pub fn close(&mut self, received: Received) -> Result<(), TransportError> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.finish(received);
                Ok(())
            }
            State::Head if !self.touched => Err(TransportError::Closed),
            State::Head | State::Length(_) | State::Chunked(_) => Err(TransportError::Truncated),
        }
    }

    /// Whether the response is complete.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether any byte came.
    pub const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Whether another response may follow on the same connection. Meaningful once complete.
    pub fn can_keep_alive(&self) -> bool {
        self.is_done() && !self.surplus && self.head.as_ref().is_some_and(|head| head.keep_alive)
    }

    /// The head, once complete.
    pub const fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// The read in which the head became complete.
    pub const fn head_received(&self) -> Option<Received> {
        self.head_received
    }

    /// The read in which the response became complete.
    pub const fn end(&self) -> Option<Received> {
        self.end
    }

    /// The body so far.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The head and the body so far, for a sink that takes bytes away.
    pub const fn parts_mut(&mut self) -> (Option<&ResponseHead>, &mut Body) {
        (self.head.as_ref(), &mut self.body)
    }

    /// The head, and the body.
    pub fn into_parts(self) -> (Option<ResponseHead>, Body) {
        (self.head, self.body)
    }

    fn push_head(&mut self, bytes: &[u8], received: Received) -> Result<(), HttpError> {
        self.head_bytes.extend_from_slice(bytes);
        loop {
            // No byte beyond the limit is looked at, so that the split of the bytes decides nothing.
            let bytes_count = self.head_bytes.len();
            let within = &self.head_bytes[..bytes_count.min(HEAD_BYTES_MAX)];
            let Some((length, head, framing)) = parse_head(within)? else {
                if bytes_count > HEAD_BYTES_MAX {
                    return Err(HttpError::HeadTooLong { limit_bytes: HEAD_BYTES_MAX });
                }
                return Ok(());
            };
            if head.status == 101 {
                return Err(HttpError::SwitchingProtocols);
            }
            if head.status < 200 {
                self.interim_count += 1;
                if self.interim_count > INTERIM_MAX {
                    return Err(HttpError::TooManyInterim { limit_count: INTERIM_MAX });
                }
                self.head_bytes.drain(..length);
                continue;
            }
            self.inflater = Inflater::of(head.content_encoding.as_deref())?;
            self.head = Some(head);
            self.head_received = Some(received);
            self.state = match framing {
                Framing::None | Framing::Length(0) => State::Done,
                Framing::Length(length) => State::Length(length),
                Framing::Chunked => State::Chunked(ChunkedDecoder::new()),
                Framing::UntilClose => State::UntilClose,
            };
            let rest = std::mem::take(&mut self.head_bytes).split_off(length);
            if self.is_done() {
                self.finish(received);
            }
            return self.push_body(&rest, received);
        }
    }

    fn push_body(&mut self, bytes: &[u8], received: Received) -> Result<(), HttpError> {
        let out = match self.inflater {
            Some(_) => &mut self.deflated,
            None => self.body.bytes_mut(),
        };
        let (taken, done) = match &mut self.state {
            State::Head => (0, false),
            State::Done => (0, true),
            State::UntilClose => {
                out.extend_from_slice(bytes);
                (bytes.len(), false)
            }
            State::Length(remaining) => {
                let len = bytes.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                out.extend_from_slice(&bytes[..len]);
                *remaining -= len as u64;
                (len, *remaining == 0)
            }
            State::Chunked(decoder) => {
                let taken = decoder.decode(bytes, out);
                (taken?, decoder.is_done())
            }
        };
        if let Some(inflater) = &mut self.inflater {
            inflater.push(&self.deflated, self.body.bytes_mut())?;
            self.deflated.clear();
        }
        self.body.mark(received);
        self.surplus |= taken < bytes.len();
        if done && self.end.is_none() {
            self.finish(received);
        }
        if self.body.total_len() > BODY_BYTES_MAX {
            return Err(HttpError::BodyTooLong { limit_bytes: BODY_BYTES_MAX });
        }
        Ok(())
    }

    const fn finish(&mut self, received: Received) {
        self.state = State::Done;
        self.end = Some(received);
    }
}

#[cfg(test)]
mod tests;
