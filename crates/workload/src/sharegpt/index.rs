use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::de::IgnoredAny;

use super::json::Json;
use super::store::Store;
use crate::WorkloadError;
use crate::format::{JsonRows, Row};

/// What is remembered of every item of a ShareGPT file after one pass over it: where it stands, and
/// what decides which items are parts of one conversation. Some 150 bytes an item; its texts are
/// read again where they are wanted.
#[derive(Debug)]
pub(crate) struct Index {
    store: Store,
    items: Vec<IndexedItem>,
}

/// One item of the file.
#[derive(Debug)]
pub(crate) struct IndexedItem {
    offset: u64,
    line: u64,
    length: usize,
    in_list: bool,
    pub(crate) id: Field<Box<[u8]>>,
    /// Number of messages.
    pub(crate) messages: Field<u32>,
    /// Who speaks first and last, where there are messages.
    pub(crate) first: Speaker,
    pub(crate) last: Speaker,
}

/// Rows that a thread takes at a time: threads wait for one another while they take.
const BATCH: usize = 32;

/// A field of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Field<T> {
    Missing,
    /// It is not of the type that it must have.
    Other,
    Is(T),
}

/// A message's `from`, to be compared with others; empty where there is none.
pub(crate) type Speaker = Cow<'static, [u8]>;

const KNOWN_SPEAKERS: [&[u8]; 4] = [b"\"human\"", b"\"gpt\"", b"\"system\"", b"\"user\""];

impl Index {
    /// Reads the file once, and finds every item in it well-formed. `list_keys` name the messages,
    /// the first that there is counts; `speaker_key` names the speaker of one.
    pub(crate) fn build(
        (reader, store): (Box<dyn Read + Send>, Store),
        list_keys: &[&str],
        speaker_key: &str,
    ) -> Result<Self, WorkloadError> {
        let mut rows = JsonRows::new(Arc::clone(store.path()), reader);
        let batches = std::iter::from_fn(move || {
            let batch: Vec<_> = rows.by_ref().take(BATCH).collect();
            (!batch.is_empty()).then_some(batch)
        });
        // Of several malformed items the first is named, whichever thread finds its own first.
        let pass = batches
            .par_bridge()
            .flat_map_iter(|batch| batch)
            .map(|row| {
                let index = row.as_ref().map_or(u64::MAX, |row| row.index);
                let item = row.and_then(|row| item(&row, list_keys, speaker_key));
                item.map(|item| (index, item)).map_err(|error| (index, Box::new(error)))
            })
            .fold(Pass::default, Pass::add)
            .reduce(Pass::default, Pass::join);
        if let Some((_, error)) = pass.error {
            return Err(*error);
        }
        let mut items = pass.items;
        items.sort_unstable_by_key(|(index, _)| *index);
        Ok(Self { store, items: items.into_iter().map(|(_, item)| item).collect() })
    }

    pub(crate) fn items(&self) -> &[IndexedItem] {
        &self.items
    }

    pub(crate) fn path(&self) -> &Path {
        self.store.path()
    }

    /// The text of an item.
    pub(crate) fn text(&self, item: usize) -> Result<Vec<u8>, WorkloadError> {
        let indexed = &self.items[item];
        self.store.read(indexed.offset, indexed.length)
    }

    /// An item as a row.
    pub(crate) fn row(&self, item: usize) -> Result<Row, WorkloadError> {
        let IndexedItem { offset, line, in_list, .. } = self.items[item];
        let bytes = self.text(item)?;
        Ok(Row::new(Arc::clone(self.store.path()), bytes, line, item as u64, offset, in_list))
    }
}

impl IndexedItem {
    /// Whether it is an item of a list, rather than one of values after one another.
    pub(crate) const fn is_in_list(&self) -> bool {
        self.in_list
    }
}

/// What a thread has found.
#[derive(Default)]
struct Pass {
    items: Vec<(u64, IndexedItem)>,
    error: Option<(u64, Box<WorkloadError>)>,
}

impl Pass {
    fn add(mut self, found: Result<(u64, IndexedItem), (u64, Box<WorkloadError>)>) -> Self {
        match found {
            Ok(item) => self.items.push(item),
            Err((index, error)) => self.fail(index, error),
        }
        self
    }

    fn fail(&mut self, index: u64, error: Box<WorkloadError>) {
        if self.error.as_ref().is_none_or(|(first, _)| index < *first) {
            self.error = Some((index, error));
        }
    }

    fn join(mut self, mut other: Self) -> Self {
        if self.items.is_empty() {
            std::mem::swap(&mut self.items, &mut other.items);
        }
        self.items.append(&mut other.items);
        if let Some((index, error)) = other.error {
            self.fail(index, error);
        }
        self
    }
}

fn item(row: &Row, list_keys: &[&str], speaker_key: &str) -> Result<IndexedItem, WorkloadError> {
    // Well-formed from here on.
    row.parse::<IgnoredAny>()?;
    let mut id = None;
    let mut list = (list_keys.len(), None);
    for (key, value) in Json::new(&row.bytes).members() {
        let key = key.decoded();
        if &*key == b"id" {
            id = Some(value);
        }
        let rank = list_keys.iter().position(|known| known.as_bytes() == &*key);
        // The first of the names counts, and of equal ones the last.
        if let Some(rank) = rank.filter(|&rank| rank <= list.0) {
            list = (rank, Some(value));
        }
    }
    let mut indexed = IndexedItem {
        offset: row.offset,
        line: row.line,
        length: row.bytes.len(),
        in_list: row.is_in_list(),
        id: match id.map(Json::string) {
            None => Field::Missing,
            Some(None) => Field::Other,
            Some(Some(text)) => Field::Is(text.decoded().into()),
        },
        messages: Field::Missing,
        first: Speaker::default(),
        last: Speaker::default(),
    };
    indexed.messages = match list.1.map(Json::items) {
        None => Field::Missing,
        Some(None) => Field::Other,
        Some(Some(items)) => {
            let mut count = 0;
            let (mut first, mut last) = (None, None);
            for message in items {
                first = first.or(Some(message));
                last = Some(message);
                count += 1;
            }
            indexed.first = speaker(first, speaker_key);
            indexed.last = speaker(last, speaker_key);
            Field::Is(count)
        }
    };
    Ok(indexed)
}

fn speaker(message: Option<Json>, key: &str) -> Speaker {
    let Some(json) = message.and_then(|message| message.values([key])[0]) else {
        return Speaker::default();
    };
    if let Some(known) = KNOWN_SPEAKERS.iter().find(|known| **known == json.text()) {
        return Cow::Borrowed(known);
    }
    match json.string() {
        // The same text may be spelled with and without escapes.
        Some(text) => Cow::Owned([b"\"", &*text.decoded(), b"\""].concat()),
        None => Cow::Owned(json.text().to_vec()),
    }
}
