//! Mooncake traces (kvcache-ai/Mooncake, `FAST25-release/traces` of 2025), JSONL or a JSON list.
//!
//! A row is one request: `{"timestamp", "input_length", "output_length", "hash_ids"}`, times in
//! milliseconds, and one id for each block of 512 tokens of the prompt. Also read are the keys that
//! AIPerf 0.13 and Dynamo 1.6 add: `request_id`, `session_id` (the rows of a session are the turns
//! of one conversation, in file order), `delay` (milliseconds since the end of the answer before),
//! rows without `hash_ids`, and rows with `text_input`, `messages` (and `tools`) or a whole request
//! in `payload` in place of lengths; `extra` goes into the request. Rows whose messages end with an
//! answer are no requests but a log of chats, which the `openai` format reads.
//!
//! Kept: all of these, `model` and `block_size`. Where blocks of 512 tokens cannot be meant, by
//! the lengths of the first rows, the size that fits is taken, with a remark. Each row with
//! lengths or `messages` is a whole prompt; `text_input` is added to the session's history. Where
//! the first time is a date, times are since then. A bad row is skipped, and with it its session if
//! that has text, for what follows may go on from it.
//! Lost: other keys, with a remark each, and `tools` and `extra` that change within a session
//! (the first row's are sent), and a
//! `block_size` other than the first row's, with a remark.
//!
//! Rows without a session are handed out as they come; sessions at the end of the file.

mod turn;

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;
use serde_json::Value;
use turnbench_model::{Conversation, RecordedTurn};

use super::chat_rows::{is_chat_log, whole_rows};
use super::exchange::conversation_of;
use super::row_groups::id_of;
use super::trace::{Clock, Part, Parts, Remarks, Sessions};
use super::{Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::json_file::Node;
use crate::{Warning, WorkloadError};
use turn::Turn;

/// Mooncake traces, with the keys of AIPerf and Dynamo.
pub(super) const FORMAT: Format = Format {
    name: "mooncake",
    about: "{\"timestamp\", \"input_length\", \"output_length\", \"hash_ids\"} rows, as JSONL",
    sniff,
    read,
};

/// Tokens of a block.
const BLOCK_SIZE: u32 = 512;

/// Sizes that traces have.
const BLOCK_SIZES: [u32; 7] = [512, 16, 32, 64, 128, 256, 1024];

const KEYS: [&str; 15] = [
    "timestamp",
    "input_length",
    "output_length",
    "hash_ids",
    "request_id",
    "session_id",
    "delay",
    "text_input",
    "messages",
    "tools",
    "payload",
    "extra",
    "model",
    "block_size",
    "type",
];

/// Keys by which rows belong to other formats.
const FOREIGN_KEYS: [&str; 6] =
    ["chat_id", "schema", "not_before_ms", "turns", "requests", "conversation_id"];

/// Sessions kept beyond those asked for, in place of ones that turn out to be bad.
const SESSIONS_SPARE: usize = 16;

fn sniff(peek: &Peek) -> bool {
    if !peek.first().is_object() || FOREIGN_KEYS.iter().any(|key| peek.has_keys(&[key])) {
        return false;
    }
    let any = |key: &str, is: fn(&Value) -> bool| {
        peek.rows().iter().any(|row| row.get(key).is_some_and(is))
    };
    let has = |key: &str| any(key, |value| !value.is_null());
    // A time of day as text, as chat logs have it, makes no trace.
    let is_timed =
        ["timestamp", "delay", "output_length"].iter().any(|key| any(key, Value::is_number));
    let has_text = has("text_input") || has("payload") || has("messages") && !is_chat_log(peek);
    has("input_length") || is_timed && (has_text || has("hash_ids"))
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let mut rows = Rows::new(source.peek(), source.conversations_max());
    let block_size = rows.block_size;
    let parts = source.rows().map(move |row| rows.parts(&row?));
    Ok(Box::new(Sessions::new(parts, None, move |id, turns| {
        Item::Conversation(Box::new(build(id, turns, block_size)))
    })))
}

/// Tokens of a block: as the first row states it, or as the lengths of the first rows tell; and
/// whether these tell that it is not the usual size.
fn block_size(peek: &Peek) -> (u32, bool) {
    let stated = peek.first().get("block_size").and_then(Value::as_u64);
    if let Some(size) = stated.and_then(|size| u32::try_from(size).ok()).filter(|&size| size > 0) {
        return (size, false);
    }
    let known: Vec<(u64, u64)> = whole_rows(peek).iter().filter_map(length_and_ids).collect();
    let fits = |size: u32| {
        let size = u64::from(size);
        known.iter().filter(|&&(length, ids)| length.div_ceil(size) == ids).count()
    };
    if known.is_empty() || 2 * fits(BLOCK_SIZE) >= known.len() {
        return (BLOCK_SIZE, false);
    }
    // Of equally good ones the first.
    let best = BLOCK_SIZES.iter().rev().copied().max_by_key(|&size| fits(size));
    best.filter(|&size| 2 * fits(size) > known.len())
        .map_or((BLOCK_SIZE, false), |size| (size, size != BLOCK_SIZE))
}

fn length_and_ids(row: &Value) -> Option<(u64, u64)> {
    let ids = row.get("hash_ids")?.as_array()?.len() as u64;
    row.get("input_length")?.as_u64().filter(|_| ids > 0).map(|length| (length, ids))
}

/// What is known of a session.
enum Session {
    /// Its first turn has text or not, and a request of this hash (a collision would cost a
    /// remark).
    Kept { has_text: bool, request: u64 },
    /// One of its rows is bad.
    Spoilt,
}

/// Reads rows, knowing of those before.
struct Rows {
    block_size: u32,
    fits_badly: bool,
    remarks: Remarks,
    clock: Clock,
    sessions: BTreeMap<String, Session>,
    /// Sessions that may still begin; rows of others are passed over.
    sessions_left: usize,
}

impl Rows {
    fn new(peek: &Peek, sessions_max: Option<usize>) -> Self {
        let (block_size, fits_badly) = block_size(peek);
        Self {
            block_size,
            fits_badly,
            remarks: Remarks::default(),
            clock: Clock::default(),
            sessions: BTreeMap::new(),
            sessions_left: sessions_max
                .map_or(usize::MAX, |max| max.saturating_add(SESSIONS_SPARE)),
        }
    }

    fn parts(&mut self, row: &Row) -> Parts<Turn> {
        let value = row.value()?;
        let node = row.node(&value);
        let session = id_of(&value, "session_id");
        if session.as_ref().is_some_and(|session| self.passes_over(session)) {
            return Ok(Vec::new());
        }
        let mut parts: Vec<Part<Turn>> = self.remarks(&node).into_iter().map(Part::Item).collect();
        let read = turn::turn(&node).and_then(|turn| match &session {
            Some(session) => Ok((self.admit(&node, session, &turn)?, turn)),
            None => Ok((None, turn)),
        });
        let (remark, mut turn) = match read {
            Ok(read) => read,
            Err(skipped) => {
                parts.extend(session.and_then(|session| self.spoil(&node, session)));
                parts.push(skipped.into());
                return Ok(parts);
            }
        };
        parts.extend(remark.map(|remark| Part::Item(Item::Remark(remark))));
        let recorded = &mut turn.exchange.recorded;
        let (sent, remark) = self.clock.since_first_date(recorded.sent_at_ns, &node, "timestamp");
        recorded.sent_at_ns = sent;
        parts.extend(remark.map(Part::Item));
        parts.push(if let Some(session) = session {
            Part::Turn(session, turn)
        } else {
            let id = id_of(&value, "request_id");
            let id = id.unwrap_or_else(|| format!("row-{}", row.index));
            let conversation = build(id, vec![turn], self.block_size);
            Part::Item(Item::Conversation(Box::new(conversation)))
        });
        Ok(parts)
    }

    fn remarks(&mut self, row: &Node) -> Vec<Item> {
        let mut remarks = self.remarks.unknown_keys(row, &KEYS);
        if std::mem::take(&mut self.fits_badly) {
            let problem = format!("has blocks of {} tokens, by the lengths", self.block_size);
            remarks.push(Item::Remark(row.key("hash_ids").remark(&problem)));
        }
        let stated = row.key("block_size");
        if stated.not_null().is_some_and(|size| size.as_u64() != Some(self.block_size.into())) {
            let problem =
                format!("differs from the {} tokens that all blocks count for", self.block_size);
            let remark = self.remarks.once(row, "block_size", &problem);
            remarks.extend(remark.map(Item::Remark));
        }
        remarks
    }

    /// Whether the rows of a session are of no use.
    fn passes_over(&self, session: &str) -> bool {
        match self.sessions.get(session) {
            None => self.sessions_left == 0,
            Some(Session::Spoilt) => true,
            Some(Session::Kept { .. }) => false,
        }
    }

    /// A turn is missing in a session: if it has text, so is what others go on from.
    fn spoil(&mut self, row: &Node, session: String) -> Option<Part<Turn>> {
        let has_text = match self.sessions.get(&session) {
            Some(Session::Kept { has_text, .. }) => *has_text,
            Some(Session::Spoilt) | None => turn::has_text(row),
        };
        if !has_text {
            return None;
        }
        let before = self.sessions.insert(session.clone(), Session::Spoilt);
        before.is_some().then_some(Part::Spoilt(session))
    }

    /// Whether a turn goes with the first one of its session.
    fn admit(
        &mut self,
        node: &Node,
        session: &str,
        turn: &Turn,
    ) -> Result<Option<Warning>, Skipped> {
        let hash = FxBuildHasher.hash_one(&turn.request);
        let Some(Session::Kept { has_text, request }) = self.sessions.get(session) else {
            let first = Session::Kept { has_text: turn.has_text, request: hash };
            self.sessions.insert(session.to_owned(), first);
            self.sessions_left = self.sessions_left.saturating_sub(1);
            return Ok(None);
        };
        if *has_text != turn.has_text {
            let error = node.key("session_id").refuse(
                "a session of which all rows have text, or none; the session's first row is of the \
                 other kind",
            );
            return Err(Skipped::new("text and lengths in one session", error));
        }
        if *request == hash {
            return Ok(None);
        }
        let problem = "has rows with other tools or extra keys than its first row, whose are sent";
        Ok(self.remarks.once(node, "session_id", problem))
    }
}

fn build(id: String, turns: Vec<Turn>, block_size: u32) -> Conversation {
    let request = turns.first().map(|turn| turn.request.clone()).unwrap_or_default();
    if turns.iter().any(|turn| turn.has_text) {
        let exchanges = turns.into_iter().map(|turn| turn.exchange);
        return Conversation { request, ..conversation_of(id, exchanges) };
    }
    let recorded: Vec<RecordedTurn> =
        turns.into_iter().map(|turn| turn.exchange.recorded).collect();
    let has_ids = recorded.iter().any(|turn| !turn.hash_ids.is_empty());
    let hash_block_size = has_ids.then_some(block_size);
    Conversation { request, recorded, hash_block_size, ..Conversation::new(id, Vec::new()) }
}

#[cfg(test)]
mod tests;
