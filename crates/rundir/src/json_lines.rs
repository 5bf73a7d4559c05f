use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::RunDirError;

/// Reads JSON values, one a line, without holding more than one of them.
///
/// A last line that was cut in writing is left out. A line that is not what it should be does not
/// keep the others from being read.
pub struct JsonLines<'a> {
    /// What is named in errors.
    path: PathBuf,
    input: Box<dyn BufRead + 'a>,
    line: Vec<u8>,
    /// Of the line of the last value.
    place: LinePlace,
    next_start: u64,
    lines_count: u64,
    is_cut: bool,
    bad_lines: BadLines,
}

/// What a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line<T> {
    /// What it should be.
    Value(T),
    /// Something else.
    Bad,
}

/// Where a line is: from its first byte, without its line feed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinePlace {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// Lines that are not what they should be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BadLines {
    /// How many there were.
    pub count: u64,
    /// Number (from 1) of the first.
    pub first: Option<u64>,
}

impl<'a> JsonLines<'a> {
    pub(crate) fn new(path: &Path, input: impl BufRead + 'a) -> Self {
        Self {
            path: path.to_owned(),
            input: Box::new(input),
            line: Vec::new(),
            place: LinePlace::default(),
            next_start: 0,
            lines_count: 0,
            is_cut: false,
            bad_lines: BadLines::default(),
        }
    }

    /// The next line's value; `None` after the last one. Empty lines are passed over.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<Option<Line<T>>, RunDirError> {
        loop {
            let start = self.next_start;
            self.line.clear();
            let read = self.input.read_until(b'\n', &mut self.line);
            self.next_start += read.map_err(RunDirError::io("read", &self.path))? as u64;
            let Some(line) = self.line.strip_suffix(b"\n") else {
                self.is_cut |= !self.line.is_empty();
                return Ok(None);
            };
            self.lines_count += 1;
            if line.is_empty() {
                continue;
            }
            self.place = LinePlace { start, bytes: line.len() as u64 };
            let Ok(value) = serde_json::from_slice(line) else {
                self.bad_lines.count += 1;
                self.bad_lines.first.get_or_insert(self.lines_count);
                return Ok(Some(Line::Bad));
            };
            return Ok(Some(Line::Value(value)));
        }
    }

    /// Where the line of the last value is.
    pub fn place(&self) -> LinePlace {
        self.place
    }

    /// Whether the last line was cut and left out; known after the last value.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Lines so far that were not what they should be.
    pub fn bad_lines(&self) -> BadLines {
        self.bad_lines
    }
}

impl fmt::Debug for JsonLines<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("JsonLines");
        text.field("path", &self.path).field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{JsonLines, Line, LinePlace};

    /// Values (`None`: bad), whether the last line was cut, and the number of the first bad one.
    fn check(text: &str, values: &[Option<u8>], is_cut: bool, first_bad: Option<u64>) {
        let mut lines = JsonLines::new(Path::new("a.jsonl"), text.as_bytes());
        let mut found = Vec::new();
        while let Some(line) = lines.read::<u8>().unwrap() {
            let place = lines.place();
            let (start, end) = (place.start as usize, (place.start + place.bytes) as usize);
            found.push(match line {
                Line::Value(value) => {
                    assert_eq!(text[start..end], value.to_string());
                    Some(value)
                }
                Line::Bad => None,
            });
        }
        assert_eq!((found.as_slice(), lines.is_cut()), (values, is_cut));
        let count = values.iter().filter(|value| value.is_none()).count() as u64;
        assert_eq!((lines.bad_lines().count, lines.bad_lines().first), (count, first_bad));
    }

    #[test]
    fn a_cut_last_line_is_left_out_and_said() {
        check("1\n2\n3", &[Some(1), Some(2)], true, None);
        check("3", &[], true, None);
        check("", &[], false, None);
    }

    #[test]
    fn a_bad_line_does_not_keep_the_others_from_being_read() {
        check("1\nx\n3\n", &[Some(1), None, Some(3)], false, Some(2));
        check("1\n\n\n300\n-\n25\n", &[Some(1), None, None, Some(25)], false, Some(4));
    }

    #[test]
    fn the_first_line_starts_at_the_first_byte() {
        let mut lines = JsonLines::new(Path::new("a.jsonl"), &b"12\n3\n"[..]);
        assert_eq!(lines.read::<u8>().unwrap(), Some(Line::Value(12)));
        assert_eq!(lines.place(), LinePlace { start: 0, bytes: 2 });
    }
}
