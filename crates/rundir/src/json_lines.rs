use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::RunDirError;

/// Bytes kept before they are handed to the kernel unasked.
const BUFFER_BYTES: usize = 256 * 1024;

/// Appends JSON values to a file, one a line.
///
/// What was flushed survives the process, however it ends. After a failed write nothing is lost:
/// the bytes stay in the buffer, which keeps growing, and the next [`LinesWriter::flush`] tries
/// again from where the file was left.
#[derive(Debug)]
pub struct LinesWriter {
    path: PathBuf,
    file: fs::File,
    buffer: Vec<u8>,
    failed: bool,
}

impl LinesWriter {
    pub(crate) fn create(path: &Path) -> Result<Self, RunDirError> {
        let file = fs::File::create(path).map_err(RunDirError::io("create", path))?;
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), failed: false })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When the buffer was full and could not be written; the line is kept all the same.
    pub fn push(&mut self, value: &impl Serialize) -> Result<(), RunDirError> {
        let start = self.buffer.len();
        if let Err(error) = serde_json::to_writer(&mut self.buffer, value) {
            self.buffer.truncate(start);
            return Err(RunDirError::io("write", &self.path)(error.into()));
        }
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES && !self.failed { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the kernel.
    ///
    /// # Errors
    /// When the disk refuses; what was not written stays in the buffer.
    pub fn flush(&mut self) -> Result<(), RunDirError> {
        let mut written = 0;
        let result = loop {
            if written == self.buffer.len() {
                break Ok(());
            }
            match self.file.write(&self.buffer[written..]) {
                Ok(0) => break Err(io::Error::from(ErrorKind::WriteZero)),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.buffer.drain(..written);
        self.failed = result.is_err();
        result.map_err(RunDirError::io("write", &self.path))
    }
}

/// The values of a file of JSON lines.
#[derive(Debug)]
pub struct JsonLines<T> {
    /// Every whole line.
    pub values: Vec<T>,
    /// Whether the last line was cut and left out.
    pub cut: bool,
    /// Numbers (from 1) of lines that are not what they should be, left out too.
    pub bad_lines: Vec<usize>,
}

impl<T: DeserializeOwned> JsonLines<T> {
    pub(crate) fn read(path: &Path) -> Result<Self, RunDirError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(RunDirError::io("read", path)(error)),
        };
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let (mut values, mut bad_lines) = (Vec::new(), Vec::new());
        for (index, line) in text[..whole].split(|&byte| byte == b'\n').enumerate() {
            match serde_json::from_slice(line) {
                Ok(value) => values.push(value),
                Err(_) if line.is_empty() => {}
                Err(_) => bad_lines.push(index + 1),
            }
        }
        Ok(Self { values, cut: whole < text.len(), bad_lines })
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonLines, LinesWriter};

    #[test]
    fn a_cut_last_line_is_left_out_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "1\n2\n3").unwrap();
        let lines = JsonLines::<u8>::read(&path).unwrap();
        assert_eq!((lines.values, lines.cut), (vec![1, 2], true));
    }

    #[test]
    fn a_bad_line_does_not_keep_the_others_from_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "1\nx\n3\n").unwrap();
        let lines = JsonLines::<u8>::read(&path).unwrap();
        assert_eq!((lines.values, lines.bad_lines), (vec![1, 3], vec![2]));
    }

    #[test]
    fn flushed_lines_are_on_disk_and_a_missing_file_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        assert!(JsonLines::<u8>::read(&path).unwrap().values.is_empty());
        let mut writer = LinesWriter::create(&path).unwrap();
        writer.push(&1).unwrap();
        writer.flush().unwrap();
        writer.push(&2).unwrap();
        assert_eq!(JsonLines::<u8>::read(&path).unwrap().values, vec![1]);
    }

    #[test]
    fn what_the_disk_refuses_stays_in_the_buffer() {
        // /dev/full refuses every write with "no space left on device".
        let mut writer = LinesWriter::create(std::path::Path::new("/dev/full")).unwrap();
        writer.push(&1).unwrap();
        assert!(writer.flush().is_err());
        writer.push(&2).unwrap();
        assert_eq!(writer.buffer, b"1\n2\n");
    }
}
