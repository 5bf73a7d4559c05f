//! The event-stream format of the WHATWG HTML standard ("Server-sent events", parsing an event
//! stream), for any split of the bytes. No JSON, no sockets, no clock.

use std::ops::Range;

/// One event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// The `event:` field; empty when there was none.
    pub name: &'a [u8],
    /// All `data:` lines, joined with LF. Bytes: the standard wants UTF-8, servers may differ.
    pub data: &'a [u8],
    /// Offset in the stream one past the line end of the last `data:` line: the event was known
    /// in full by the read that brought this byte's predecessor.
    pub data_end: usize,
    /// Whether the blank line came. An event without it is discarded by the standard; it is reported
    /// by [`EventParser::finish`] only, so that a cut can be told from a server that omits it.
    pub terminated: bool,
}

/// Parses an event stream, push by push.
///
/// Memory: at most one event and one line are copied. Neither has a limit of its own: the bytes of a
/// response, and so the longest line, are limited by the [reader](crate::http1::ResponseReader) to 256 MiB.
#[derive(Debug, Default)]
pub struct EventParser {
    /// A line whose end has not come.
    line: Vec<u8>,
    /// Offset in the stream of the next byte.
    offset: usize,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The first line, with its byte order mark, is over.
    started: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    data_end: usize,
    /// The name and the data are those of an event that has been handed out.
    handed_out: bool,
}

/// The data of the event being read.
enum Pending {
    /// None yet, or in the parser's own buffer.
    Own,
    /// One line, still in the bytes of this push.
    Here(Range<usize>),
}

/// What a line means for the event being read.
#[derive(Eq, PartialEq)]
enum Line {
    /// One of its fields, or nothing.
    Field,
    /// Its end.
    Blank,
}

impl EventParser {
    /// A parser before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it has taken any bytes.
    pub const fn is_started(&self) -> bool {
        self.offset > 0
    }

    /// Whether nothing has come yet of the next event.
    pub fn is_between_events(&self) -> bool {
        let is_empty = self.name.is_empty() && !self.has_data;
        self.line.is_empty() && (self.handed_out || is_empty)
    }

    /// Offset in the stream of the next byte.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Takes the next bytes up to the end of the first event that they complete, or all of them:
    /// how many it took, and the event. What it did not take is to be handed in again.
    pub fn next<'a>(&'a mut self, bytes: &'a [u8]) -> (usize, Option<Event<'a>>) {
        if std::mem::take(&mut self.handed_out) {
            self.forget();
        }
        let mut pending = Pending::Own;
        let mut at = 0;
        if self.after_cr && bytes.first() == Some(&b'\n') {
            at = 1;
        }
        if !bytes.is_empty() {
            self.after_cr = false;
        }
        while let Some(length) = memchr::memchr2(b'\r', b'\n', &bytes[at..]) {
            let end = at + length;
            let mut next = end + 1;
            if bytes[end] == b'\r' {
                if bytes.get(next) == Some(&b'\n') {
                    next += 1;
                } else if next == bytes.len() {
                    self.after_cr = true;
                }
            }
            // One past the first byte of the line end: with CRLF the CR already ends the line.
            let line_end = self.offset + end + 1;
            let line = if self.line.is_empty() {
                self.take_line(bytes, at..end, line_end, &mut pending)
            } else {
                self.line.extend_from_slice(&bytes[at..end]);
                let line = std::mem::take(&mut self.line);
                self.keep(bytes, &mut pending);
                let meaning = self.take_line(&line, 0..line.len(), line_end, &mut pending);
                self.keep(&line, &mut pending);
                self.line = line;
                self.line.clear();
                meaning
            };
            at = next;
            if line == Line::Blank {
                if std::mem::take(&mut self.has_data) {
                    self.offset += at;
                    self.handed_out = true;
                    let data = match pending {
                        Pending::Own => self.data.as_slice(),
                        Pending::Here(range) => &bytes[range],
                    };
                    let (name, data_end) = (self.name.as_slice(), self.data_end);
                    return (at, Some(Event { name, data, data_end, terminated: true }));
                }
                self.forget();
            }
        }
        self.line.extend_from_slice(&bytes[at..]);
        self.keep(bytes, &mut pending);
        self.offset += bytes.len();
        (bytes.len(), None)
    }

    /// Passes over whole events, blank lines included, that the caller has read itself: their length.
    /// Between events only.
    pub fn skip(&mut self, bytes_count: usize) {
        self.after_cr &= bytes_count == 0;
        self.started |= bytes_count > 0;
        self.offset += bytes_count;
    }

    /// Takes the next bytes and reports every event that they complete.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut at = 0;
        while at < bytes.len() {
            let (taken, event) = self.next(&bytes[at..]);
            at += taken;
            event.into_iter().for_each(&mut on_event);
        }
    }

    /// Takes the end of the stream: reports the event that lacks its blank line, if there is one.
    /// Its last line may lack its line end, too.
    pub fn finish(&mut self, on_event: impl FnOnce(Event<'_>)) {
        if std::mem::take(&mut self.handed_out) {
            self.forget();
        }
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            let mut pending = Pending::Own;
            self.take_line(&line, 0..line.len(), self.offset, &mut pending);
            self.keep(&line, &mut pending);
        }
        if self.has_data {
            on_event(Event {
                name: &self.name,
                data: &self.data,
                data_end: self.data_end,
                terminated: false,
            });
        }
    }

    /// Copies data that would go away with the pushed bytes.
    fn keep(&mut self, bytes: &[u8], pending: &mut Pending) {
        if let Pending::Here(range) = std::mem::replace(pending, Pending::Own) {
            self.data.clear();
            self.data.extend_from_slice(&bytes[range]);
        }
    }

    fn take_line(
        &mut self,
        bytes: &[u8],
        line: Range<usize>,
        line_end: usize,
        pending: &mut Pending,
    ) -> Line {
        let mut start = line.start;
        if !std::mem::replace(&mut self.started, true)
            && bytes[line.clone()].starts_with(b"\xef\xbb\xbf")
        {
            start += 3;
        }
        let text = &bytes[start..line.end];
        if text.is_empty() {
            return Line::Blank;
        }
        let colon = memchr::memchr(b':', text);
        let (field, mut value) = match colon {
            Some(colon) => (&text[..colon], start + colon + 1..line.end),
            None => (text, line.end..line.end),
        };
        if bytes[value.clone()].first() == Some(&b' ') {
            value.start += 1;
        }
        match field {
            b"data" => {
                self.data_end = line_end;
                if std::mem::replace(&mut self.has_data, true) {
                    self.keep(bytes, pending);
                    self.data.push(b'\n');
                    self.data.extend_from_slice(&bytes[value]);
                } else {
                    *pending = Pending::Here(value);
                }
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(&bytes[value]);
            }
            // Comments (an empty field), `id`, `retry` and unknown fields say nothing here.
            _ => {}
        }
        Line::Field
    }

    /// Forgets the fields of an event that is over.
    fn forget(&mut self) {
        self.name.clear();
        self.data.clear();
    }
}

#[cfg(test)]
mod tests;
