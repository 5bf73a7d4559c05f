//! `dynamo.request.trace.v1`: `{"schema", "event_type": "request_end", "event_time_unix_ms",
//! "agent_context": {"session_id", "parent_session_id"}, "request": {"request_id", "model",
//! "output_tokens", "request_received_ms", "total_time_ms", "ttft_ms", "replay":
//! {"trace_block_size", "input_length", "input_sequence_hashes"}}}`. Rows of other events are passed
//! over: tool calls show as the time between requests.
//!
//! Kept: times (from the first request on), lengths, block hashes, sessions with their parents:
//! the turns that the parent had sent, and its first one after the session's end. A request without
//! a session is a conversation of its own. Lost: names and results of tool calls.

use std::collections::BTreeMap;

use serde_json::Value;
use turnbench_model::{Nanos, Parent, RecordedTurn};

use super::super::gathered::Gather;
use super::super::row_groups::id_of;
use super::super::trace::{count, hash_ids, lengths};
use super::super::units::millis;
use super::super::{Item, Row, Skipped};
use super::{Call, REQUESTS, Sessions, text};
use crate::WorkloadError;
use crate::json_file::Node;

/// Tokens of a block where a request does not say.
const BLOCK_SIZE: u32 = 64;

/// Requests by session, and the sessions' parents.
pub(super) struct Requests {
    sessions: Sessions,
    parents: BTreeMap<String, String>,
}

impl Requests {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, parents: BTreeMap::new() }
    }
}

impl Gather for Requests {
    fn take(&mut self, row: &Row) -> Result<Vec<Item>, WorkloadError> {
        let value = row.value()?;
        if value.is_object() && value["event_type"] != "request_end" {
            return Ok(Vec::new());
        }
        let (block_size, call) = match call(&row.node(&value)) {
            Ok(read) => read,
            Err(skipped) => return Ok(vec![Item::Skipped(skipped)]),
        };
        let context = &value["agent_context"];
        let id = id_of(context, "session_id").or_else(|| id_of(&value["request"], "request_id"));
        let id = id.unwrap_or_else(|| format!("row-{}", row.index));
        if let Some(place) = self.sessions.place("", &id, block_size) {
            if let Some(parent) = id_of(context, "parent_session_id") {
                self.parents.insert(id, parent);
            }
            self.sessions.all[place].calls.push(call);
        }
        Ok(Vec::new())
    }

    fn finish(mut self) -> Box<dyn Iterator<Item = Item> + Send> {
        arrange(&mut self.sessions);
        for (id, parent) in self.parents {
            link(&mut self.sessions, &id, &parent);
        }
        self.sessions.into_items()
    }
}

/// A request and the size of its blocks.
fn call(row: &Node) -> Result<(u32, Call), Skipped> {
    row.object().map_err(|error| Skipped::new("no object", error))?;
    let schema = row.key("schema");
    if schema.value().and_then(Value::as_str) != Some(REQUESTS) {
        return Err(Skipped::new("unknown schema", schema.refuse(&format!("{REQUESTS:?}"))));
    }
    let request = row.key("request");
    let replay = request.key("replay");
    let block_size = count(&replay.key("trace_block_size"), "block without tokens")?;
    let end = millis(&row.key("event_time_unix_ms"))?;
    let sent_at_ns = millis(&request.key("request_received_ms"))?;
    let latency_ns = match millis(&request.key("total_time_ms"))? {
        Some(latency) => Some(latency),
        None => sent_at_ns.zip(end).map(|(sent, end)| Nanos(end.0.saturating_sub(sent.0))),
    };
    let turn = RecordedTurn {
        sent_at_ns,
        latency_ns,
        ttft_ns: millis(&request.key("ttft_ms"))?,
        model: text(request.key("model").value()),
        hash_ids: hash_ids(&replay.key("input_sequence_hashes"))?,
        ..lengths(&replay.key("input_length"), &request.key("output_tokens"))?
    };
    let answered = sent_at_ns.zip(latency_ns).map(|(sent, took)| sent.0.saturating_add(took.0));
    Ok((block_size.unwrap_or(BLOCK_SIZE), Call { turn, end: answered.map(Nanos).or(end) }))
}

/// Puts the requests of each session in the order in which they were sent, and makes times of day
/// times since the first request.
fn arrange(sessions: &mut Sessions) {
    let all = || sessions.all.iter().flat_map(|session| &session.calls);
    let first = all().filter_map(|call| call.turn.sent_at_ns).min().unwrap_or(Nanos(0));
    let since = |time: Nanos| Nanos(time.0.saturating_sub(first.0));
    for session in &mut sessions.all {
        session.calls.sort_by_key(|call| call.turn.sent_at_ns);
        let mut end_before = None;
        for call in &mut session.calls {
            call.turn.sent_at_ns = call.turn.sent_at_ns.map(since);
            call.end = call.end.map(since);
            let pause = call.turn.sent_at_ns.zip(end_before);
            call.turn.think_time_ns =
                pause.and_then(|(sent, end): (Nanos, Nanos)| sent.0.checked_sub(end.0)).map(Nanos);
            end_before = call.end;
        }
    }
}

fn link(sessions: &mut Sessions, id: &str, parent: &str) {
    let place = |name: &str| sessions.places.get(&(String::new(), name.to_owned())).copied();
    let (Some(child), Some(place)) = (place(id), place(parent)) else { return };
    if child == place {
        return;
    }
    let calls = &sessions.all[child].calls;
    let begin = calls.iter().filter_map(|call| call.turn.sent_at_ns).min();
    let end = calls.iter().filter_map(|call| call.end).max();
    let sent = |call: &Call| call.turn.sent_at_ns;
    let parents = &sessions.all[place].calls;
    let after = parents.iter().filter(|call| sent(call) <= begin).count();
    let later = parents.iter().skip(after).position(|call| end.is_some() && sent(call) >= end);
    let number = |turns: usize| u32::try_from(turns).unwrap_or(u32::MAX);
    sessions.all[child].parent = Some(Parent {
        id: parent.to_owned(),
        after_turn: number(after),
        before_turn: later.map(|later| number(after + later + 1)),
    });
}
