use std::path::Path;

use rustc_hash::FxHashMap;
use turnbench_random::PythonStream;

use super::index::{Field, Index, IndexedItem};
use super::json::Json;
use super::message::{FROM, complain};
use super::store::Store;
use crate::WorkloadError;

/// A ShareGPT dump, read once and found well-formed, to be converted as vLLM's
/// `benchmarks/multi_turn/convert_sharegpt_to_openai.py` does.
#[derive(Debug)]
pub struct Dump {
    index: Index,
}

/// A dump whose items were put together to conversations.
#[derive(Debug)]
pub struct MergedDump {
    pub(super) index: Index,
    pub(super) conversations: Vec<Merged>,
}

/// A conversation and its parts.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) id: Box<[u8]>,
    pub(super) parts: Vec<Part>,
}

/// An item that is a part of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) item: u32,
    /// Whether its first message is left out.
    pub(super) skips_first: bool,
}

const LIST: &str = "a list of items ({\"id\", \"conversations\"})";
const ID: &str = "a text with exactly one \"_\", such as \"hiWPlMD_0\"";
const ID_HINT: Option<&str> = Some("without --compat vllm every id will do");

impl Dump {
    /// Reads a dump, which may be compressed, and finds it well-formed.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8 or no well-formed JSON, or no list.
    pub fn read(path: &Path) -> Result<Self, WorkloadError> {
        let index = Index::build(Store::open(path)?, &["conversations"], "from")?;
        if index.items().iter().any(|item| !item.is_in_list()) {
            let text = index.text(0)?;
            return Err(complain(
                path,
                "the document".to_owned(),
                Some(Json::new(&text)),
                LIST,
                None,
            ));
        }
        Ok(Self { index })
    }

    /// Number of items.
    pub fn items_count(&self) -> usize {
        self.index.items().len()
    }

    /// Shuffles the items, and puts those of one conversation together in the order in which they
    /// come then. Of a part that begins with the speaker who ended the part before, the first
    /// message is left out.
    ///
    /// # Errors
    /// For an item without `id` or `conversations`, an id that has not exactly one `_`, and a
    /// message without `from` where two parts meet; the first in shuffled order is named.
    pub fn merge(self, stream: &mut PythonStream) -> Result<MergedDump, WorkloadError> {
        let items = self.index.items();
        let mut order: Vec<u32> = (0..items.len() as u32).collect();
        stream.shuffle(&mut order);
        let mut conversations: Vec<Merged> = Vec::new();
        let mut known: FxHashMap<&[u8], usize> = FxHashMap::default();
        for item in order {
            let indexed = &items[item as usize];
            let key = self.key(item, indexed)?;
            let Field::Is(count) = indexed.messages else { return Err(self.refuse_list(item)) };
            let at = *known.entry(key).or_insert_with(|| {
                conversations.push(Merged { id: key.into(), parts: Vec::new() });
                conversations.len() - 1
            });
            let parts = &mut conversations[at].parts;
            let mut skips_first = false;
            if let Some(before) = parts.last()
                && count > 0
            {
                let last = &items[before.item as usize].last;
                if last.is_empty() || indexed.first.is_empty() {
                    let item = if last.is_empty() { before.item } else { item };
                    return Err(self.refuse_speaker(item, last.is_empty()));
                }
                skips_first = *last == indexed.first;
            }
            if count > u32::from(skips_first) {
                parts.push(Part { item, skips_first });
            }
        }
        conversations.retain(|conversation| !conversation.parts.is_empty());
        Ok(MergedDump { index: self.index, conversations })
    }

    /// What stands before the `_` of an item's id.
    fn key<'a>(&self, item: u32, indexed: &'a IndexedItem) -> Result<&'a [u8], WorkloadError> {
        let key = match (&indexed.id, &indexed.messages) {
            // The reference asks for both keys before it looks at either.
            (Field::Is(_) | Field::Other, Field::Missing) => return Err(self.refuse_list(item)),
            (Field::Is(id), _) => {
                let mut halves = id.split(|&byte| byte == b'_');
                halves.next().filter(|_| halves.next().is_some() && halves.next().is_none())
            }
            (Field::Missing | Field::Other, _) => None,
        };
        match key {
            Some(key) => Ok(key),
            None => Err(self.refuse(item, "id", ID, ID_HINT)?),
        }
    }

    fn refuse_list(&self, item: u32) -> WorkloadError {
        let allowed = "a list of messages ({\"from\", \"value\"})";
        self.refuse(item, "conversations", allowed, None).unwrap_or_else(|error| error)
    }

    /// The complaint about a key of an item.
    fn refuse(
        &self,
        item: u32,
        key: &str,
        allowed: &str,
        hint: Option<&'static str>,
    ) -> Result<WorkloadError, WorkloadError> {
        let text = self.index.text(item as usize)?;
        let json = Json::new(&text);
        let path = self.index.path();
        if !json.is_object() {
            let allowed = "an object ({\"id\", \"conversations\"})";
            return Ok(complain(path, format!("[{item}]"), Some(json), allowed, None));
        }
        Ok(complain(path, format!("[{item}].{key}"), json.values([key])[0], allowed, hint))
    }

    /// The complaint that where two parts meet a message has no `from`.
    fn refuse_speaker(&self, item: u32, last: bool) -> WorkloadError {
        let count = match self.index.items()[item as usize].messages {
            Field::Is(count) if last => count,
            Field::Is(_) | Field::Missing | Field::Other => 1,
        };
        let field = format!("[{item}].conversations[{}].from", count.saturating_sub(1));
        complain(self.index.path(), field, None, FROM, None)
    }
}

impl MergedDump {
    /// Number of conversations, before anything is filtered.
    pub fn conversations_count(&self) -> usize {
        self.conversations.len()
    }
}
