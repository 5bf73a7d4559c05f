mod index;

use std::path::PathBuf;

use serde_json::Value;

use self::index::{RowIndex, RowIndexBuilder};
use super::{JsonRows, Row, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// A row, parsed; its text is dropped.
#[derive(Debug)]
pub(crate) struct ParsedRow {
    row: Row,
    value: Value,
}

impl ParsedRow {
    fn new(mut row: Row, value: Value) -> Self {
        row.bytes = Vec::new();
        Self { row, value }
    }

    /// Parses a row.
    pub(crate) fn parse(row: Row) -> Result<Self, WorkloadError> {
        row.value().map(|value| Self::new(row, value))
    }

    /// The value, to be complained about with its place.
    pub(crate) fn node(&self) -> Node<'_> {
        self.row.node(&self.value)
    }

    /// Number of the row, from 0.
    pub(crate) const fn index(&self) -> u64 {
        self.row.index
    }
}

/// Rows that belong together.
#[derive(Debug)]
pub(crate) struct RowGroup {
    /// What they have in common; `None` for a row that names nothing, which is a group alone.
    pub(crate) id: Option<String>,
    /// In file order, one at least.
    pub(crate) rows: Vec<ParsedRow>,
}

/// The rows of a file, those with the same id together, in the order of their first rows. A row that
/// names no id is a group alone.
///
/// The other rows of a group may stand anywhere. So from the first row on that is a part of a group,
/// the file is read to its end for an index of where each row stands, and every row is read again
/// when its group is handed out. Before such a row, and in a file without any, rows are handed out as
/// they come. A row that is whole, though it names an id, only goes with its neighbours of the same
/// id.
pub(crate) struct RowGroups {
    rows: JsonRows,
    key: &'static str,
    is_whole: fn(&Value) -> bool,
    path: PathBuf,
    /// A group that the next row may belong to.
    open: Option<RowGroup>,
    index: Option<RowIndex>,
    /// What ends the file, once `open` is handed out.
    failed: Option<WorkloadError>,
}

impl RowGroups {
    /// Groups rows by the string or number under `key`; a row that `is_whole` needs no other one.
    pub(crate) fn new(source: Source, key: &'static str, is_whole: fn(&Value) -> bool) -> Self {
        Self {
            key,
            is_whole,
            path: source.path().to_owned(),
            rows: source.rows(),
            open: None,
            index: None,
            failed: None,
        }
    }

    fn next_group(&mut self) -> Result<Option<RowGroup>, WorkloadError> {
        loop {
            if let Some(index) = &mut self.index {
                return index.next_group();
            }
            let Some(row) = self.rows.next() else { return Ok(self.open.take()) };
            let row = row?;
            let value = row.value()?;
            let id = id_of(&value, self.key);
            if id.is_some() && !(self.is_whole)(&value) {
                self.index = Some(self.build_index(&row, id)?);
                if let Some(open) = self.open.take() {
                    return Ok(Some(open));
                }
                continue;
            }
            let row = ParsedRow::new(row, value);
            match &mut self.open {
                Some(open) if id.is_some() && open.id == id => open.rows.push(row),
                open => {
                    if let Some(before) = open.replace(RowGroup { id, rows: vec![row] }) {
                        return Ok(Some(before));
                    }
                }
            }
        }
    }

    /// Reads the file to its end, from a row on that was taken already.
    fn build_index(&mut self, first: &Row, id: Option<String>) -> Result<RowIndex, WorkloadError> {
        let mut builder = RowIndexBuilder::new(&self.path)?;
        builder.push(first, id)?;
        for row in self.rows.by_ref() {
            let row = row?;
            let id = id_of(&row.value()?, self.key);
            builder.push(&row, id)?;
        }
        Ok(builder.finish())
    }
}

impl Iterator for RowGroups {
    type Item = Result<RowGroup, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failed) = self.failed.take() {
            return Some(Err(failed));
        }
        match self.next_group() {
            Ok(group) => group.map(Ok),
            Err(error) => match self.open.take() {
                Some(open) => {
                    self.failed = Some(error);
                    Some(Ok(open))
                }
                None => Some(Err(error)),
            },
        }
    }
}

/// A string or a whole number under `key`, as text.
pub(crate) fn id_of(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::RowGroups;
    use crate::Source;

    /// Ids and row numbers of the groups, or the complaint, of a file as it is and packed.
    fn check(text: &str, expect: &[&str]) {
        let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for file in [kept(text.as_bytes()), kept(&packed)] {
            check_file(&file.path().join("in.data"), expect);
        }
    }

    /// A file that may be opened again.
    fn kept(bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in.data"), bytes).unwrap();
        folder
    }

    fn check_file(path: &Path, expect: &[&str]) {
        let folder = format!("{}/", path.parent().unwrap().display());
        let is_whole = |row: &Value| row.get("whole").is_some();
        let file = Source::open(path).unwrap();
        let groups = RowGroups::new(file, "id", is_whole).map(|group| match group {
            Ok(group) => {
                let rows: Vec<String> =
                    group.rows.iter().map(|row| row.index().to_string()).collect();
                format!("{} {}", group.id.as_deref().unwrap_or("-"), rows.join(" "))
            }
            Err(error) => error.to_string(),
        });
        let seen: Vec<String> =
            groups.take(expect.len() + 1).map(|text| text.replace(&folder, "")).collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn rows_of_a_group_may_stand_anywhere() {
        check(r#"{"id":"a"} {"id":"a"} {"id":"b"}"#, &["a 0 1", "b 2"]);
        check(r#"[{"id":7}, {"x":1}, {"id":7}, {"id":null}]"#, &["7 0 2", "- 1", "- 3"]);
        check("", &[]);
        let mixed = r#"{"id":"a"} {"id":"b"} {} {"id":"a"} {"id":"c"} {"id":"b"}"#;
        check(mixed, &["a 0 3", "b 1 5", "- 2", "c 4"]);
    }

    #[test]
    fn groups_of_many_that_take_turns_are_whole() {
        let row = |number: usize| format!("{{\"id\":\"{}\"}}", number % 20);
        let rows: Vec<String> = (0..60).map(row).collect();
        let expect: Vec<String> =
            (0..20).map(|id| format!("{id} {id} {} {}", id + 20, id + 40)).collect();
        check(&rows.join("\n"), &expect.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn whole_rows_are_handed_out_before_the_rest_is_read() {
        let whole = r#"{"id":"a","whole":1} {"id":"a","whole":1} {} {"id":"b","whole":1} {"id":"#;
        let cut = "in.data:1: malformed JSON in item 4, at byte 66: the file ends within it";
        check(whole, &["a 0 1", "- 2", "b 3", cut]);
        let parts = r#"{"id":"b","whole":1} {"id":"a"} {} {"id":"b","whole":1} {"id":"a"}"#;
        check(parts, &["b 0", "a 1 4", "- 2", "b 3"]);
        let cut = "in.data:1: malformed JSON in item 2, at byte 32: the file ends within it";
        check(r#"{"id":"b","whole":1} {"id":"a"} {"id""#, &["b 0", cut]);
    }
}
