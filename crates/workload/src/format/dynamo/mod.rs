//! Traces of NVIDIA Dynamo's own (ai-dynamo 1.6), JSONL; its Mooncake rows are the `mooncake`
//! format's.
//!
//! - `dynamo.request.trace.v1`: what a Dynamo server writes of each request when it has ended; see
//!   [`requests`].
//! - `dynamo.agentic_mooncake` of version 2: requests that wait for one another, after a header;
//!   see [`agentic`].
//!
//! Requests of a session are the turns of a conversation, and prompts are whole. Conversations are
//! handed out at the end of the file.

mod agentic;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnbench_model::{Conversation, Nanos, Parent, RecordedTurn};

use super::gathered::Gathered;
use super::{Format, Item, Peek, Reader, Source};
use crate::WorkloadError;

/// Traces of NVIDIA Dynamo.
pub(super) const FORMAT: Format = Format {
    name: "dynamo",
    about: "Dynamo request traces and agentic Mooncake traces, as JSONL",
    sniff,
    read,
};

const REQUESTS: &str = "dynamo.request.trace.v1";
const AGENTIC: &str = "dynamo.agentic_mooncake";

fn sniff(peek: &Peek) -> bool {
    has_schema(peek, REQUESTS) || has_schema(peek, AGENTIC)
}

fn has_schema(peek: &Peek, schema: &str) -> bool {
    let mut schemas = peek.rows().iter().filter_map(|row| row.get("schema")?.as_str());
    schemas.any(|found| found == schema)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let sessions = Sessions::new(source.conversations_max());
    Ok(if has_schema(source.peek(), AGENTIC) {
        Box::new(Gathered::new(source, agentic::Plays::new(sessions)))
    } else {
        Box::new(Gathered::new(source, requests::Requests::new(sessions)))
    })
}

/// A request with what its place among the others follows from.
#[derive(Debug)]
struct Call {
    turn: RecordedTurn,
    /// When its answer was complete.
    end: Option<Nanos>,
}

/// The requests of a session.
#[derive(Debug)]
struct Session {
    id: String,
    block_size: u32,
    calls: Vec<Call>,
    parent: Option<Parent>,
}

impl Session {
    fn conversation(self) -> Item {
        let recorded: Vec<RecordedTurn> = self.calls.into_iter().map(|call| call.turn).collect();
        let has_ids = recorded.iter().any(|turn| !turn.hash_ids.is_empty());
        Item::Conversation(Box::new(Conversation {
            recorded,
            hash_block_size: has_ids.then_some(self.block_size),
            parent: self.parent,
            ..Conversation::new(self.id, Vec::new())
        }))
    }
}

/// Sessions in the order of their first requests, up to a number of them.
#[derive(Debug)]
struct Sessions {
    max: usize,
    all: Vec<Session>,
    /// By play (empty where there are none) and name.
    places: BTreeMap<(String, String), usize>,
    ids: BTreeSet<String>,
}

impl Sessions {
    fn new(max: Option<usize>) -> Self {
        let (places, ids) = (BTreeMap::new(), BTreeSet::new());
        Self { max: max.unwrap_or(usize::MAX), all: Vec::new(), places, ids }
    }

    /// The place of a session of a play, which begins if there are not too many.
    fn place(&mut self, play: &str, session: &str, block_size: u32) -> Option<usize> {
        let key = (play.to_owned(), session.to_owned());
        if let Some(&place) = self.places.get(&key) {
            return Some(place);
        }
        let place = self.all.len();
        (place < self.max).then(|| {
            let id = if play.is_empty() { session.to_owned() } else { format!("{play}/{session}") };
            let (id, calls, parent) = (self.unique(&id), Vec::new(), None);
            self.all.push(Session { id, block_size, calls, parent });
            self.places.insert(key, place);
            place
        })
    }

    /// An id that no other session has; names may have slashes of their own.
    fn unique(&mut self, id: &str) -> String {
        let mut unique = id.to_owned();
        let mut number = 2;
        while !self.ids.insert(unique.clone()) {
            unique = format!("{id}-{number}");
            number += 1;
        }
        unique
    }

    fn into_items(self) -> Box<dyn Iterator<Item = Item> + Send> {
        Box::new(self.all.into_iter().map(Session::conversation))
    }
}

/// A string under a key.
fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests;
