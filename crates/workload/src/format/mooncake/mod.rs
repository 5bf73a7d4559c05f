//! Mooncake traces (kvcache-ai/Mooncake, `FAST25-release/traces` of 2025), JSONL or a JSON list.
//!
//! A row is one request: `{"timestamp", "input_length", "output_length", "hash_ids"}`, times in
//! milliseconds, and one id for each block of 512 tokens of the prompt. Also read are the keys that
//! AIPerf 0.13 and Dynamo 1.6 add: `request_id`, `session_id` (the rows of a session are the turns
//! of one conversation, in file order), `delay` (milliseconds since the end of the answer before),
//! rows without `hash_ids`, and rows with `text_input`, `messages` (and `tools`) or a whole request
//! in `payload` in place of lengths; `extra` goes into the request.
//!
//! Kept: all of these, `model` and `block_size`. Where blocks of 512 tokens cannot be meant, by
//! the lengths of the first rows, the size that fits is taken, with a remark. Each row with
//! lengths or `messages` is a whole prompt; `text_input` is added to the session's history.
//! Lost: other keys, with a remark each, and `tools` and `extra` that change within a session
//! (the first row's are sent).
//!
//! Rows without a session are handed out as they come; sessions at the end of the file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use turnbench_model::{Conversation, Message, RecordedTurn};

use super::exchange::{Exchange, conversation_of};
use super::row_groups::id_of;
use super::trace::{Part, Parts, Remarks, Sessions, count, hash_ids, lengths};
use super::units::millis;
use super::{Format, Item, Peek, Reader, Row, Skipped, Source, openai};
use crate::json_file::Node;
use crate::{Warning, WorkloadError};

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

fn sniff(peek: &Peek) -> bool {
    let row = peek.first();
    let has = |key: &str| row.get(key).is_some_and(|value| !value.is_null());
    if !row.is_object() || FOREIGN_KEYS.iter().any(|key| peek.has_keys(&[key])) {
        return false;
    }
    let is_timed = ["timestamp", "delay", "output_length"].into_iter().any(has);
    has("input_length")
        || is_timed && ["text_input", "messages", "payload"].into_iter().any(has)
        || has("hash_ids") && is_timed
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let sessions_max = source.conversations_max();
    let (block_size, fits_badly) = block_size(source.peek());
    let mut rows = Rows { fits_badly, ..Rows::new(block_size) };
    let parts = source.rows().map(move |row| rows.parts(&row?));
    Ok(Box::new(Sessions::new(parts, sessions_max, move |id, turns| {
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
    // The last row looked at may be cut off.
    let rows = peek.rows();
    let whole = &rows[..rows.len().saturating_sub(1).max(1).min(rows.len())];
    let known: Vec<(u64, u64)> = whole.iter().filter_map(length_and_ids).collect();
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

/// A row, read.
struct Turn {
    exchange: Exchange,
    request: Map<String, Value>,
    /// Whether it has messages, and not lengths alone.
    has_text: bool,
}

/// Reads rows, knowing of those before.
struct Rows {
    block_size: u32,
    fits_badly: bool,
    remarks: Remarks,
    /// What the first turn of each session has.
    firsts: BTreeMap<String, (bool, Map<String, Value>)>,
}

impl Rows {
    fn new(block_size: u32) -> Self {
        let (remarks, firsts) = (Remarks::default(), BTreeMap::new());
        Self { block_size, fits_badly: false, remarks, firsts }
    }

    fn parts(&mut self, row: &Row) -> Parts<Turn> {
        let value = row.value()?;
        let node = row.node(&value);
        let mut parts: Vec<Part<Turn>> =
            self.remarks.unknown_keys(&node, &KEYS).into_iter().map(Part::Item).collect();
        if std::mem::take(&mut self.fits_badly) {
            let problem = format!("has blocks of {} tokens, by the lengths", self.block_size);
            parts.push(Part::Item(Item::Remark(node.key("hash_ids").remark(&problem))));
        }
        let session = id_of(&value, "session_id");
        let part = match (turn(&node), session) {
            (Err(skipped), _) => skipped.into(),
            (Ok(turn), None) => {
                let id = id_of(&value, "request_id");
                let id = id.unwrap_or_else(|| format!("row-{}", row.index));
                let conversation = build(id, vec![turn], self.block_size);
                Part::Item(Item::Conversation(Box::new(conversation)))
            }
            (Ok(turn), Some(session)) => match self.admit(&node, &session, &turn) {
                Ok(remark) => {
                    parts.extend(remark.map(|remark| Part::Item(Item::Remark(remark))));
                    Part::Turn(session, turn)
                }
                Err(skipped) => skipped.into(),
            },
        };
        parts.push(part);
        Ok(parts)
    }

    /// Whether a turn goes with the first one of its session.
    fn admit(
        &mut self,
        node: &Node,
        session: &str,
        turn: &Turn,
    ) -> Result<Option<Warning>, Skipped> {
        let Some((has_text, request)) = self.firsts.get(session) else {
            self.firsts.insert(session.to_owned(), (turn.has_text, turn.request.clone()));
            return Ok(None);
        };
        if *has_text != turn.has_text {
            let error = node.key("session_id").refuse(
                "a session of which all rows have text, or none; the session's first row is of the \
                 other kind",
            );
            return Err(Skipped::new("text and lengths in one session", error));
        }
        if *request == turn.request {
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

fn turn(row: &Node) -> Result<Turn, Skipped> {
    row.object().map_err(|error| Skipped::new("no object", error))?;
    let times = RecordedTurn {
        sent_at_ns: millis(&row.key("timestamp"))?,
        think_time_ns: millis(&row.key("delay"))?,
        model: row.key("model").value().and_then(Value::as_str).map(str::to_owned),
        ..RecordedTurn::default()
    };
    let mut request = extra(&row.key("extra"))?;
    let has = |key: &str| row.key(key).not_null().is_some();
    let (messages, recorded) = if has("messages") || has("text_input") {
        if let Some(tools) = openai::tools(&row.key("tools"))? {
            request.insert("tools".to_owned(), tools);
        }
        let whole = has("messages");
        let messages =
            if whole { openai::messages(&row.key("messages"))? } else { vec![text_input(row)?] };
        let answer = count(&row.key("output_length"), "answer without tokens")?;
        let recorded = RecordedTurn { standalone: whole, ..times };
        (messages, answer.map_or(recorded.clone(), |tokens| recorded.with_answer_tokens(tokens)))
    } else if has("payload") {
        payload(&row.key("payload"), times, &mut request)?
    } else {
        let hash_ids = hash_ids(&row.key("hash_ids"))?;
        let lengths = lengths(&row.key("input_length"), &row.key("output_length"))?;
        let RecordedTurn { sent_at_ns, think_time_ns, model, .. } = times;
        (Vec::new(), RecordedTurn { sent_at_ns, think_time_ns, model, hash_ids, ..lengths })
    };
    let has_text = !messages.is_empty();
    let exchange = Exchange { messages, answer: None, recorded };
    Ok(Turn { exchange, request, has_text })
}

fn text_input(row: &Node) -> Result<Message, Skipped> {
    let node = row.key("text_input");
    let text = node.string("a string").map_err(|error| Skipped::new("malformed text", error))?;
    Ok(Message::new("user", text))
}

fn extra(node: &Node) -> Result<Map<String, Value>, Skipped> {
    if node.not_null().is_none() {
        return Ok(Map::new());
    }
    node.object().cloned().map_err(|error| Skipped::new("malformed extra", error))
}

/// A request as it was sent. What the run sets itself is not taken from it.
fn payload(
    node: &Node,
    times: RecordedTurn,
    request: &mut Map<String, Value>,
) -> Result<(Vec<Message>, RecordedTurn), Skipped> {
    const OF_THE_RUN: [&str; 8] = [
        "messages",
        "model",
        "max_tokens",
        "max_completion_tokens",
        "min_tokens",
        "stream",
        "stream_options",
        "n",
    ];
    let object = node.object().map_err(|error| Skipped::new("malformed payload", error))?;
    let messages = openai::messages(&node.key("messages"))?;
    let cap = match openai::tokens(&node.key("max_completion_tokens"))? {
        Some(cap) => Some(cap),
        None => openai::tokens(&node.key("max_tokens"))?,
    };
    let model = node.key("model").value().and_then(Value::as_str).map(str::to_owned);
    let recorded = RecordedTurn {
        model: model.or(times.model),
        min_tokens: openai::tokens(&node.key("min_tokens"))?,
        max_tokens: cap,
        standalone: true,
        ..times
    };
    let others = object
        .iter()
        .filter(|(key, value)| !OF_THE_RUN.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()));
    // What `extra` says goes before.
    for (key, value) in others {
        request.entry(key).or_insert(value);
    }
    Ok((messages, recorded))
}

#[cfg(test)]
mod tests;
