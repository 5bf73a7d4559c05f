use std::io::{BufRead, BufReader, Read};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Peek, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Most bytes of a row: a file without line feeds is not read whole.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Rows of a CSV file with a header, each as an object of its cells: numbers, texts, and `null`
/// for cells that are empty or missing.
///
/// A row is a line: no trace has line feeds in its cells, and a quote that is never closed would
/// make one cell of the rest of the file.
pub(crate) struct CsvRows {
    path: Arc<Path>,
    lines: Lines,
    headers: Vec<String>,
    /// What is wrong with the header.
    failed: Option<WorkloadError>,
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
    /// How many cells it has, and how many the header.
    cells: usize,
    columns: usize,
}

impl CsvRow {
    /// The row, to be complained about with its place.
    pub(crate) fn node(&self) -> Node<'_> {
        Node::row(&self.path, self.line, &self.value)
    }

    /// Refuses a row of more or fewer cells than the header: what stands where is not known.
    pub(crate) fn check_columns(&self) -> Result<(), Skipped> {
        if self.cells == self.columns {
            return Ok(());
        }
        let error = WorkloadError::Field {
            path: self.path.to_path_buf(),
            line: NonZeroU64::new(self.line),
            field: "the line".to_owned(),
            seen: format!("has {} cells", self.cells),
            allowed: format!("as many as the header has, {}", self.columns),
            hint: None,
        };
        Err(Skipped::new("wrong number of cells", error))
    }
}

impl CsvRows {
    /// Reads the header; what is wrong with it is told in place of the first row.
    pub(crate) fn new(source: Source) -> Self {
        let path: Arc<Path> = Arc::from(source.path());
        let mut lines = Lines::new(Arc::clone(&path), source.bytes());
        let (headers, failed) = match lines.headers() {
            Ok(headers) => (headers, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self { path, lines, headers, failed, index: 0, ended: false }
    }

    /// The header that, spelled in small letters without blanks and underscores, is `plain`; `plain`
    /// itself where there is none.
    pub(crate) fn column(&self, plain: &str) -> String {
        let found = self.headers.iter().find(|header| bare(header) == plain);
        found.cloned().unwrap_or_else(|| plain.to_owned())
    }

    fn row(&mut self) -> Result<Option<CsvRow>, WorkloadError> {
        let cells = loop {
            if !self.lines.next()? {
                return Ok(None);
            }
            let cells = self.lines.cells()?;
            if cells.len() != 1 || !cells[0].is_empty() {
                break cells;
            }
        };
        let count = cells.len();
        let cells = self.headers.iter().zip(&cells);
        let cells: Map<String, Value> =
            cells.map(|(header, cell)| (header.clone(), value(cell))).collect();
        let index = self.index;
        self.index += 1;
        let (path, line) = (Arc::clone(&self.path), self.lines.line);
        let (value, columns) = (Value::Object(cells), self.headers.len());
        Ok(Some(CsvRow { path, line, index, value, cells: count, columns }))
    }
}

impl Iterator for CsvRows {
    type Item = Result<CsvRow, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.failed.take().map_or_else(|| self.row(), Err);
        self.ended = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}

/// The lines of a file, one at a time.
struct Lines {
    path: Arc<Path>,
    reader: BufReader<Box<dyn Read + Send>>,
    parser: csv_core::Reader,
    /// The current line with its line feed, its number (from 1) and where it begins.
    bytes: Vec<u8>,
    line: u64,
    offset: u64,
    /// Cells of the current line, one after the other, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    fn new(path: Arc<Path>, bytes: Box<dyn Read + Send>) -> Self {
        // A carriage return before the line feed is trimmed off the last cell.
        let terminator = csv_core::Terminator::Any(b'\n');
        Self {
            path,
            reader: BufReader::new(bytes),
            parser: csv_core::ReaderBuilder::new().terminator(terminator).build(),
            bytes: Vec::new(),
            line: 0,
            offset: 0,
            cells: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Goes to the next line that is not blank; `false` at the end of the file.
    fn next(&mut self) -> Result<bool, WorkloadError> {
        loop {
            self.offset += self.bytes.len() as u64;
            self.line += 1;
            self.bytes.clear();
            let mut limited = self.reader.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            limited.read_until(b'\n', &mut self.bytes).map_err(|source| {
                WorkloadError::ReadInput { path: self.path.to_path_buf(), source }
            })?;
            if self.bytes.is_empty() {
                return Ok(false);
            }
            if self.bytes.len() > LINE_BYTES_MAX {
                let seen = format!("goes on beyond {LINE_BYTES_MAX} bytes");
                return Err(self.refused(seen, "a line of at most so many", None));
            }
            if !self.bytes.trim_ascii().is_empty() {
                // The last line may lack it.
                if self.bytes.last() != Some(&b'\n') {
                    self.bytes.push(b'\n');
                }
                return Ok(true);
            }
        }
    }

    fn refused(&self, seen: String, allowed: &str, hint: Option<&'static str>) -> WorkloadError {
        WorkloadError::Field {
            path: self.path.to_path_buf(),
            line: NonZeroU64::new(self.line),
            field: "the line".to_owned(),
            seen,
            allowed: allowed.to_owned(),
            hint,
        }
    }

    fn headers(&mut self) -> Result<Vec<String>, WorkloadError> {
        let found = self.next()?;
        let cells = if found { self.cells()? } else { Vec::new() };
        Ok(cells.into_iter().map(header).collect())
    }

    /// The cells of the line, without the blanks around them.
    fn cells(&mut self) -> Result<Vec<&str>, WorkloadError> {
        let line = std::str::from_utf8(&self.bytes).map_err(|error| WorkloadError::NotUtf8 {
            path: PathBuf::from(&*self.path),
            line: self.line as usize,
            offset: self.offset as usize + error.valid_up_to(),
        })?;
        // There can be no more cells than bytes, nor longer ones.
        self.cells.resize(self.bytes.len(), 0);
        self.ends.resize(self.bytes.len(), 0);
        let (result, _, _, count) =
            self.parser.read_record(line.as_bytes(), &mut self.cells, &mut self.ends);
        if !matches!(result, csv_core::ReadRecordResult::Record) {
            self.parser.reset();
            let seen = crate::json_file::seen(&Value::from(line.trim_end()));
            let hint = Some("look for a stray quotation mark");
            return Err(self.refused(seen, "a row whose quoted cells end in its line", hint));
        }
        let ends = &self.ends[..count];
        let starts = [0].into_iter().chain(ends.iter().copied());
        let cells = starts.zip(ends).map(|(start, &end)| &self.cells[start..end]);
        // What quotes and commas stand between is UTF-8 as the line is.
        Ok(cells.map(|cell| std::str::from_utf8(cell).unwrap_or_default().trim_ascii()).collect())
    }
}

/// Whether the first line has all these columns, spelled as for [`CsvRows::column`].
pub(crate) fn has_columns(peek: &Peek, plain: &[&str]) -> bool {
    let line = peek.first_line();
    let headers: Vec<String> = line.split(',').map(|cell| bare(&header(cell))).collect();
    plain.iter().all(|plain| headers.iter().any(|header| header == plain))
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

#[cfg(test)]
mod tests {
    use super::{CsvRows, LINE_BYTES_MAX};
    use crate::format::testing::source;

    /// Rows as `line: cells`, then the complaint.
    fn check(text: &str, expect: &[&str]) {
        let file = source(text);
        let folder = format!("{}/", file.path().parent().unwrap().display());
        let shown = CsvRows::new(file).map(|row| match row {
            Ok(row) => format!("{}: {}", row.line, row.value),
            Err(error) => error.to_string().replace(&folder, ""),
        });
        assert_eq!(shown.collect::<Vec<_>>(), expect, "{text:?}");
    }

    #[test]
    fn a_row_is_a_line() {
        check("a,b\n1,x\n", &["2: {\"a\":1,\"b\":\"x\"}"]);
        check(
            "a , b\r\n \r\n 1,\"x, \"\"y\"\" é\"\r\n\"\"\n2,3,4\n5",
            &["3: {\"a\":1,\"b\":\"x, \\\"y\\\" é\"}", "5: {\"a\":2,\"b\":3}", "6: {\"a\":5}"],
        );
        check("", &[]);
        check("a,b", &[]);
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_the_file_where_it_stands() {
        let complaint = "in.data:3: the line is \"1,\\\"GPT-4,4,5\", allowed is a row whose \
                         quoted cells end in its line\nhint: look for a stray quotation mark";
        let first = "2: {\"a\":0,\"b\":1}";
        check("a,b\n0,1\n1,\"GPT-4,4,5\n2,M\n3,M\n", &[first, complaint]);
        check("a,b\n0,1\n1,\"GPT-4,4,5", &[first, complaint]);
        check("a,b\n0,1\n1,\"GPT-4,4,5\n4\",M\n3,M\n", &[first, complaint]);
    }

    #[test]
    fn a_bad_header_is_told_in_place_of_the_rows() {
        let complaint = "in.data:1: the line is \"a,\\\"b\", allowed is a row whose quoted cells end \
                         in its line\nhint: look for a stray quotation mark";
        check("a,\"b\n1,2\n", &[complaint]);
    }

    #[test]
    fn lines_have_a_bound() {
        let complaint = "in.data:2: the line goes on beyond 1048576 bytes, allowed is a line of at \
                         most so many";
        check(&format!("a\n{}", "x".repeat(LINE_BYTES_MAX + 1)), &[complaint]);
    }
}
