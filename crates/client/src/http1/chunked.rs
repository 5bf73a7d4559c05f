use crate::error::HttpError;

/// Longest chunk extension or trailer line, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Most trailer lines.
const TRAILER_LINES_MAX: usize = 128;

/// The chunked coding of RFC 9112, section 7.1, for any split of the bytes.
///
/// As lenient as deployed clients: hex digits of either case, blanks around the size, extensions,
/// trailers, and a bare LF where CRLF belongs.
#[derive(Clone, Debug)]
pub(crate) struct ChunkedDecoder {
    state: State,
    remaining: u64,
    line_len: usize,
    trailer_lines: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Before the first digit of a size.
    Size,
    /// After at least one digit.
    SizeDigits,
    /// After blanks or `;`.
    Extension,
    /// After the CR of a size line.
    SizeLf,
    Data,
    /// After a chunk's data.
    DataEnd,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    Trailer,
    /// After the CR of an empty trailer line.
    EndLf,
    Done,
}

impl ChunkedDecoder {
    pub(crate) const fn new() -> Self {
        Self { state: State::Size, remaining: 0, line_len: 0, trailer_lines: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Appends the payload in `bytes` to `out`; returns how many bytes it took. It takes all of
    /// them unless the body ends before.
    pub(crate) fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let len =
                    (bytes.len() - at).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                out.extend_from_slice(&bytes[at..at + len]);
                at += len;
                self.remaining -= len as u64;
                if self.remaining == 0 {
                    self.state = State::DataEnd;
                }
            } else if let Some((len, size)) = self.next_chunk(&bytes[at..]) {
                at += len;
                self.remaining = size;
                self.state = State::Data;
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// Reads what is before a chunk's data as servers mostly write it, `CRLF size CRLF`, in one go:
    /// its length and the size. `None`: it is not all there, or is not that simple.
    fn next_chunk(&self, bytes: &[u8]) -> Option<(usize, u64)> {
        const DIGITS_MAX: usize = 8;
        let digits = if self.state == State::DataEnd {
            bytes.strip_prefix(b"\r\n")?
        } else if self.state == State::Size && self.line_len == 0 {
            bytes
        } else {
            return None;
        };
        let (mut size, mut count) = (0, 0);
        while let Some(digit) = digits.get(count).and_then(|byte| (*byte as char).to_digit(16)) {
            size = size << 4 | u64::from(digit);
            count += 1;
        }
        let is_simple = count <= DIGITS_MAX && size > 0 && digits[count..].starts_with(b"\r\n");
        is_simple.then(|| (bytes.len() - digits.len() + count + 2, size))
    }

    fn step(&mut self, byte: u8) -> Result<(), HttpError> {
        self.state = match (self.state, byte) {
            (State::Size, b' ' | b'\t') => self.count(State::Size)?,
            (State::Size | State::SizeDigits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                if self.remaining >> 60 != 0 {
                    return Err(HttpError::Chunk("size too large"));
                }
                self.remaining = self.remaining << 4 | digit;
                self.count(State::SizeDigits)?
            }
            (State::SizeDigits | State::Extension, b'\r') => State::SizeLf,
            (State::SizeDigits | State::Extension | State::SizeLf, b'\n') => self.size_known(),
            (State::SizeDigits, b';' | b' ' | b'\t') | (State::Extension, _) => {
                self.count(State::Extension)?
            }
            (State::DataEnd, b'\r') => State::DataLf,
            (State::DataEnd | State::DataLf, b'\n') => {
                self.line_len = 0;
                State::Size
            }
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::EndLf, b'\n') => State::Done,
            (State::Trailer, b'\n') => self.trailer_line()?,
            (State::TrailerStart | State::Trailer, _) => self.count(State::Trailer)?,
            (State::Size | State::SizeDigits, _) => {
                return Err(HttpError::Chunk("size is not a hexadecimal number"));
            }
            (State::SizeLf | State::DataEnd | State::DataLf | State::EndLf, _) => {
                return Err(HttpError::Chunk("line end expected"));
            }
            (State::Data | State::Done, _) => return Ok(()),
        };
        Ok(())
    }

    /// Limits the length of the current line.
    fn count(&mut self, next: State) -> Result<State, HttpError> {
        self.line_len += 1;
        if self.line_len > LINE_BYTES_MAX {
            return Err(HttpError::Chunk("line too long"));
        }
        Ok(next)
    }

    const fn size_known(&mut self) -> State {
        self.line_len = 0;
        if self.remaining == 0 { State::TrailerStart } else { State::Data }
    }

    fn trailer_line(&mut self) -> Result<State, HttpError> {
        self.line_len = 0;
        self.trailer_lines += 1;
        if self.trailer_lines > TRAILER_LINES_MAX {
            return Err(HttpError::Chunk("too many trailer lines"));
        }
        Ok(State::TrailerStart)
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkedDecoder;
    use crate::error::HttpError;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), HttpError> {
        let mut decoder = ChunkedDecoder::new();
        let (mut out, mut taken) = (Vec::new(), 0);
        for piece in pieces {
            taken += decoder.decode(piece, &mut out)?;
        }
        Ok((out, decoder.is_done(), taken))
    }

    fn check(wire: &[u8], payload: &[u8]) {
        for step in [1, 2, 3, 5, wire.len()] {
            let pieces: Vec<&[u8]> = wire.chunks(step).collect();
            assert_eq!(decode(&pieces), Ok((payload.to_vec(), true, wire.len())), "{step}");
        }
    }

    #[test]
    fn sizes_extensions_and_trailers_are_read() {
        check(b"3\r\nabc\r\n0\r\n\r\n", b"abc");
        check(b"0A\r\n0123456789\r\n1\r\nx\r\n00\r\n\r\n", b"0123456789x");
        check(
            b"a;name=\"v\";x\r\n0123456789\r\n0;last\r\nTrailer: 1\r\nB: 2\r\n\r\n",
            b"0123456789",
        );
        check(b" 1 \r\nx\r\n0\r\n\r\n", b"x");
        check(b"2\nab\n0\n\n", b"ab");
        check(
            b"1\r\na\r\n2\r\nbc\r\n000000001\r\nd\r\n 1\r\ne\r\n1;x\r\nf\r\n0\r\n\r\n",
            b"abcdef",
        );
    }

    #[test]
    fn bytes_after_the_end_are_left_alone() {
        assert_eq!(decode(&[b"1\r\nx\r\n0\r\n\r\nHTTP"]), Ok((b"x".to_vec(), true, 11)));
    }

    #[test]
    fn damaged_framing_is_an_error() {
        for wire in [
            "x\r\n",
            "\r\n",
            "1\r\na\r\n\r\n",
            "3\r\nabcd",
            "fffffffffffffffff\r\n",
            "1\r\nx\rz",
            "-1\r\n",
        ] {
            assert!(matches!(decode(&[wire.as_bytes()]), Err(HttpError::Chunk(_))), "{wire:?}");
        }
        let endless = format!("1;{}", "x".repeat(20_000));
        assert_eq!(decode(&[endless.as_bytes()]), Err(HttpError::Chunk("line too long")));
    }
}
