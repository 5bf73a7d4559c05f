use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::parquet_rows::ParquetFile;
use super::{Container, JsonRows, Peek};
use crate::WorkloadError;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes asked of the file at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is about to be read: decompressed on the fly, its beginning looked at already.
pub struct Source {
    path: Arc<Path>,
    peek: Peek,
    rest: Box<dyn Read + Send>,
    state: Arc<ReadState>,
    conversations_max: Option<usize>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file, sees through gzip and zstd, and looks at its beginning; of a Parquet file at
    /// its end, too.
    ///
    /// # Errors
    /// When it cannot be read or decompressed, or is a damaged or compressed Parquet file.
    pub fn open(path: &Path) -> Result<Self, WorkloadError> {
        let failed = |source| WorkloadError::ReadInput { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len();
        let state = Arc::new(ReadState::new(size_bytes));
        let counted = Counted { file, state: Arc::clone(&state) };
        let mut rest =
            decompressed(BufReader::with_capacity(BUFFER_BYTES, counted)).map_err(failed)?;
        let mut peek = Peek::of(&mut *rest).map_err(failed)?;
        if peek.container() == Container::Parquet {
            peek = peek.with_parquet(ParquetFile::open(path)?);
        }
        Ok(Self { path: Arc::from(path), peek, rest, state, conversations_max: None })
    }

    /// Whether a file that begins with these bytes is compressed.
    pub(crate) fn is_compressed(start: &[u8]) -> bool {
        start.starts_with(GZIP_MAGIC) || start.starts_with(ZSTD_MAGIC)
    }

    /// The file's name, as typed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its beginning.
    pub fn peek(&self) -> &Peek {
        &self.peek
    }

    /// How far it has been read; stays valid while it is read.
    pub fn state(&self) -> Arc<ReadState> {
        Arc::clone(&self.state)
    }

    /// Says that no more than this many conversations will be asked for, whatever they are: a
    /// reader whose conversations are spread over the file need not collect others.
    #[must_use]
    pub fn with_conversations_max(self, max: Option<usize>) -> Self {
        Self { conversations_max: max, ..self }
    }

    /// See [`Source::with_conversations_max`].
    pub fn conversations_max(&self) -> Option<usize> {
        self.conversations_max
    }

    /// All bytes, decompressed.
    pub fn bytes(self) -> Box<dyn Read + Send> {
        Box::new(io::Cursor::new(self.peek.into_bytes()).chain(self.rest))
    }

    /// Its JSON values one by one: the items of one list, or values after one another (JSONL).
    pub fn rows(self) -> JsonRows {
        JsonRows::new(Arc::clone(&self.path), self.bytes())
    }

    /// Everything at once, for formats that are a single document.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8.
    pub fn text(self) -> Result<String, WorkloadError> {
        let path = Arc::clone(&self.path);
        let mut bytes = Vec::new();
        self.bytes()
            .read_to_end(&mut bytes)
            .map_err(|source| WorkloadError::ReadInput { path: PathBuf::from(&*path), source })?;
        crate::json_file::to_text(&path, bytes)
    }
}

fn decompressed(mut file: BufReader<Counted>) -> io::Result<Box<dyn Read + Send>> {
    let start = io::BufRead::fill_buf(&mut file)?;
    Ok(if start.starts_with(GZIP_MAGIC) {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file)))
    } else if start.starts_with(ZSTD_MAGIC) {
        Box::new(zstd::Decoder::with_buffer(file)?)
    } else {
        Box::new(file)
    })
}

/// How far a file has been read.
#[derive(Debug)]
pub struct ReadState {
    size_bytes: u64,
    read_bytes: AtomicU64,
    ended: AtomicBool,
    hasher: Mutex<Sha256>,
}

impl ReadState {
    fn new(size_bytes: u64) -> Self {
        Self {
            size_bytes,
            read_bytes: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            hasher: Mutex::new(Sha256::new()),
        }
    }

    /// Size of the file as it lies on the disk; 0 for a pipe.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Says that the file has been dealt with up to this place, by a reader that jumps about in it.
    pub(crate) fn advance_to(&self, bytes: u64) {
        self.read_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Bytes of it read so far.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// SHA-256 of the file in hex, once it has been read to its end. Of a Parquet file only some
    /// parts are read, unless it is so small that looking at its beginning took it all.
    pub fn sha256(&self) -> Option<String> {
        let hasher = self.hasher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.ended.load(Ordering::Acquire).then(|| crate::input::hex(&hasher.finalize()))
    }
}

/// Counts and hashes what is read.
struct Counted {
    file: File,
    state: Arc<ReadState>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let mut hasher = self.state.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.update(&buffer[..count]);
        self.state.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        if count == 0 && !buffer.is_empty() {
            self.state.ended.store(true, Ordering::Release);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::Source;

    fn check(name: &str, bytes: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let source = Source::open(&path).unwrap();
        let state = source.state();
        let mut text = String::new();
        source.bytes().read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"a\":2}\n", "{name}");
        assert_eq!(state.read_bytes(), bytes.len() as u64, "{name}");
        assert_eq!(state.sha256().unwrap().len(), 64, "{name}");
    }

    #[test]
    fn compression_is_seen_through_whatever_the_name() {
        let plain = b"{\"a\":1}\n{\"a\":2}\n";
        check("plain", plain);
        check("zstd", &zstd::encode_all(&plain[..], 1).unwrap());
        let gzip = |bytes: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        check("gzip", &gzip(plain));
        // Several members after one another, as log rotation leaves them.
        check("gzip", &[gzip(&plain[..8]), gzip(&plain[8..])].concat());
    }
}
