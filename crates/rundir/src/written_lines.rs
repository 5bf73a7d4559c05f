use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
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
        let (on_disk, in_memory) = self.parts_from(0).map_err(RunDirError::io("read", &path))?;
        let on_disk = BufReader::with_capacity(READ_BYTES, on_disk);
        Ok(JsonLines::new(&path, on_disk.chain(in_memory)))
    }

    /// The value of the line at a place, as [`JsonLines::place`] gave it.
    ///
    /// # Errors
    /// When it cannot be read, or there is no such line.
    pub fn read_at<T: DeserializeOwned>(&mut self, place: LinePlace) -> Result<T, RunDirError> {
        let mut line = Vec::with_capacity(place.bytes as usize);
        // No more than the line: records are read one by one, from all over the file.
        let read = self.parts_from(place.start).and_then(|(on_disk, in_memory)| {
            on_disk.chain(in_memory).take(place.bytes).read_to_end(&mut line)
        });
        read.map_err(RunDirError::io("read", &self.path))?;
        serde_json::from_slice(&line).map_err(|source| RunDirError::Malformed {
            path: self.path.clone(),
            line: source.line(),
            source,
        })
    }

    /// The bytes of all lines from the byte `start` on: those on disk, not buffered, and those that
    /// come after them.
    fn parts_from(&mut self, start: u64) -> io::Result<(Box<dyn Read + '_>, &[u8])> {
        let on_disk: Box<dyn Read> = match &mut self.file {
            Some(file) => {
                file.seek(SeekFrom::Start(start))?;
                Box::new(file.take(self.written_bytes.saturating_sub(start)))
            }
            None => Box::new(io::empty()),
        };
        let skipped = start.saturating_sub(self.written_bytes) as usize;
        Ok((on_disk, self.rest.get(skipped..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use crate::{Line, LinePlace, LinesWriter, WrittenLines};

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

    /// Whether 40 lines pushed into `writer` are read back, as often as one likes.
    fn reads_back(mut writer: LinesWriter) -> bool {
        let expect: Vec<String> = (0..40).map(|index| "x".repeat(index * 500)).collect();
        for value in &expect {
            // A full disk's refusal is told at the end too.
            let _ = writer.push(value);
        }
        let (mut lines, _) = writer.finish();
        all(&mut lines) == expect && all(&mut lines) == expect
    }

    #[test]
    fn lines_are_read_back_from_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        assert!(reads_back(LinesWriter::create(&folder.path().join("a.jsonl")).unwrap()));
        assert!(reads_back(LinesWriter::unnamed().unwrap()));
        assert!(reads_back(LinesWriter::in_memory()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_a_full_disk_refused_are_read_back() {
        assert!(reads_back(LinesWriter::create(std::path::Path::new("/dev/full")).unwrap()));
    }

    #[test]
    fn one_line_is_read_without_those_after_it() {
        let mut writer = LinesWriter::unnamed().unwrap();
        for value in 1_000..3_000_u32 {
            writer.push(&value).unwrap();
        }
        let (mut lines, flushed) = writer.finish();
        flushed.unwrap();
        let place = LinePlace { start: 50, bytes: 4 };
        assert_eq!(lines.read_at::<u32>(place).unwrap(), 1_010);
        let read_up_to = lines.file.as_mut().unwrap().stream_position().unwrap();
        assert_eq!(read_up_to, place.start + place.bytes);
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let mut writer = LinesWriter::create(std::path::Path::new("/dev/full")).unwrap();
        writer.push(&"one").unwrap();
        let (mut lines, flushed) = writer.finish();
        assert_eq!(flushed.unwrap_err().to_string(), "cannot write '/dev/full'");
        assert_eq!(all(&mut lines), ["one"]);
    }
}
