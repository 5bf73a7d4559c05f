use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use crate::{JsonLines, LinePlace, RunDirError};

/// Bytes read from a file at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// The lines that a [`LinesWriter`](crate::LinesWriter) took: those on disk, and after them those
/// that the disk refused. They can be read as often as wanted.
#[derive(Debug)]
pub struct WrittenLines {
    /// What is named in errors.
    path: PathBuf,
    file: Option<File>,
    /// Bytes of the file that are lines, or the beginning of the first line in `rest`.
    written_bytes: u64,
    rest: Vec<u8>,
}

impl WrittenLines {
    pub(crate) fn new(
        path: PathBuf,
        file: Option<File>,
        written_bytes: u64,
        rest: Vec<u8>,
    ) -> Self {
        Self { path, file, written_bytes, rest }
    }

    /// All lines, from the first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> Result<JsonLines<'_>, RunDirError> {
        let path = self.path.clone();
        let input = self.bytes_from(0).map_err(RunDirError::io("read", &path))?;
        Ok(JsonLines::new(&path, input))
    }

    /// The value of the line at a place, as [`JsonLines::place`] gave it.
    ///
    /// # Errors
    /// When it cannot be read, or there is no such line.
    pub fn read_at<T: DeserializeOwned>(&mut self, place: LinePlace) -> Result<T, RunDirError> {
        let mut line = Vec::new();
        let read = self.bytes_from(place.start);
        read.and_then(|input| input.take(place.bytes).read_to_end(&mut line))
            .map_err(RunDirError::io("read", &self.path))?;
        serde_json::from_slice(&line).map_err(|source| RunDirError::Malformed {
            path: self.path.clone(),
            line: source.line(),
            source,
        })
    }

    /// The bytes of all lines from the byte `start` on.
    fn bytes_from(&mut self, start: u64) -> io::Result<impl BufRead> {
        let on_disk: Box<dyn Read> = match &mut self.file {
            Some(file) => {
                file.seek(SeekFrom::Start(start))?;
                Box::new(file.take(self.written_bytes.saturating_sub(start)))
            }
            None => Box::new(io::empty()),
        };
        let skipped = start.saturating_sub(self.written_bytes) as usize;
        let in_memory = self.rest.get(skipped..).unwrap_or_default();
        Ok(BufReader::with_capacity(READ_BYTES, on_disk).chain(in_memory))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use crate::{Line, LinesWriter, WrittenLines};

    fn all(lines: &mut WrittenLines) -> Vec<String> {
        let mut reader = lines.read().unwrap();
        let (mut values, mut places) = (Vec::new(), Vec::new());
        while let Some(line) = reader.read::<String>().unwrap() {
            let Line::Value(value) = line else { panic!("a bad line") };
            values.push(value);
            places.push(reader.place());
        }
        assert!(!reader.is_cut());
        drop(reader);
        for (value, place) in values.iter().zip(places).rev() {
            assert_eq!(&lines.read_at::<String>(place).unwrap(), value);
        }
        values
    }

    #[test]
    fn lines_are_read_back_from_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let expect: Vec<String> = (0..40).map(|index| "x".repeat(index * 500)).collect();
        for mut writer in [
            LinesWriter::create(&folder.path().join("a.jsonl")).unwrap(),
            LinesWriter::unnamed().unwrap(),
            LinesWriter::in_memory(),
            LinesWriter::create(std::path::Path::new("/dev/full")).unwrap(),
        ] {
            for value in &expect {
                // The full disk's refusal is told at the end too.
                let _ = writer.push(value);
            }
            let (mut lines, _) = writer.finish();
            assert_eq!(all(&mut lines), expect);
            assert_eq!(all(&mut lines), expect, "a second time");
        }
    }

    #[test]
    fn a_line_that_the_disk_took_half_of_is_whole() {
        let text = b"\"one\"\n\"two\"\n\"three\"\n";
        for cut in 0..=text.len() {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&text[..cut]).unwrap();
            file.seek(SeekFrom::Start(3)).unwrap();
            let rest = text[cut..].to_vec();
            let mut lines = WrittenLines::new("a".into(), Some(file), cut as u64, rest);
            assert_eq!(all(&mut lines), ["one", "two", "three"], "{cut}");
        }
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let mut writer = LinesWriter::create(std::path::Path::new("/dev/full")).unwrap();
        writer.push(&"one").unwrap();
        let (mut lines, flushed) = writer.finish();
        assert_eq!(flushed.unwrap_err().to_string(), "cannot write '/dev/full'");
        assert_eq!(all(&mut lines), ["one"]);
    }
}
