//! AIPerf's inputs (0.13, dataset types `single_turn`, `multi_turn` and `random_pool`), JSONL or a
//! JSON list.
//!
//! - `{"session_id"?, "turns": [turn, …]}`: a conversation.
//! - A turn as a row: a conversation of one turn, or, where rows have the same `session_id`, the next
//!   turn of theirs, wherever in the file they stand. So the file is read through once before the
//!   first such session is handed out, and each session's rows again in its turn.
//!
//! A turn: `text` or `texts`, `image(s)`, `audio(s)`, `video(s)` (strings, or `{"name", "contents"}`),
//! `role`, `timestamp` or `delay` (milliseconds), `output_length`, `max_tokens`, `model`, `extra`.
//!
//! Each turn is a request that the server answers: files of AIPerf hold no answers. (If a turn has
//! the role `assistant`, it is the recorded answer to the turn before.) Kept: texts, media that are
//! URLs, `data:` URLs or `"wav,BASE64"`, times (counted from the first timestamp where that is a
//! date), `output_length` as the answer's exact length, `max_tokens` as a cap, `extra` of a
//! conversation's first turn for all its requests. Lost: names, media that are files (the conversation
//! is skipped); with a remark, what differs in later `extra`s, and turns that nothing is asked after,
//! such as a last one of the role `system`.
//!
//! Rows of AIPerf's trace type, with `input_length`, `hash_ids`, `text_input` or `messages`, are the
//! `mooncake` format's.

mod turn;

use serde_json::{Map, Value};
use turnbench_model::{Conversation, Message};

use self::turn::Turn;
use super::exchange::{Exchange, conversation_of};
use super::remarks::Remarks;
use super::row_groups::{RowGroup, RowGroups};
use super::trace::Clock;
use super::{Format, Item, Peek, Reader, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// AIPerf's inputs.
pub(super) const FORMAT: Format = Format {
    name: "aiperf",
    about: "AIPerf turns: {\"session_id\", \"turns\": [{\"text\"}]} or {\"text\"}, as JSONL or JSON",
    sniff,
    read,
};

/// Keys of rows that are other formats'.
const FOREIGN_KEYS: [&str; 10] = [
    "messages",
    "conversations",
    "conversation",
    "conversation_id",
    "input_length",
    "hash_ids",
    "text_input",
    "payload",
    "body",
    "requests",
];

fn sniff(peek: &Peek) -> bool {
    // Pages of a crawl have texts, too, and dates as text.
    let has_date = |row: &Value| row.get("timestamp").is_some_and(Value::is_string);
    if FOREIGN_KEYS.iter().any(|key| peek.has_keys(&[key])) || peek.rows().iter().any(has_date) {
        return false;
    }
    let first = peek.first();
    match first.get("turns") {
        Some(Value::Array(turns)) => turns.iter().any(turn::has_content),
        Some(_) => false,
        None => turn::has_content(first),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let groups = RowGroups::new(source, "session_id", |row| row.get("turns").is_some());
    let mut state = State::default();
    Ok(Box::new(groups.flat_map(move |group| match group {
        Ok(group) => state.items(&group),
        Err(error) => vec![Err(error)],
    })))
}

/// What a reader knows of the file so far.
#[derive(Default)]
struct State {
    clock: Clock,
    remarks: Remarks,
}

impl State {
    fn items(&mut self, group: &RowGroup) -> Vec<Result<Item, WorkloadError>> {
        let item = match self.conversation(group) {
            Ok(conversation) => Item::Conversation(Box::new(conversation)),
            Err(skipped) => Item::Skipped(skipped),
        };
        self.remarks.take().into_iter().chain([item]).map(Ok).collect()
    }

    fn conversation(&mut self, group: &RowGroup) -> Result<Conversation, Skipped> {
        let mut script = Script::default();
        for row in &group.rows {
            let node = row.node();
            node.object().map_err(|error| Skipped::new("no object", error))?;
            let turns = node.key("turns");
            if turns.value().is_none() {
                script.push(self.turn(&node)?);
                continue;
            }
            self.remarks.note_unknown_keys(&node, &["session_id", "type", "turns"]);
            let refuse = || Skipped::new("malformed turns", turns.refuse("a list of turns"));
            for turn in turns.items().ok_or_else(refuse)? {
                script.push(self.turn(&turn)?);
            }
        }
        if script.exchanges.is_empty() {
            let error = group.rows[0].node().refuse("a row with a turn to answer");
            return Err(Skipped::new("no turn to answer", error));
        }
        if let (Some(last), false) = (group.rows.last(), script.before.is_empty()) {
            let node = last.node();
            let key = if node.key("turns").value().is_some() { "turns" } else { "role" };
            let problem = "ends with what nothing is asked after, which is not sent";
            self.remarks.note(&node, key, problem);
        }
        if script.differs {
            let problem = "is not that of the conversation's first turn, which is sent";
            self.remarks.note(&group.rows[0].node(), "extra", problem);
        }
        let id = group.id.clone().unwrap_or_else(|| format!("row-{}", group.rows[0].index()));
        let request = script.request.unwrap_or_default();
        Ok(Conversation { request, ..conversation_of(id, script.exchanges) })
    }

    fn turn(&mut self, node: &Node) -> Result<Turn, Skipped> {
        let mut turn = turn::read(node)?;
        self.remarks.note_unknown_keys(node, &turn::KEYS);
        let sent_at = turn.recorded.sent_at_ns;
        let (sent_at, remark) = self.clock.since_first_date(sent_at, node, "timestamp");
        turn.recorded.sent_at_ns = sent_at;
        self.remarks.keep(remark);
        Ok(turn)
    }
}

/// A conversation as its turns are read.
#[derive(Default)]
struct Script {
    exchanges: Vec<Exchange>,
    /// Instructions before the next question.
    before: Vec<Message>,
    /// The first turn's `extra`.
    request: Option<Map<String, Value>>,
    differs: bool,
}

impl Script {
    fn push(&mut self, turn: Turn) {
        if turn.message.is_assistant() {
            match self.exchanges.last_mut().filter(|_| self.before.is_empty()) {
                Some(last) if last.answer.is_none() => last.answer = Some(turn.message),
                _ => self.before.push(turn.message),
            }
            return;
        }
        let asks = turn.message.asks();
        self.before.push(turn.message);
        if !asks {
            return;
        }
        match &self.request {
            None => self.request = Some(turn.extra),
            Some(first) => self.differs |= *first != turn.extra,
        }
        let messages = std::mem::take(&mut self.before);
        self.exchanges.push(Exchange { messages, answer: None, recorded: turn.recorded });
    }
}

#[cfg(test)]
mod tests;
