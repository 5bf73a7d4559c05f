use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::SchemaDescriptor;

use crate::WorkloadError;

/// A Parquet file of which the footer has been read: the schema, and where the row groups lie.
#[derive(Clone, Debug)]
pub(crate) struct ParquetFile {
    pub(super) path: Arc<Path>,
    pub(super) chunks: Arc<Chunks>,
    pub(super) metadata: Arc<ParquetMetaData>,
}

impl ParquetFile {
    /// Reads the footer, which lies at the end of the file.
    ///
    /// # Errors
    /// When it is missing (the file is cut off) or malformed, or `path` is no plain file.
    pub(crate) fn open(path: &Path) -> Result<Self, WorkloadError> {
        let failed = |source| WorkloadError::ReadInput { path: path.to_owned(), source };
        let unseekable =
            |how, hint| WorkloadError::ParquetUnseekable { path: path.to_owned(), how, hint };
        let mut file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(unseekable("a pipe", "write it to a file first"));
        }
        let mut magic = [0; 4];
        if file.read_exact(&mut magic).is_ok() && magic != *b"PAR1" {
            return Err(unseekable(
                "a compressed file",
                "decompress it first, Parquet files are compressed within",
            ));
        }
        // Statistics of each column chunk are not looked at, and would be most of the footer.
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let chunks = Chunks { file };
        let metadata = guarded(|| {
            ParquetMetaDataReader::new()
                .with_metadata_options(Some(options))
                .parse_and_finish(&chunks)
        });
        let metadata = metadata.map_err(|source| WorkloadError::Parquet {
            path: path.to_owned(),
            place: "its footer".to_owned(),
            source,
        })?;
        Ok(Self { path: Arc::from(path), chunks: Arc::new(chunks), metadata: Arc::new(metadata) })
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> &SchemaDescriptor {
        self.metadata.file_metadata().schema_descr()
    }

    /// Names of its outermost columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.schema().root_schema().get_fields().iter().map(|field| field.name())
    }

    /// Whether it has an outermost column of this name.
    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns().any(|column| column == name)
    }

    /// The complaint that a column is not what it must be.
    pub(super) fn refuse(&self, column: &str, seen: &str, allowed: &str) -> WorkloadError {
        WorkloadError::Field {
            path: PathBuf::from(&*self.path),
            line: None,
            field: format!("column {column}"),
            seen: seen.to_owned(),
            allowed: allowed.to_owned(),
            hint: None,
        }
    }

    /// The complaint that a row group cannot be decoded.
    pub(super) fn damaged(
        &self,
        group: usize,
        column: &str,
        source: ParquetError,
    ) -> WorkloadError {
        let place = format!("row group {group}, column {column}");
        WorkloadError::Parquet { path: PathBuf::from(&*self.path), place, source }
    }
}

/// The file, as the decoder asks for it.
#[derive(Debug)]
pub(super) struct Chunks {
    file: File,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Endless>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(Endless { file }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.file.get_bytes(start, length)
    }
}

/// Page headers, after which there is always more, the footer at least. The end of the file is an
/// error here: parquet 60.1 would skip over it without noticing, and where a damaged header has a
/// list of billions of texts to skip, do so as many times.
pub(super) struct Endless {
    file: File,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::Error::from(ErrorKind::UnexpectedEof)),
            count => Ok(count),
        }
    }
}

/// Calls into the decoder, which panics on some damaged pages (parquet 60.1: its delta decoders
/// index and add as the page says). A panic becomes an error, and what it left is not used again.
/// The panic hook of the program has had its say by then.
pub(super) fn guarded<T>(
    call: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        let problem = format!("the decoder gave up: {}", message.unwrap_or("no reason given"));
        Err(ParquetError::General(problem))
    })
}
