use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Item;
use crate::Warning;
use crate::json_file::Node;

/// Remarks, each once in a file.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    made: BTreeSet<String>,
    noted: Vec<Item>,
}

impl Remarks {
    /// A remark on the value under a key, unless one on that key was made before.
    pub(crate) fn once(&mut self, row: &Node, key: &str, problem: &str) -> Option<Warning> {
        let is_new = self.made.insert(key.to_owned());
        is_new.then(|| row.key(key).remark(problem))
    }

    /// Remarks on keys of a row that are not among `known`.
    pub(crate) fn unknown_keys(&mut self, row: &Node, known: &[&str]) -> Vec<Item> {
        let keys = row.value().and_then(Value::as_object).into_iter().flat_map(Map::keys);
        keys.filter(|key| !known.contains(&key.as_str()))
            .filter_map(|key| self.once(row, key, "is an unknown key and has no effect"))
            .map(Item::Remark)
            .collect()
    }

    /// [`Remarks::once`], kept for [`Remarks::take`].
    pub(crate) fn note(&mut self, row: &Node, key: &str, problem: &str) {
        let remark = self.once(row, key, problem);
        self.noted.extend(remark.map(Item::Remark));
    }

    /// [`Remarks::unknown_keys`], kept for [`Remarks::take`].
    pub(crate) fn note_unknown_keys(&mut self, row: &Node, known: &[&str]) {
        let remarks = self.unknown_keys(row, known);
        self.noted.extend(remarks);
    }

    /// Keeps what is to be handed out for [`Remarks::take`].
    pub(crate) fn keep(&mut self, remark: Option<Item>) {
        self.noted.extend(remark);
    }

    /// What was noted since the last time.
    pub(crate) fn take(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.noted)
    }
}
