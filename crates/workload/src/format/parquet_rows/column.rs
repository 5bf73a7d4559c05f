use std::sync::Arc;

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type, Int96, Int96Type};
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;

use super::file::{Chunks, guarded};
use super::schema::{Kind, Leaf};
use super::{ParquetFile, Value};

type Result<T> = std::result::Result<T, ParquetError>;

/// Most values of one page. A few bytes can stand for billions of nulls, so that without a bound a
/// damaged file could ask for any amount of memory; writers end a page after about a megabyte.
const PAGE_VALUES_MAX: usize = 1 << 24;

/// One column of one row group, read some rows at a time. Memory holds one page of it.
pub(super) struct Column {
    reader: Reader,
    level_max: i16,
    repetition: Vec<i16>,
    definition: Vec<i16>,
    /// Where the next row begins, among levels and among values.
    level_at: usize,
    value_at: usize,
}

enum Reader {
    Text(ColumnReaderImpl<ByteArrayType>, Vec<ByteArray>),
    Time(ColumnReaderImpl<Int64Type>, Vec<i64>, i64),
    Int96(ColumnReaderImpl<Int96Type>, Vec<Int96>),
}

/// An item of a column, within a row.
#[derive(Debug)]
pub(super) struct Cell {
    /// The definition level: how much of the path to the value is there.
    pub(super) level: i16,
    pub(super) value: Option<Value>,
}

impl Column {
    pub(super) fn open(file: &ParquetFile, group: usize, leaf: &Leaf) -> Result<Self> {
        let metadata = file.metadata.row_group(group);
        let chunk = metadata
            .columns()
            .get(leaf.index)
            .ok_or_else(|| general("the row group does not have it"))?;
        let rows =
            usize::try_from(metadata.num_rows()).map_err(|_| general("negative row count"))?;
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        if start < 0 || chunk.compressed_size() < 0 {
            return Err(general("negative offset or size"));
        }
        if chunk.column_descr().physical_type() != file.schema().column(leaf.index).physical_type()
        {
            return Err(general("its type is not that of the schema"));
        }
        let pages =
            guarded(|| SerializedPageReader::new(Arc::clone(&file.chunks), chunk, rows, None))?;
        let pages = Box::new(BoundedPages { pages });
        let reader = match (get_column_reader(file.schema().column(leaf.index), pages), leaf.kind) {
            (ColumnReader::ByteArrayColumnReader(reader), Kind::Text) => {
                Reader::Text(reader, Vec::new())
            }
            (ColumnReader::Int64ColumnReader(reader), Kind::Time(unit)) => {
                Reader::Time(reader, Vec::new(), unit)
            }
            (ColumnReader::Int96ColumnReader(reader), Kind::Int96) => {
                Reader::Int96(reader, Vec::new())
            }
            (_, _) => return Err(general("its type is not that of the schema")),
        };
        let (repetition, definition) = (Vec::new(), Vec::new());
        let level_max = leaf.level_max;
        Ok(Self { reader, level_max, repetition, definition, level_at: 0, value_at: 0 })
    }

    /// Reads the next `rows` rows, in place of those before.
    pub(super) fn fill(&mut self, rows: usize) -> Result<()> {
        let Self { reader, repetition, definition, .. } = self;
        definition.clear();
        repetition.clear();
        let (definition, repetition) = (Some(definition), Some(repetition));
        let (read, _, _) = guarded(|| match reader {
            Reader::Text(reader, values) => {
                values.clear();
                reader.read_records(rows, definition, repetition, values)
            }
            Reader::Time(reader, values, _) => {
                values.clear();
                reader.read_records(rows, definition, repetition, values)
            }
            Reader::Int96(reader, values) => {
                values.clear();
                reader.read_records(rows, definition, repetition, values)
            }
        })?;
        (self.level_at, self.value_at) = (0, 0);
        if read == rows { Ok(()) } else { Err(general("it has fewer rows than the row group")) }
    }

    /// The next row's items: one, or in a list as many as it has, and one for a list without any.
    pub(super) fn row(&mut self) -> Vec<Cell> {
        let mut cells = vec![self.cell()];
        while self.repetition.get(self.level_at).is_some_and(|&level| level > 0) {
            cells.push(self.cell());
        }
        cells
    }

    fn cell(&mut self) -> Cell {
        let level = self.definition.get(self.level_at).copied().unwrap_or(self.level_max);
        self.level_at += 1;
        if level < self.level_max {
            return Cell { level, value: None };
        }
        let value = match &self.reader {
            Reader::Text(_, values) => values.get(self.value_at).cloned().map(Value::Text),
            Reader::Time(_, values, unit) => values
                .get(self.value_at)
                .map(|count| Value::Time(i128::from(*count) * i128::from(*unit))),
            Reader::Int96(_, values) => {
                values.get(self.value_at).map(|time| Value::Time(i128::from(time.to_nanos())))
            }
        };
        self.value_at += 1;
        Cell { level, value }
    }
}

fn general(problem: &str) -> ParquetError {
    ParquetError::General(problem.to_owned())
}

/// Pages of a size that is not absurd.
struct BoundedPages {
    pages: SerializedPageReader<Chunks>,
}

impl PageReader for BoundedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            let count = page.num_values() as usize;
            // A value in a dictionary takes four bytes at least, the length of a text.
            let is_absurd = count > PAGE_VALUES_MAX
                || (page.is_dictionary_page() && count > page.buffer().len() / 4);
            if is_absurd {
                return Err(general(&format!("a page claims to hold {count} values")));
            }
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

impl Iterator for BoundedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
