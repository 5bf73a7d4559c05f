//! Traces of coding agents as kv-cache-tester has them (callanjfox/kv-cache-tester of 2026,
//! published by WEKA): one JSON object per file, or several in a list or JSONL.
//!
//! `{"id", "block_size", "hash_id_scope", "requests": […]}`, where a request is `{"t", "type",
//! "model", "in", "out", "hash_ids", "api_time", "think_time", "ttft"}` of type `n`, or `s` if it
//! was streamed, and an entry of type `subagent` has `requests` of its own, with times from its
//! own beginning. Times are in seconds.
//!
//! Kept: all of these. A trace is a conversation, and each sub-agent another one (`<id>/<agent
//! id>`) with its parent: the turns that were sent before it began, and the first one sent after
//! its end. Ids of the scope `local` (the usual one) mean something within their trace only; they
//! are counted on from one trace to the next, or numbered where they are hashes, so that traces
//! share nothing.
//! Lost: `input_types`, `output_types`, `stop`, the split of the prompt into tools and system
//! prompt, and totals.

use std::collections::BTreeSet;

use serde_json::Value;
use turnbench_model::{Conversation, Nanos, Parent, RecordedTurn};

use super::local_ids::LocalIds;
use super::row_groups::id_of;
use super::trace::{hash_ids, lengths};
use super::units::seconds;
use super::{Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Traces of coding agents.
pub(super) const FORMAT: Format = Format {
    name: "weka",
    about: "kv-cache-tester traces: {\"id\", \"block_size\", \"requests\"}, as JSON or JSONL",
    sniff,
    read,
};

/// Tokens of a block where a trace does not say.
const BLOCK_SIZE: u32 = 64;

fn sniff(peek: &Peek) -> bool {
    let is_request = |row: &Value| row.get("type").is_some() && row.get("t").is_some();
    // So plain that the keys beside need not say it.
    let is_plain = |row: &Value| {
        let kind = row.get("type").and_then(Value::as_str);
        let told_by = match kind {
            Some("n" | "s") => "in",
            Some("subagent") => "requests",
            Some(_) | None => return false,
        };
        row.get("t").is_some_and(Value::is_number) && row.get(told_by).is_some()
    };
    let requests = peek.first().get("requests").and_then(Value::as_array);
    requests.is_some_and(|requests| {
        let first = requests.first();
        first.is_some_and(is_plain)
            || first.is_none_or(is_request)
                && (peek.has_keys(&["hash_id_scope"]) || peek.has_keys(&["block_size"]))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let mut local_ids = LocalIds::default();
    Ok(Box::new(source.rows().flat_map(move |row| match row {
        Ok(row) => items(&row, &mut local_ids),
        Err(error) => vec![Err(error)],
    })))
}

/// The conversations of a trace.
fn items(row: &Row, local_ids: &mut LocalIds) -> Vec<Result<Item, WorkloadError>> {
    let value = match row.value() {
        Ok(value) => value,
        Err(error) => return vec![Err(error)],
    };
    let items = trace(&row.node(&value), row.index, local_ids);
    items.unwrap_or_else(|skipped| vec![Item::Skipped(skipped)]).into_iter().map(Ok).collect()
}

fn trace(node: &Node, index: u64, local_ids: &mut LocalIds) -> Result<Vec<Item>, Skipped> {
    node.object().map_err(|error| Skipped::new("no object", error))?;
    let id = node.value().and_then(|value| id_of(value, "id"));
    let block_size = super::trace::count(&node.key("block_size"), "malformed block_size")?;
    let mut reading = Reading {
        block_size: block_size.unwrap_or(BLOCK_SIZE),
        names: BTreeSet::new(),
        items: Vec::new(),
    };
    let id = id.unwrap_or_else(|| format!("row-{index}"));
    if let Err(skipped) = reading.agent(node, &id, None, Nanos(0)) {
        reading.items.push(Item::Skipped(skipped));
    }
    let mut ids: Vec<&mut Vec<u64>> = Vec::new();
    for item in &mut reading.items {
        if let Item::Conversation(conversation) = item {
            ids.extend(conversation.recorded.iter_mut().map(|turn| &mut turn.hash_ids));
        }
    }
    match node.key("hash_id_scope").not_null().and_then(Value::as_str) {
        Some("global") => local_ids.keep(&ids),
        Some(_) | None => local_ids.rename(&mut ids),
    }
    Ok(reading.items)
}

/// A trace being read.
struct Reading {
    block_size: u32,
    /// Names of conversations.
    names: BTreeSet<String>,
    items: Vec<Item>,
}

/// A sub-agent, as its parent sees it.
struct Started<'a> {
    node: Node<'a>,
    after_turn: u32,
    begin: Nanos,
    end: Nanos,
}

impl Reading {
    /// The requests of one agent, then those of its sub-agents; times are from `start`.
    fn agent(
        &mut self,
        node: &Node,
        name: &str,
        parent: Option<Parent>,
        start: Nanos,
    ) -> Result<(), Skipped> {
        let requests = node.key("requests");
        let allowed = "a list of requests";
        let entries = requests
            .items()
            .ok_or_else(|| Skipped::new("no requests", requests.refuse(allowed)))?;
        let (mut recorded, mut started) = (Vec::new(), Vec::new());
        let items_before = self.items.len();
        for entry in entries {
            match read_entry(&entry, start, recorded.len()) {
                Ok(Entry::Turn(turn)) => recorded.push(turn),
                Ok(Entry::Agent(begin, end)) => {
                    let after_turn = u32::try_from(recorded.len()).unwrap_or(u32::MAX);
                    started.push(Started { node: entry, after_turn, begin, end });
                }
                Err(skipped) => self.items.push(Item::Skipped(skipped)),
            }
        }
        let has_skips = self.items.len() > items_before;
        let name = self.unique(name);
        let sent: Vec<Option<Nanos>> = recorded.iter().map(|turn| turn.sent_at_ns).collect();
        let is_there = !recorded.is_empty();
        if is_there {
            let has_ids = recorded.iter().any(|turn| !turn.hash_ids.is_empty());
            let hash_block_size = has_ids.then_some(self.block_size);
            let conversation = Conversation {
                recorded,
                hash_block_size,
                parent,
                ..Conversation::new(name.clone(), Vec::new())
            };
            self.items.push(Item::Conversation(Box::new(conversation)));
        } else if started.is_empty() && !has_skips {
            let error = requests.refuse("a list with one request at least");
            return Err(Skipped::new("no requests", error));
        }
        for (number, agent) in started.into_iter().enumerate() {
            let own = agent.node.value().and_then(|value| id_of(value, "agent_id"));
            let own = own.unwrap_or_else(|| format!("agent-{number}"));
            let parent = is_there.then(|| Parent {
                id: name.clone(),
                after_turn: agent.after_turn,
                before_turn: first_after(&sent, &agent),
            });
            let read = self.agent(&agent.node, &format!("{name}/{own}"), parent, agent.begin);
            if let Err(skipped) = read {
                self.items.push(Item::Skipped(skipped));
            }
        }
        Ok(())
    }

    /// A name that no other conversation of the trace has.
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut number = 2;
        while !self.names.insert(unique.clone()) {
            unique = format!("{name}-{number}");
            number += 1;
        }
        unique
    }
}

fn read_entry(entry: &Node, start: Nanos, turns_before: usize) -> Result<Entry, Skipped> {
    entry.object().map_err(|error| Skipped::new("no object", error))?;
    let kind = entry.key("type");
    let begin = seconds(&entry.key("t"))?.map(|t| Nanos(start.0.saturating_add(t.0)));
    match kind.not_null().and_then(Value::as_str) {
        Some("n" | "s") => Ok(Entry::Turn(read_turn(entry, begin, turns_before)?)),
        Some("subagent") => {
            let begin = begin.unwrap_or(start);
            Ok(Entry::Agent(begin, agent_end(entry, begin)?))
        }
        Some(_) | None => {
            let error = kind.refuse("\"n\", \"s\" or \"subagent\"");
            Err(Skipped::new("unknown request type", error))
        }
    }
}

fn read_turn(
    entry: &Node,
    sent_at_ns: Option<Nanos>,
    turns_before: usize,
) -> Result<RecordedTurn, Skipped> {
    let lengths = lengths(&entry.key("in"), &entry.key("out"))?;
    // The first request waited for nothing.
    let think_time_ns = seconds(&entry.key("think_time"))?.filter(|_| turns_before > 0);
    Ok(RecordedTurn {
        sent_at_ns,
        think_time_ns,
        latency_ns: seconds(&entry.key("api_time"))?,
        ttft_ns: seconds(&entry.key("ttft"))?,
        model: entry.key("model").value().and_then(Value::as_str).map(str::to_owned),
        hash_ids: hash_ids(&entry.key("hash_ids"))?,
        ..lengths
    })
}

enum Entry {
    Turn(RecordedTurn),
    /// Begin and end.
    Agent(Nanos, Nanos),
}

/// When a sub-agent was done: as it says, or when the last of its answers was.
fn agent_end(entry: &Node, begin: Nanos) -> Result<Nanos, Skipped> {
    let after_begin = |span: Nanos| Nanos(begin.0.saturating_add(span.0));
    if let Some(duration) = super::units::millis(&entry.key("duration_ms"))? {
        return Ok(after_begin(duration));
    }
    let mut end = begin;
    for request in entry.key("requests").items().into_iter().flatten() {
        let spans = [seconds(&request.key("t"))?, seconds(&request.key("api_time"))?];
        let span = spans.into_iter().flatten().fold(0, |sum: u64, one| sum.saturating_add(one.0));
        end = end.max(after_begin(Nanos(span)));
    }
    Ok(end)
}

/// The first turn (from 1) of the parent that was sent when the sub-agent was done.
fn first_after(sent: &[Option<Nanos>], agent: &Started) -> Option<u32> {
    let later = (agent.after_turn as usize)..sent.len();
    let turn = later.into_iter().find(|&turn| sent[turn].is_some_and(|at| at >= agent.end))?;
    u32::try_from(turn + 1).ok()
}

#[cfg(test)]
mod tests;
