use turnbench_model::Received;

/// Body bytes up to `end` had arrived by `received`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Offset in the whole body, one past the last byte that the read brought.
    pub end: usize,
    /// The read's stamp.
    pub received: Received,
}

/// A response body without its transfer framing, and which read brought which part of it.
#[derive(Clone, Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    /// Bytes of the body before `bytes[0]`, taken away by [`Body::clear`].
    start: usize,
}

impl Body {
    /// A body before its first byte.
    pub const EMPTY: Self = Self { bytes: Vec::new(), marks: Vec::new(), start: 0 };

    /// The bytes held.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Offset of the first held byte in the whole body.
    pub const fn start(&self) -> usize {
        self.start
    }

    /// One mark for each read that brought held bytes, ascending.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Length of the whole body so far, in bytes.
    pub fn total_len(&self) -> usize {
        self.start + self.bytes.len()
    }

    /// Takes away what is held; offsets go on counting.
    pub fn clear(&mut self) {
        self.start += self.bytes.len();
        self.bytes.clear();
        self.marks.clear();
    }

    /// Notes that everything held now had arrived by `received`, if it is news.
    pub(crate) fn mark(&mut self, received: Received) {
        let end = self.total_len();
        let known = self.marks.last().map_or(self.start, |mark| mark.end);
        if end > known {
            self.marks.push(Mark { end, received });
        }
    }

    pub(crate) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}
