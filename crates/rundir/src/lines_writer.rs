use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{RunDirError, WrittenLines};

/// Bytes kept before they are handed to the kernel unasked.
const BUFFER_BYTES: usize = 256 * 1024;

/// Appends JSON values to a file, one a line.
///
/// What was flushed survives the process, however it ends. After a failed write nothing is lost:
/// the bytes stay in the buffer, which keeps growing, and the next [`LinesWriter::flush`] tries
/// again from where the file was left. [`LinesWriter::finish`] gives everything back to be read,
/// on disk or not.
#[derive(Debug)]
pub struct LinesWriter {
    /// What is named in errors.
    path: PathBuf,
    /// `None`: everything stays in memory.
    file: Option<fs::File>,
    /// Bytes of the file.
    written_bytes: u64,
    /// What comes after them.
    buffer: Vec<u8>,
    failed: bool,
}

impl LinesWriter {
    pub(crate) fn create(path: &Path) -> Result<Self, RunDirError> {
        // Readable too, so that the lines can be read back whatever becomes of the name.
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(RunDirError::io("create", path))?;
        Ok(Self::new(path.to_owned(), Some(file)))
    }

    /// Writes to a file without a name in the system's folder for temporary files: nothing is left
    /// of it, however the process ends.
    ///
    /// # Errors
    /// When there can be no such file.
    pub fn unnamed() -> Result<Self, RunDirError> {
        let path = std::env::temp_dir();
        let file =
            tempfile::tempfile().map_err(RunDirError::io("create a temporary file in", &path))?;
        Ok(Self::new(path, Some(file)))
    }

    /// Keeps everything in memory.
    pub fn in_memory() -> Self {
        Self::new(PathBuf::new(), None)
    }

    fn new(path: PathBuf, file: Option<fs::File>) -> Self {
        Self { path, file, written_bytes: 0, buffer: Vec::new(), failed: false }
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
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut written = 0;
        let result = loop {
            if written == self.buffer.len() {
                break Ok(());
            }
            match file.write(&self.buffer[written..]) {
                Ok(0) => break Err(io::Error::from(ErrorKind::WriteZero)),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.written_bytes += written as u64;
        self.buffer.drain(..written);
        self.failed = result.is_err();
        result.map_err(RunDirError::io("write", &self.path))
    }

    /// Hands everything to the kernel a last time, and gives all lines back to be read: from the
    /// file, and from memory what the disk refused.
    ///
    /// # Errors
    /// The error, beside the lines, is why the file does not have all of them.
    pub fn finish(mut self) -> (WrittenLines, Result<(), RunDirError>) {
        let flushed = self.flush();
        let rest = std::mem::take(&mut self.buffer);
        let path = std::mem::take(&mut self.path);
        (WrittenLines::new(path, self.file.take(), self.written_bytes, rest), flushed)
    }
}

/// A writer that is dropped, as when its thread panics, leaves on disk what the disk takes.
impl Drop for LinesWriter {
    fn drop(&mut self) {
        // There is nobody to be told.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::LinesWriter;

    #[test]
    fn flushed_lines_are_on_disk_and_the_others_once_the_writer_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut writer = LinesWriter::create(&path).unwrap();
        writer.push(&1).unwrap();
        writer.flush().unwrap();
        writer.push(&2).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_disk_refuses_stays_in_the_buffer() {
        // /dev/full refuses every write with "no space left on device".
        let mut writer = LinesWriter::create(std::path::Path::new("/dev/full")).unwrap();
        writer.push(&1).unwrap();
        assert!(writer.flush().is_err());
        writer.push(&2).unwrap();
        assert_eq!(writer.buffer, b"1\n2\n");
    }

    #[test]
    fn what_was_flushed_takes_no_memory() {
        let mut writer = LinesWriter::unnamed().unwrap();
        for _ in 0..10_000 {
            writer.push(&"a line of some length that is written again and again").unwrap();
        }
        assert!(writer.buffer.capacity() <= 2 * super::BUFFER_BYTES);
    }
}
