use memchr::memmem::Finder;

/// How a streamed answer ends: the last event, the end of its chunk, and the last chunk.
pub const END_OF_STREAM: &[u8] = b"data: [DONE]\n\n\r\n0\r\n\r\n";

const MARK: &[u8] = b"data:";

/// Counts `data:` marks in bytes that come in pieces.
#[derive(Debug)]
pub struct EventCounter {
    finder: Finder<'static>,
    count: u64,
}

impl Default for EventCounter {
    fn default() -> Self {
        Self { finder: Finder::new(MARK), count: 0 }
    }
}

impl EventCounter {
    /// Marks so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Counts the marks within `bytes`.
    pub fn add(&mut self, bytes: &[u8]) {
        self.count += self.finder.find_iter(bytes).count() as u64;
    }

    /// Counts the mark that lies across the border of two pieces, if there is one.
    pub fn add_border(&mut self, before: &[u8], after: &[u8]) {
        let split = |at: usize| before.ends_with(&MARK[..at]) && after.starts_with(&MARK[at..]);
        if (1..MARK.len()).any(split) {
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EventCounter;

    #[test]
    fn marks_are_counted_wherever_the_pieces_end() {
        let text = b"1\r\ndata: a\n\n\r\ndata: b\n\n\r\n";
        for at in 0..=text.len() {
            let (before, after) = text.split_at(at);
            let mut counter = EventCounter::default();
            counter.add(before);
            counter.add_border(before, after);
            counter.add(after);
            assert_eq!(counter.count(), 2, "{at}");
        }
    }
}
