//! ShareGPT dumps and what has been made after them: `{"id"?, "conversations": [{"from", "value"}]}`
//! in a JSON list or JSONL.
//!
//! Layouts: FastChat's (`data/dummy_conversation.json`, 2025-04), the ShareGPT V3 dumps cut by its
//! `split_long_conversation.py`, LLaMA-Factory's `sharegpt` format (0.9.5: roles `function_call` and
//! `observation`, `tools`, `system`), and lists of role/content under `conversations` or
//! `conversation`. The list may also be called `messages`, when its entries are from/value.
//!
//! Kept: the texts; `human` and `user` as user, `gpt`, `bing`, `chatgpt`, `bard` and `assistant` as
//! assistant, `system`; `tool` and `observation` as tool messages; `function_call` as an assistant
//! message with `tool_calls`, whose made ids the observations after it answer in order; `system` of an
//! item as the first message; `tools` for every request; of role/content entries also `name`,
//! `tool_calls`, `tool_call_id` and `reasoning_content`. Lost: every other key of an entry or an item.
//!
//! A conversation begins with a question and ends with an answer: answers before the first question
//! (theirs was cut off) and what follows the last answer are left out.
//!
//! Parts. Dumps cut long conversations into items of the ids `KEY_N`. They are put together again, in
//! order of N wherever they stand in the file. A part may begin with the speaker who ended the one
//! before. The reference drops the later of these two messages. Here the one without a counterpart goes:
//! of two questions the first, for what follows answers the second; of two answers the second, for its
//! question is missing. Numbers are not always those of parts (`math_0`, `math_1`, … may be whole
//! conversations). They are when they count messages, as `split_long_conversation.py` has them, though
//! some parts be missing; or when there are up to [`parts::PARTS_MAX`] of a key and one was cut within
//! an exchange, so that it begins with an answer or ends with a question. All else are conversations.
//!
//! A file of which none of the first rows has such an id is read row by row. Any other is read through
//! once for an index, for the parts may be anywhere.

mod item;
mod parts;
mod speaker;

use serde::de::IgnoredAny;
use serde_json::Value;
use turnbench_model::{Conversation, Message};

use super::{Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::WorkloadError;
use crate::sharegpt::{Index, Store};

/// ShareGPT dumps and what has been made after them.
pub(super) const FORMAT: Format = Format {
    name: "sharegpt",
    about: "{\"id\", \"conversations\": [{\"from\", \"value\"}]}, as JSON or JSONL",
    sniff,
    read,
};

/// Keys under which the messages may stand.
const LIST_KEYS: [&str; 3] = ["conversations", "conversation", "messages"];

/// Whether rows are ShareGPT's items.
pub(super) fn sniff(peek: &Peek) -> bool {
    peek.rows().iter().any(is_item)
}

fn is_item(row: &Value) -> bool {
    let entries = |key: &str| row.get(key).and_then(Value::as_array);
    let has = |message: &Value, keys: [&str; 2]| keys.iter().all(|key| message.get(key).is_some());
    LIST_KEYS.iter().filter_map(|&key| Some((key, entries(key)?))).any(|(key, entries)| {
        entries.iter().any(|entry| {
            has(entry, ["from", "value"]) || key != "messages" && has(entry, ["role", "content"])
        })
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let ids = source.peek().rows().iter().filter_map(|row| row.get("id")?.as_str());
    let has_parts = ids.into_iter().any(|id| parts::split(id.as_bytes()).is_some());
    if has_parts {
        return Ok(Box::new(Merging { pending: Some(source), groups: None }));
    }
    Ok(Box::new(source.rows().map(|row| {
        let row = row?;
        let id = |value: &Value| item::id(value).unwrap_or_else(|| format!("row-{}", row.index));
        match parsed(&row)? {
            Ok(value) => Ok(handed_out(conversation(id(&value), &[(&row, value)]))),
            Err(skipped) => Ok(Item::Skipped(skipped)),
        }
    })))
}

/// Hands out the conversations of a file whose items may be parts.
struct Merging {
    pending: Option<Source>,
    groups: Option<Groups>,
}

struct Groups {
    index: Index,
    left: std::vec::IntoIter<parts::Group>,
    /// What is still to be said of the group before.
    ready: Vec<Item>,
}

impl Merging {
    fn next_item(&mut self) -> Result<Option<Item>, WorkloadError> {
        if let Some(source) = self.pending.take() {
            let index = Index::build(Store::of(source)?, &LIST_KEYS, "from")?;
            let left = parts::groups(&index).into_iter();
            self.groups = Some(Groups { index, left, ready: Vec::new() });
        }
        self.groups.as_mut().map_or(Ok(None), Groups::next_item)
    }
}

impl Groups {
    fn next_item(&mut self) -> Result<Option<Item>, WorkloadError> {
        if let Some(item) = self.ready.pop() {
            return Ok(Some(item));
        }
        let Some(group) = self.left.next() else { return Ok(None) };
        let rows = self.rows(&group.items)?;
        let mut values = Vec::with_capacity(rows.len());
        let mut bad = None;
        for row in &rows {
            match parsed(row)? {
                Ok(value) => values.push((row, value)),
                Err(skipped) => bad = bad.or(Some(skipped)),
            }
        }
        let made = match bad {
            None => conversation(group.id, &values),
            Some(skipped) => Err(skipped),
        };
        if made.is_err() {
            // A conversation is whole or not at all.
            let other = |row| complaint(row, "id", "part of a conversation that is skipped", WHOLE);
            self.ready.extend(rows[1..].iter().map(other));
        } else if rows.len() > 1 {
            self.ready.push(Item::Merged(rows.len() as u64 - 1));
        }
        for row in self.rows(&group.repeated)? {
            self.ready.push(complaint(&row, "id", "an id that another item has", UNIQUE));
        }
        Ok(Some(handed_out(made)))
    }

    fn rows(&self, items: &[u32]) -> Result<Vec<Row>, WorkloadError> {
        items.iter().map(|&item| self.index.row(item as usize)).collect()
    }
}

const WHOLE: &str = "an id of a conversation whose parts are all in order";
const UNIQUE: &str = "an id that no other item has";

impl Iterator for Merging {
    type Item = Result<Item, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_item();
        if next.is_err() {
            self.groups = None;
        }
        next.transpose()
    }
}

fn complaint(row: &Row, key: &str, reason: &'static str, allowed: &str) -> Item {
    let value = row.value().unwrap_or(Value::Null);
    Item::Skipped(Skipped::new(reason, row.node(&value).key(key).refuse(allowed)))
}

fn handed_out(made: Result<Conversation, Skipped>) -> Item {
    match made {
        Ok(conversation) => Item::Conversation(Box::new(conversation)),
        Err(skipped) => Item::Skipped(skipped),
    }
}

/// The row's value; a row is skipped that is JSON, but holds what cannot be kept.
fn parsed(row: &Row) -> Result<Result<Value, Skipped>, WorkloadError> {
    match row.value() {
        Ok(value) => Ok(Ok(value)),
        Err(error) if row.parse::<IgnoredAny>().is_ok() => {
            Ok(Err(Skipped::new(unkept(&error), error)))
        }
        Err(error) => Err(error),
    }
}

/// Why a row that is JSON cannot be kept.
fn unkept(error: &WorkloadError) -> &'static str {
    let WorkloadError::Row { problem, .. } = error else { return "value that cannot be kept" };
    let reasons = [
        ("surrogate", "half of a surrogate pair, which no text can hold"),
        ("hex escape", "half of a surrogate pair, which no text can hold"),
        ("number out of range", "number too large"),
        ("recursion limit", "nested too deep"),
    ];
    let reason = reasons.into_iter().find(|(part, _)| problem.contains(part));
    reason.map_or("value that cannot be kept", |(_, reason)| reason)
}

/// The conversation that these items are the parts of, in order.
fn conversation(id: String, parts: &[(&Row, Value)]) -> Result<Conversation, Skipped> {
    let mut conversation = Conversation::new(id, Vec::new());
    let mut calls = item::Calls::default();
    for (row, value) in parts {
        let part = item::read(&row.node(value), &mut calls)?;
        for (key, value) in part.request {
            conversation.request.entry(key).or_insert(value);
        }
        join(&mut conversation.messages, part.messages);
    }
    trim(&mut conversation.messages);
    if conversation.messages.iter().any(Message::is_assistant) {
        return Ok(conversation);
    }
    let (row, value) = &parts[0];
    let allowed = "a list with a question and an answer to it";
    let error = item::list(&row.node(value)).refuse(allowed);
    Err(Skipped::new("no question with an answer", error))
}

/// Appends a part. Of two messages of one speaker where parts meet, the one without a counterpart
/// goes.
fn join(messages: &mut Vec<Message>, part: Vec<Message>) {
    let mut part = part.into_iter().peekable();
    if let (Some(last), Some(first)) = (messages.last(), part.peek())
        && last.role == first.role
    {
        if last == first || first.is_assistant() {
            part.next();
        } else if first.role == "user" {
            messages.pop();
        }
    }
    messages.extend(part);
}

/// Leaves out answers to questions that are missing, and what follows the last answer.
fn trim(messages: &mut Vec<Message>) {
    let mut asked = false;
    messages.retain(|message| {
        asked |= message.role == "user";
        asked || !message.is_assistant() && !message.asks()
    });
    let answered = messages.iter().rposition(Message::is_assistant);
    messages.truncate(answered.map_or(0, |place| place + 1));
}

#[cfg(test)]
mod tests;
