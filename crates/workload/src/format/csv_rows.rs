use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Peek, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Rows of a CSV file with a header, each as an object of its cells: numbers, texts, and `null`
/// for cells that are empty or missing.
pub(crate) struct CsvRows {
    path: Arc<Path>,
    reader: csv::Reader<Box<dyn Read + Send>>,
    headers: Vec<String>,
    index: u64,
    ended: bool,
}

/// A row of a CSV file.
#[derive(Debug)]
pub(crate) struct CsvRow {
    path: Arc<Path>,
    line: u64,
    /// Its number among the rows, from 0; the header is none.
    pub(crate) index: u64,
    /// The cells, by header.
    pub(crate) value: Value,
}

impl CsvRow {
    /// The row, to be complained about with its place.
    pub(crate) fn node(&self) -> Node<'_> {
        Node::row(&self.path, self.line, &self.value)
    }
}

impl CsvRows {
    /// Reads the header.
    pub(crate) fn new(source: Source) -> Result<Self, WorkloadError> {
        let path: Arc<Path> = Arc::from(source.path());
        // Lines end with a line feed alone, and the last one does, so that rows know their line; a
        // carriage return before it is trimmed. Rows that are too short are told by the cells that
        // they lack.
        let bytes: Box<dyn Read + Send> = Box::new(source.bytes().chain(&b"\n"[..]));
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .terminator(csv::Terminator::Any(b'\n'))
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let headers = reader.byte_headers().map_err(|error| failed(&path, error))?.clone();
        let headers = headers.iter().map(|cell| header(&String::from_utf8_lossy(cell))).collect();
        Ok(Self { path, reader, headers, index: 0, ended: false })
    }

    /// The header that, spelled in small letters without blanks and underscores, is `plain`; `plain`
    /// itself where there is none.
    pub(crate) fn column(&self, plain: &str) -> String {
        let found = self.headers.iter().find(|header| bare(header) == plain);
        found.cloned().unwrap_or_else(|| plain.to_owned())
    }

    fn row(&mut self) -> Result<Option<CsvRow>, WorkloadError> {
        let mut record = csv::ByteRecord::new();
        loop {
            let more = self.reader.read_byte_record(&mut record);
            if !more.map_err(|error| failed(&self.path, error))? {
                return Ok(None);
            }
            let is_blank = record.len() == 1 && record[0].is_empty();
            if !is_blank {
                break;
            }
        }
        let offset = record.position().map_or(0, csv::Position::byte);
        let line = self.reader.position().line() - 1 - line_feeds(&record);
        let mut cells = Map::new();
        for (header, cell) in self.headers.iter().zip(&record) {
            let text = std::str::from_utf8(cell).map_err(|_| WorkloadError::NotUtf8 {
                path: PathBuf::from(&*self.path),
                line: line as usize,
                offset: offset as usize,
            })?;
            cells.insert(header.clone(), value(text));
        }
        let index = self.index;
        self.index += 1;
        let value = Value::Object(cells);
        Ok(Some(CsvRow { path: Arc::clone(&self.path), line, index, value }))
    }
}

impl Iterator for CsvRows {
    type Item = Result<CsvRow, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row();
        self.ended = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}

/// Whether the first line has all these columns, spelled as for [`CsvRows::column`].
pub(crate) fn has_columns(peek: &Peek, plain: &[&str]) -> bool {
    let line = peek.first_line();
    let headers: Vec<String> = line.split(',').map(|cell| bare(&header(cell))).collect();
    plain.iter().all(|plain| headers.iter().any(|header| header == plain))
}

/// Line feeds within cells.
fn line_feeds(record: &csv::ByteRecord) -> u64 {
    memchr::memchr_iter(b'\n', record.as_slice()).count() as u64
}

fn header(cell: &str) -> String {
    cell.trim_start_matches('\u{feff}').trim().trim_matches('"').to_owned()
}

fn bare(header: &str) -> String {
    header.chars().filter(|c| !matches!(c, ' ' | '_')).flat_map(char::to_lowercase).collect()
}

fn value(cell: &str) -> Value {
    if cell.is_empty() {
        return Value::Null;
    }
    if let Ok(whole) = cell.parse::<u64>() {
        return whole.into();
    }
    // Texts such as "inf" are no JSON numbers.
    let number = cell.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    number.map_or_else(|| Value::String(cell.to_owned()), Value::Number)
}

/// Reading alone fails: the header exists, and rows may have any length.
fn failed(path: &Path, error: csv::Error) -> WorkloadError {
    let message = error.to_string();
    let source = if let csv::ErrorKind::Io(source) = error.into_kind() {
        source
    } else {
        std::io::Error::other(message)
    };
    WorkloadError::ReadInput { path: path.to_owned(), source }
}
