use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memchr_iter;

use super::Row;
use super::extent::Extent;
use crate::WorkloadError;

/// Bytes asked for at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Most bytes of one row; a list of conversations in which a bracket is missing is not read whole.
const ROW_BYTES_MAX: usize = 1 << 30;

/// The values of a JSON file, one by one: the items of one list, or values after one another
/// (JSONL, or a single document). Memory holds one value's text at a time and no parse tree.
pub struct JsonRows {
    path: Arc<Path>,
    source: Box<dyn Read + Send>,
    /// Bytes read and not handed out yet begin at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// Offset in the file of `buffer[start]`, and its line.
    offset: u64,
    line: u64,
    rows: u64,
    shape: Shape,
    ended: bool,
}

/// Where in the file's grammar the next value stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// Nothing was read yet.
    Unknown,
    /// Within a list.
    List,
    /// Values after one another.
    Values,
    /// After the end, or after an error.
    Done,
}

impl std::fmt::Debug for JsonRows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JsonRows").field("path", &self.path).finish_non_exhaustive()
    }
}

impl JsonRows {
    pub(crate) fn new(path: Arc<Path>, source: Box<dyn Read + Send>) -> Self {
        Self {
            path,
            source,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            line: 1,
            rows: 0,
            shape: Shape::Unknown,
            ended: false,
        }
    }

    /// Reads more; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, WorkloadError> {
        if self.ended {
            return Ok(false);
        }
        if self.start > CHUNK_BYTES {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK_BYTES, 0);
        let count = loop {
            match self.source.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let count = count.map_err(|source| WorkloadError::ReadInput {
            path: PathBuf::from(&*self.path),
            source,
        })?;
        self.buffer.truncate(filled + count);
        self.ended = count == 0;
        Ok(!self.ended)
    }

    /// The next byte that is no blank, without taking it.
    fn peek(&mut self) -> Result<Option<u8>, WorkloadError> {
        loop {
            let rest = &self.buffer[self.start..];
            let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = rest.get(blanks).copied();
            self.take(blanks);
            if found.is_some() || !self.fill()? {
                return Ok(found);
            }
        }
    }

    /// Steps over bytes.
    fn take(&mut self, count: usize) {
        let taken = &self.buffer[self.start..self.start + count];
        self.line += memchr_iter(b'\n', taken).count() as u64;
        self.offset += count as u64;
        self.start += count;
    }

    fn broken(&self, problem: impl Into<String>) -> WorkloadError {
        WorkloadError::Row {
            path: PathBuf::from(&*self.path),
            line: self.line,
            item: self.rows,
            offset: self.offset,
            problem: problem.into(),
        }
    }

    fn next_row(&mut self) -> Result<Option<Row>, WorkloadError> {
        if self.shape == Shape::Unknown {
            self.begin()?;
        } else if self.shape == Shape::List && self.rows > 0 && !self.separator()? {
            return Ok(None);
        }
        match (self.shape, self.peek()?) {
            (Shape::Done, _) | (Shape::Values, None) => Ok(None),
            (Shape::List, Some(b']')) if self.rows == 0 => self.end_of_list().map(|()| None),
            (_, None) => Err(self.broken("the file ends within its list; \"]\" is missing")),
            (_, Some(first)) => self.row(first).map(Some),
        }
    }

    /// Finds out whether the file is one list.
    fn begin(&mut self) -> Result<(), WorkloadError> {
        const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
        self.fill()?;
        while self.buffer.len() < BYTE_ORDER_MARK.len() && self.fill()? {}
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.take(BYTE_ORDER_MARK.len());
        }
        self.shape = if self.peek()? == Some(b'[') {
            self.take(1);
            Shape::List
        } else {
            Shape::Values
        };
        Ok(())
    }

    /// What stands between two items of a list; `false` after the last.
    fn separator(&mut self) -> Result<bool, WorkloadError> {
        match self.peek()? {
            Some(b',') => self.take(1),
            Some(b']') => return self.end_of_list().map(|()| false),
            Some(byte) => {
                let seen = char::from(byte).escape_default();
                return Err(self.broken(format!("expected \",\" or \"]\", found '{seen}'")));
            }
            None => return Err(self.broken("the file ends within its list; \"]\" is missing")),
        }
        Ok(true)
    }

    fn end_of_list(&mut self) -> Result<(), WorkloadError> {
        self.take(1);
        self.shape = Shape::Done;
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.broken("the list has ended, but the file goes on")),
        }
    }

    /// Takes the value that begins with `first`.
    fn row(&mut self, first: u8) -> Result<Row, WorkloadError> {
        let mut extent = Extent::default();
        let length = loop {
            if let Some(length) = extent.scan(&self.buffer[self.start..]) {
                break length;
            }
            if self.buffer.len() - self.start > ROW_BYTES_MAX {
                return Err(self.broken(format!("it is larger than {ROW_BYTES_MAX} bytes")));
            }
            if !self.fill()? {
                if extent.is_within() {
                    return Err(self.broken("the file ends within it"));
                }
                break self.buffer.len() - self.start;
            }
        };
        if length == 0 {
            let seen = char::from(first).escape_default();
            return Err(self.broken(format!("expected a value, found '{seen}'")));
        }
        let row = Row {
            path: Arc::clone(&self.path),
            bytes: self.buffer[self.start..self.start + length].to_vec(),
            line: self.line,
            index: self.rows,
            offset: self.offset,
            in_list: self.shape == Shape::List,
        };
        self.take(length);
        self.rows += 1;
        Ok(row)
    }
}

impl Iterator for JsonRows {
    type Item = Result<Row, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.shape == Shape::Done {
            return None;
        }
        let row = self.next_row();
        if !matches!(row, Ok(Some(_))) {
            self.shape = Shape::Done;
        }
        row.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::JsonRows;

    /// Gives its bytes a few at a time.
    struct Dripping(Vec<u8>, usize);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn rows(text: &[u8], step: usize) -> Result<Vec<(String, u64, u64)>, String> {
        let source = Box::new(Dripping(text.to_vec(), step));
        JsonRows::new(Arc::from(Path::new("f")), source)
            .map(|row| {
                let row = row.map_err(|error| error.to_string())?;
                let value: Value = row.parse().map_err(|error| error.to_string())?;
                Ok((value.to_string(), row.line, row.offset))
            })
            .collect()
    }

    fn check(text: &str, expect: &[(&str, u64, u64)]) {
        for step in [1, 3, 1000] {
            let found = rows(text.as_bytes(), step).unwrap();
            let found: Vec<_> =
                found.iter().map(|(text, line, offset)| (text.as_str(), *line, *offset)).collect();
            assert_eq!(found, expect, "{text:?} in steps of {step}");
        }
    }

    #[test]
    fn lists_and_lines_give_the_same_rows() {
        check(
            "[{\"a\":\"]\\\"}\"},\n 5 ,\"x\"]\n",
            &[(r#"{"a":"]\"}"}"#, 1, 1), ("5", 2, 16), (r#""x""#, 2, 19)],
        );
        check(
            "{\"a\":1}\n\n{\"b\":[2]}{}",
            &[("{\"a\":1}", 1, 0), ("{\"b\":[2]}", 3, 9), ("{}", 3, 18)],
        );
        check("\u{feff}[]", &[]);
        check("", &[]);
        check(" \n{\n\"a\":\n[1]\n}", &[("{\"a\":[1]}", 2, 2)]);
    }

    fn refuse(text: &[u8], expect: &str) {
        for step in [1, 1000] {
            assert_eq!(rows(text, step).unwrap_err(), expect, "{:?}", text.escape_ascii());
        }
    }

    #[test]
    fn broken_files_are_named_with_item_and_byte() {
        refuse(
            b"[{\"a\":1},\n{\"b",
            "f:2: malformed JSON in item 1, at byte 10: the file ends within it",
        );
        refuse(
            b"[{}",
            "f:1: malformed JSON in item 1, at byte 3: the file ends within its list; \"]\" is missing",
        );
        refuse(
            b"[{} {}]",
            "f:1: malformed JSON in item 1, at byte 4: expected \",\" or \"]\", found '{'",
        );
        refuse(b"[1,]", "f:1: malformed JSON in item 1, at byte 3: expected a value, found ']'");
        refuse(
            b"[1] 2",
            "f:1: malformed JSON in item 1, at byte 4: the list has ended, but the file goes on",
        );
        refuse(b"{}\n{\"a\" 1}", "f:2: malformed JSON in item 1, at byte 8: expected `:`");
        refuse(b"{}\n\n{\"a\":\"\xff\"}", "f:3: invalid UTF-8 at byte 10, expected UTF-8 text");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_steps_end(text in proptest::collection::vec(any::<u8>(), 0..60), step in 1..9_usize) {
            let whole = rows(&text, 1000);
            prop_assert_eq!(rows(&text, step), whole);
        }

        #[test]
        fn brackets_in_any_order_end(text in "[\\[\\]{}\",:\\\\ 1a\n]{0,40}", step in 1..9_usize) {
            prop_assert_eq!(rows(text.as_bytes(), step), rows(text.as_bytes(), 1000));
        }
    }
}
