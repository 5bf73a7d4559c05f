use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memchr_iter;
use serde::Deserialize;
use serde_json::Value;

use crate::WorkloadError;
use crate::json_file::Node;

/// One value of a JSON file, as text, with its place.
#[derive(Clone, Debug)]
pub struct Row {
    pub(super) path: Arc<Path>,
    /// The text; whether it is UTF-8 and well-formed shows when it is parsed.
    pub bytes: Vec<u8>,
    /// Line of the file where it begins, from 1.
    pub line: u64,
    /// Its number among the rows, from 0.
    pub index: u64,
    /// Where it begins, in bytes of the (decompressed) file.
    pub offset: u64,
    /// Whether it is an item of a list.
    pub(super) in_list: bool,
}

impl Row {
    /// A row that was read before, read again.
    pub(crate) fn new(
        path: Arc<Path>,
        bytes: Vec<u8>,
        line: u64,
        index: u64,
        offset: u64,
        in_list: bool,
    ) -> Self {
        Self { path, bytes, line, index, offset, in_list }
    }

    /// Whether it is an item of a list.
    pub(crate) const fn is_in_list(&self) -> bool {
        self.in_list
    }

    /// The value.
    ///
    /// # Errors
    /// When it is not UTF-8, or malformed.
    pub fn value(&self) -> Result<Value, WorkloadError> {
        self.parse()
    }

    /// The value as a `T`, which may borrow from the text.
    ///
    /// # Errors
    /// When it is not UTF-8, malformed, or no `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, WorkloadError> {
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let within = error.valid_up_to();
            WorkloadError::NotUtf8 {
                path: PathBuf::from(&*self.path),
                line: (self.line as usize) + memchr_iter(b'\n', &self.bytes[..within]).count(),
                offset: self.offset as usize + within,
            }
        })?;
        serde_json::from_str(text).map_err(|error| self.malformed(&error))
    }

    /// A value of this row, to be complained about with its place.
    pub(crate) fn node<'a>(&'a self, value: &'a Value) -> Node<'a> {
        if self.in_list {
            Node::item(&self.path, self.index, value)
        } else {
            Node::row(&self.path, self.line, value)
        }
    }

    /// The file that it is from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn malformed(&self, error: &serde_json::Error) -> WorkloadError {
        let line_start = match error.line() {
            0 | 1 => 0,
            line => memchr_iter(b'\n', &self.bytes).nth(line - 2).map_or(0, |place| place + 1),
        };
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        WorkloadError::Row {
            path: PathBuf::from(&*self.path),
            line: self.line + error.line().max(1) as u64 - 1,
            item: self.index,
            offset: self.offset + (line_start + error.column().saturating_sub(1)) as u64,
            problem: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
        }
    }
}
