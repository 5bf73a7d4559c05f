use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::WorkloadError;
use crate::format::Source;

/// The (decompressed) bytes of a file that was read once, to be read again at any place.
#[derive(Debug)]
pub(crate) struct Store {
    path: Arc<Path>,
    file: File,
}

impl Store {
    /// Bytes of `source`, and the place where they can be read again while and after they are read:
    /// the file itself, or (when it is compressed or a pipe) an unnamed temporary copy, which goes
    /// away with the store.
    pub(crate) fn of(source: Source) -> Result<(Box<dyn Read + Send>, Self), WorkloadError> {
        let path: Arc<Path> = Arc::from(source.path());
        if let Some(file) = plain(&path) {
            return Ok((source.bytes(), Self { path, file }));
        }
        let failed = |source| WorkloadError::Unpack { path: PathBuf::from(&*path), source };
        let file = tempfile::tempfile().map_err(failed)?;
        let copy = file.try_clone().map_err(failed)?;
        Ok((Box::new(Tee { source: source.bytes(), copy }), Self { path, file }))
    }

    /// The file itself, when it can be read again at any place: it is a file, and not compressed.
    pub(crate) fn plain(path: &Path) -> Option<Self> {
        plain(path).map(|file| Self { path: Arc::from(path), file })
    }

    /// An unnamed temporary file for parts of the file `path`, see [`Store::append`].
    pub(crate) fn temporary(path: &Path) -> Result<Self, WorkloadError> {
        let failed = |source| WorkloadError::Unpack { path: path.to_owned(), source };
        tempfile::tempfile().map(|file| Self { path: Arc::from(path), file }).map_err(failed)
    }

    /// Puts bytes at the end of a temporary file.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), WorkloadError> {
        let failed = |source| WorkloadError::Unpack { path: PathBuf::from(&*self.path), source };
        self.file.write_all(bytes).map_err(failed)
    }

    /// As [`Store::of`], without the checksum that a [`Source`] takes of a plain file.
    pub(crate) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Self), WorkloadError> {
        match plain(path) {
            Some(file) => {
                let reader = file
                    .try_clone()
                    .map_err(|source| WorkloadError::ReadInput { path: path.to_owned(), source })?;
                Ok((Box::new(reader), Self { path: Arc::from(path), file }))
            }
            None => Self::of(Source::open(path)?),
        }
    }

    /// The file's name, as typed.
    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// `length` bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, WorkloadError> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|source| WorkloadError::ReadInput {
            path: PathBuf::from(&*self.path),
            source,
        })?;
        Ok(bytes)
    }
}

/// The file, if it is one, and what it holds is not compressed.
fn plain(path: &Path) -> Option<File> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let file = File::open(path).ok()?;
    let mut start = [0; 4];
    let known = file.read_at(&mut start, 0).ok()?;
    (!Source::is_compressed(&start[..known])).then_some(file)
}

/// Copies what is read.
struct Tee {
    source: Box<dyn Read + Send>,
    copy: File,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.copy.write_all(&buffer[..count])?;
        Ok(count)
    }
}
