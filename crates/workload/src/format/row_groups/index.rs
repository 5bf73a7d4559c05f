use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{ParsedRow, RowGroup};
use crate::WorkloadError;
use crate::format::Row;
use crate::sharegpt::Store;

/// Where a row stands in the store, and in the file.
#[derive(Clone, Copy, Debug)]
struct Place {
    group: u32,
    length: u32,
    in_store: u64,
    in_file: u64,
    line: u64,
    index: u64,
}

/// Rows of a file by the groups that they are parts of: 40 bytes a row, and the ids. The rows
/// themselves are read again one group at a time.
pub(super) struct RowIndex {
    store: Store,
    in_list: bool,
    /// Ids of the groups.
    ids: Vec<Option<String>>,
    /// In the order of the groups, and in file order within one.
    places: std::iter::Peekable<std::vec::IntoIter<Place>>,
}

impl RowIndex {
    /// The next group.
    pub(super) fn next_group(&mut self) -> Result<Option<RowGroup>, WorkloadError> {
        let Some(&Place { group, .. }) = self.places.peek() else { return Ok(None) };
        let mut rows = Vec::new();
        while let Some(place) = self.places.next_if(|place| place.group == group) {
            rows.push(ParsedRow::parse(self.row(place)?)?);
        }
        Ok(Some(RowGroup { id: self.ids[group as usize].take(), rows }))
    }

    fn row(&self, place: Place) -> Result<Row, WorkloadError> {
        let bytes = self.store.read(place.in_store, place.length as usize)?;
        let path = Arc::clone(self.store.path());
        Ok(Row::new(path, bytes, place.line, place.index, place.in_file, self.in_list))
    }
}

/// Notes rows as they are read.
pub(super) struct RowIndexBuilder {
    store: Store,
    /// Size of the store, where it is a copy of the rows.
    copied: Option<u64>,
    in_list: bool,
    groups: FxHashMap<String, u32>,
    groups_count: u32,
    places: Vec<Place>,
}

impl RowIndexBuilder {
    /// An index of rows of the file `path`. Those of a compressed file, or of a pipe, are copied into
    /// an unnamed temporary file.
    pub(super) fn new(path: &Path) -> Result<Self, WorkloadError> {
        let (store, copied) = match Store::plain(path) {
            Some(store) => (store, None),
            None => (Store::temporary(path)?, Some(0)),
        };
        let groups = FxHashMap::default();
        Ok(Self { store, copied, in_list: false, groups, groups_count: 0, places: Vec::new() })
    }

    /// Takes a row in, as a part of the group of this id, or as a group alone.
    pub(super) fn push(&mut self, row: &Row, id: Option<String>) -> Result<(), WorkloadError> {
        let new = self.groups_count;
        let group = id.map_or(new, |id| *self.groups.entry(id).or_insert(new));
        self.groups_count += u32::from(group == new);
        let in_store = match &mut self.copied {
            None => row.offset,
            Some(end) => {
                self.store.append(&row.bytes)?;
                let start = *end;
                *end += row.bytes.len() as u64;
                start
            }
        };
        self.in_list = row.is_in_list();
        self.places.push(Place {
            group,
            // Rows have less than 2^31 bytes.
            length: row.bytes.len() as u32,
            in_store,
            in_file: row.offset,
            line: row.line,
            index: row.index,
        });
        Ok(())
    }

    /// The index of all rows taken in.
    pub(super) fn finish(mut self) -> RowIndex {
        let mut ids: Vec<Option<String>> = Vec::new();
        ids.resize_with(self.groups_count as usize, || None);
        for (id, group) in self.groups {
            ids[group as usize] = Some(id);
        }
        self.places.sort_by_key(|place| place.group);
        let places = self.places.into_iter().peekable();
        RowIndex { store: self.store, in_list: self.in_list, ids, places }
    }
}
