use std::collections::VecDeque;
use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};
use serde_json::Value;

use super::{JsonRows, Peek, Row, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// A row, parsed; its text is dropped.
#[derive(Debug)]
pub(crate) struct ParsedRow {
    row: Row,
    value: Value,
}

impl ParsedRow {
    fn new(mut row: Row) -> Result<Self, WorkloadError> {
        let value = row.value()?;
        row.bytes = Vec::new();
        Ok(Self { row, value })
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
/// names no id is handed out at once.
///
/// Rows of a group are expected after one another: a group is handed out as soon as a row of
/// another one follows, and no more than one is held. A row whose group was handed out already is
/// an error, for the conversation it belongs to is out. But where already the first rows of the
/// file (see [`Peek`]) are mixed, the whole file is read and collected, up to
/// [`Source::conversations_max`] groups.
pub(crate) struct RowGroups {
    rows: JsonRows,
    key: &'static str,
    /// Most groups that are collected from a mixed file.
    groups_max: Option<usize>,
    mixed: bool,
    open: Option<RowGroup>,
    /// Number of the last row of each group that was handed out, by hash of its id. A collision
    /// of hashes would refuse one file in 2^40 of a million groups.
    ended: FxHashMap<u64, u64>,
    ready: VecDeque<RowGroup>,
    /// What ends the file once `ready` is handed out.
    failed: Option<WorkloadError>,
}

impl RowGroups {
    /// Groups rows by the string or number under `key`.
    pub(crate) fn new(source: Source, key: &'static str) -> Self {
        Self {
            key,
            groups_max: source.conversations_max(),
            mixed: is_mixed(source.peek(), key),
            rows: source.rows(),
            open: None,
            ended: FxHashMap::default(),
            ready: VecDeque::new(),
            failed: None,
        }
    }

    /// Takes one row in; groups that it completes become ready.
    fn take(&mut self, row: Row) -> Result<(), WorkloadError> {
        let row = ParsedRow::new(row)?;
        let Some(id) = id_of(&row.value, self.key) else {
            self.ready.push_back(RowGroup { id: None, rows: vec![row] });
            return Ok(());
        };
        match &mut self.open {
            Some(open) if open.id.as_ref() == Some(&id) => open.rows.push(row),
            Some(_) | None => self.begin(id, row)?,
        }
        Ok(())
    }

    fn begin(&mut self, id: String, row: ParsedRow) -> Result<(), WorkloadError> {
        self.close();
        if let Some(last) = self.ended.get(&FxBuildHasher.hash_one(&id)) {
            let allowed = format!(
                "an id whose rows stand together (others of this one ended with row {last}, counted \
                 from 0)"
            );
            let hint = Some("sort the rows by conversation before they are read");
            return Err(row.node().key(self.key).refuse_with_hint(&allowed, hint));
        }
        self.open = Some(RowGroup { id: Some(id), rows: vec![row] });
        Ok(())
    }

    fn close(&mut self) {
        let Some(group) = self.open.take() else { return };
        if let (Some(id), Some(last)) = (&group.id, group.rows.last()) {
            self.ended.insert(FxBuildHasher.hash_one(id), last.index());
        }
        self.ready.push_back(group);
    }

    /// Reads the whole file.
    fn collect(&mut self) -> Result<(), WorkloadError> {
        let mut places: FxHashMap<String, usize> = FxHashMap::default();
        let mut groups: Vec<RowGroup> = Vec::new();
        for row in self.rows.by_ref() {
            let row = ParsedRow::new(row?)?;
            let id = id_of(&row.value, self.key);
            if let Some(&place) = id.as_ref().and_then(|id| places.get(id)) {
                groups[place].rows.push(row);
            } else if self.groups_max.is_none_or(|max| groups.len() < max) {
                if let Some(id) = &id {
                    places.insert(id.clone(), groups.len());
                }
                groups.push(RowGroup { id, rows: vec![row] });
            }
        }
        self.ready.extend(groups);
        Ok(())
    }

    fn fill(&mut self) -> Result<(), WorkloadError> {
        if std::mem::take(&mut self.mixed) {
            self.collect()?;
        }
        while self.ready.is_empty() {
            let Some(row) = self.rows.next() else {
                self.close();
                break;
            };
            self.take(row?)?;
        }
        Ok(())
    }
}

impl Iterator for RowGroups {
    type Item = Result<RowGroup, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && self.failed.is_none() {
            self.failed = self.fill().err();
        }
        self.ready.pop_front().map(Ok).or_else(|| self.failed.take().map(Err))
    }
}

/// Whether a group goes on after another one began, as far as the first rows show.
fn is_mixed(peek: &Peek, key: &str) -> bool {
    let mut seen: Vec<String> = Vec::new();
    for id in peek.rows().iter().filter_map(|row| id_of(row, key)) {
        match seen.iter().position(|before| *before == id) {
            None => seen.push(id),
            Some(place) if place + 1 == seen.len() => {}
            Some(_) => return true,
        }
    }
    false
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
    use super::RowGroups;
    use crate::format::testing::source;

    /// Ids and row numbers of the groups, or the complaint.
    fn check(text: &str, max: Option<usize>, expect: &[&str]) {
        let file = source(text).with_conversations_max(max);
        let folder = format!("{}/", file.path().parent().unwrap().display());
        let groups = RowGroups::new(file, "id").map(|group| match group {
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
    fn rows_that_stand_together_are_handed_out_one_group_at_a_time() {
        check(r#"{"id":"a"} {"id":"a"} {"id":"b"}"#, None, &["a 0 1", "b 2"]);
        check(r#"[{"id":7}, {"x":1}, {"id":7}, {"id":null}]"#, None, &["- 1", "- 3", "7 0 2"]);
        check("", None, &[]);
    }

    #[test]
    fn a_file_that_begins_mixed_is_collected() {
        let mixed = r#"{"id":"a"} {"id":"b"} {} {"id":"a"} {"id":"c"} {"id":"b"}"#;
        check(mixed, None, &["a 0 3", "b 1 5", "- 2", "c 4"]);
        check(mixed, Some(2), &["a 0 3", "b 1 5"]);
    }

    #[test]
    fn a_group_that_goes_on_late_is_refused() {
        let row = |id| format!("{{\"id\":\"{id}\"}}");
        let late: Vec<String> = (0..20).chain([3]).map(row).collect();
        let expect: Vec<String> = (0..20).map(|id| format!("{id} {id}")).collect();
        let mut expect: Vec<&str> = expect.iter().map(String::as_str).collect();
        expect.push(
            "in.data:21: id is \"3\", allowed is an id whose rows stand together (others of this one \
             ended with row 3, counted from 0)\nhint: sort the rows by conversation before they are \
             read",
        );
        check(&late.join("\n"), None, &expect);
    }
}
