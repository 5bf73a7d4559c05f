use memchr::memchr;

/// Finds the end of a value by its brackets and quotes alone; what is between them is the parser's
/// matter.
#[derive(Debug, Default)]
pub(super) struct Extent {
    scanned: usize,
    depth: usize,
    in_string: bool,
}

impl Extent {
    /// Goes on where it stopped, in a text of which only the end grows. The value's length, once
    /// it is known.
    pub(super) fn scan(&mut self, text: &[u8]) -> Option<usize> {
        while self.scanned < text.len() {
            if self.in_string {
                self.skip_string(text);
                if !self.in_string && self.depth == 0 {
                    return Some(self.scanned);
                }
                continue;
            }
            let byte = text[self.scanned];
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' | b',' if self.depth == 0 => return Some(self.scanned),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.scanned += 1;
                        return Some(self.scanned);
                    }
                }
                byte if self.depth == 0 && byte.is_ascii_whitespace() => return Some(self.scanned),
                _ => {}
            }
            self.scanned += 1;
        }
        None
    }

    /// Whether the value certainly goes on.
    pub(super) const fn is_within(&self) -> bool {
        self.depth > 0 || self.in_string
    }

    /// Goes on to the end of the string, or of the text. A quote ends the string unless an odd
    /// number of backslashes stands before it.
    fn skip_string(&mut self, text: &[u8]) {
        while let Some(ahead) = memchr(b'"', &text[self.scanned..]) {
            let quote = self.scanned + ahead;
            let before = text[..quote].iter().rev();
            let backslashes = before.take_while(|&&byte| byte == b'\\').count();
            self.scanned = quote + 1;
            if backslashes % 2 == 0 {
                self.in_string = false;
                return;
            }
        }
        self.scanned = text.len();
    }
}
