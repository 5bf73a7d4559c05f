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
//! are counted on from one trace to the next, so that traces share nothing.
//! Lost: `input_types`, `output_types`, `stop`, the split of the prompt into tools and system
//! prompt, and totals.

use std::collections::BTreeSet;

use serde_json::Value;
use turnbench_model::{Conversation, Nanos, Parent, RecordedTurn};

use super::row_groups::id_of;
use super::trace::{hash_ids, lengths};
use super::units::seconds;
use super::{Contents, Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Traces of coding agents.
pub(super) const FORMAT: Format = Format {
    name: "weka",
    about: "kv-cache-tester traces: {\"id\", \"block_size\", \"requests\"}, as JSON or JSONL",
    contents: Contents::HashIds,
    sniff,
    read,
};

/// Tokens of a block where a trace does not say.
const BLOCK_SIZE: u32 = 64;

fn sniff(peek: &Peek) -> bool {
    let is_request = |row: &Value| row.get("type").is_some() && row.get("t").is_some();
    let requests = peek.first().get("requests").and_then(Value::as_array);
    requests.is_some_and(|requests| requests.first().is_none_or(is_request))
        && (peek.has_keys(&["hash_id_scope"]) || peek.has_keys(&["block_size"]))
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let mut ids_before = 0;
    Ok(Box::new(source.rows().flat_map(move |row| match row {
        Ok(row) => items(&row, &mut ids_before),
        Err(error) => vec![Err(error)],
    })))
}

/// The conversations of a trace; `ids_before` is the end of the ids of the traces before it.
fn items(row: &Row, ids_before: &mut u64) -> Vec<Result<Item, WorkloadError>> {
    let value = match row.value() {
        Ok(value) => value,
        Err(error) => return vec![Err(error)],
    };
    let items = trace(&row.node(&value), row.index, ids_before);
    items.unwrap_or_else(|skipped| vec![Item::Skipped(skipped)]).into_iter().map(Ok).collect()
}

fn trace(node: &Node, index: u64, ids_before: &mut u64) -> Result<Vec<Item>, Skipped> {
    node.object().map_err(|error| Skipped::new("no object", error))?;
    let id = node.value().and_then(|value| id_of(value, "id"));
    let mut reading = Reading {
        block_size: super::trace::count(&node.key("block_size"), "malformed block_size")?
            .unwrap_or(BLOCK_SIZE),
        ids_before: match node.key("hash_id_scope").not_null().and_then(Value::as_str) {
            Some("global") => 0,
            Some(_) | None => *ids_before,
        },
        ids_end: *ids_before,
        names: BTreeSet::new(),
        items: Vec::new(),
    };
    let id = id.unwrap_or_else(|| format!("row-{index}"));
    reading.agent(node, &id, None, Nanos(0))?;
    *ids_before = reading.ids_end;
    Ok(reading.items)
}

/// A trace being read.
struct Reading {
    block_size: u32,
    /// What is added to the ids.
    ids_before: u64,
    /// One more than the highest id so far.
    ids_end: u64,
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
        for entry in entries {
            match self.entry(&entry, start, recorded.len()) {
                Ok(Entry::Turn(turn)) => recorded.push(turn),
                Ok(Entry::Agent(begin, end)) => {
                    let after_turn = u32::try_from(recorded.len()).unwrap_or(u32::MAX);
                    started.push(Started { node: entry, after_turn, begin, end });
                }
                Err(skipped) => self.items.push(Item::Skipped(skipped)),
            }
        }
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
        } else if started.is_empty() {
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

    fn entry(&mut self, entry: &Node, start: Nanos, turns_before: usize) -> Result<Entry, Skipped> {
        entry.object().map_err(|error| Skipped::new("no object", error))?;
        let kind = entry.key("type");
        let begin = seconds(&entry.key("t"))?.map(|t| Nanos(start.0.saturating_add(t.0)));
        match kind.not_null().and_then(Value::as_str) {
            Some("n" | "s") => Ok(Entry::Turn(self.turn(entry, begin, turns_before)?)),
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

    fn turn(
        &mut self,
        entry: &Node,
        sent_at_ns: Option<Nanos>,
        turns_before: usize,
    ) -> Result<RecordedTurn, Skipped> {
        let ids_node = entry.key("hash_ids");
        let mut hash_ids = hash_ids(&ids_node)?;
        for id in &mut hash_ids {
            let moved = self.ids_before.checked_add(*id).filter(|&moved| moved < u64::MAX);
            *id = moved.ok_or_else(|| {
                let allowed = "ids of a trace counted from 0 or 1";
                Skipped::new("malformed hash_ids", ids_node.refuse(allowed))
            })?;
        }
        let lengths = lengths(&entry.key("in"), &entry.key("out"))?;
        let end = hash_ids.iter().max().map_or(0, |&id| id + 1);
        self.ids_end = self.ids_end.max(end);
        // The first request waited for nothing.
        let think_time_ns = seconds(&entry.key("think_time"))?.filter(|_| turns_before > 0);
        Ok(RecordedTurn {
            sent_at_ns,
            think_time_ns,
            latency_ns: seconds(&entry.key("api_time"))?,
            ttft_ns: seconds(&entry.key("ttft"))?,
            model: entry.key("model").value().and_then(Value::as_str).map(str::to_owned),
            hash_ids,
            ..lengths
        })
    }
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
mod tests {
    use proptest::prelude::*;
    use turnbench_model::{Nanos, Parent};

    use super::FORMAT;
    use crate::format::testing::{mutated, read, read_anyway, sample, source, source_of_bytes};

    fn check(name: &str, conversations: usize, requests: usize, sums: (u64, u64)) {
        let seen = read(&FORMAT, sample(&format!("weka/{name}")));
        assert_eq!((seen.skips.len(), seen.remarks.len(), &seen.error), (0, 0, &None), "{name}");
        assert_eq!(seen.conversations.len(), conversations, "{name}");
        let turns: Vec<_> = seen.conversations.iter().flat_map(|it| &it.recorded).collect();
        assert_eq!(turns.len(), requests, "{name}");
        let sum = |all: Vec<Option<u32>>| all.into_iter().flatten().map(u64::from).sum::<u64>();
        assert_eq!(sum(turns.iter().map(|turn| turn.prompt_tokens).collect()), sums.0, "{name}");
        assert_eq!(sum(turns.iter().map(|turn| turn.max_tokens).collect()), sums.1, "{name}");
        assert!(seen.conversations.iter().all(|it| it.hash_block_size == Some(64)), "{name}");
        assert!(turns.iter().all(|turn| turn.standalone), "{name}");
    }

    #[test]
    fn traces_from_the_field_are_read_whole() {
        check("trace_0022.json.zst", 1, 7, (271_839, 2_436));
        check("trace_0026.json", 1, 3, (52_760, 5_294));
        check("trace_0032.json.zst", 1, 3, (383_525, 6_928));
        check("trace_0291-subagent.json.zst", 3, 32, (2_254_119, 19_504));
    }

    #[test]
    fn sub_agents_are_conversations_that_fork() {
        let seen = read(&FORMAT, sample("weka/trace_0291-subagent.json.zst"));
        let parents: Vec<_> =
            seen.conversations.iter().map(|it| (it.id.as_str(), it.parent.clone())).collect();
        let fork = |before_turn| {
            let id = "trace_0291".to_owned();
            Some(Parent { id, after_turn: 16, before_turn: Some(before_turn) })
        };
        assert_eq!(
            parents,
            [
                ("trace_0291", None),
                ("trace_0291/agent_001", fork(17)),
                ("trace_0291/agent_002", fork(18)),
            ]
        );
        let second = &seen.conversations[1].recorded[1];
        assert_eq!(second.sent_at_ns, Some(Nanos(1_153_013_000_000)));
        assert_eq!(second.think_time_ns, Some(Nanos(3_000_000_000)));
        assert_eq!(second.latency_ns, Some(Nanos(2_880_000_000)));
        assert_eq!(second.model.as_deref(), Some("claude-haiku-4-5-20251001"));
    }

    #[test]
    fn streamed_requests_have_a_time_to_first_token() {
        let seen = read(&FORMAT, sample("weka/trace_0032.json.zst"));
        let ttft: Vec<_> = seen.conversations[0].recorded.iter().map(|it| it.ttft_ns).collect();
        assert_eq!(ttft, [Some(Nanos(4_070_000_000)), None, None]);
        let think = seen.conversations[0].recorded[1].think_time_ns;
        assert_eq!(think, Some(Nanos(91_000_000_000)));
    }

    const TWO: &str = r#"[{"id": "a", "block_size": 4, "hash_id_scope": "local", "requests": [
        {"t": 0, "type": "n", "in": 9, "out": 1, "hash_ids": [1, 2]},
        {"t": 1, "type": "subagent", "agent_id": "x", "requests": [
            {"t": 0, "type": "subagent", "requests": [
                {"t": 0.5, "type": "n", "in": 4, "out": 1, "api_time": 2, "hash_ids": [3]}]}]},
        {"t": 5, "type": "n", "in": 9, "out": 1, "hash_ids": [1, 2]}]},
        {"block_size": 4, "requests": [{"type": "n", "in": 9, "out": 1, "hash_ids": [1, 2]}]}]"#;

    #[test]
    fn traces_share_nothing_with_one_another() {
        let seen = read(&FORMAT, source(TWO));
        let ids: Vec<_> = seen
            .conversations
            .iter()
            .map(|it| (it.id.as_str(), it.recorded[0].hash_ids.as_slice()))
            .collect();
        let expect: [(&str, &[u64]); 3] =
            [("a", &[1, 2]), ("a/x/agent-0", &[3]), ("row-1", &[5, 6])];
        assert_eq!(ids, expect);
        let global = TWO
            .replace("local", "global")
            .replace("{\"block_size\"", "{\"hash_id_scope\": \"global\", \"block_size\"");
        let seen = read(&FORMAT, source(&global));
        assert_eq!(seen.conversations[2].recorded[0].hash_ids, [1, 2]);
    }

    #[test]
    fn an_agent_that_only_starts_others_is_no_parent() {
        let seen = read(&FORMAT, source(TWO));
        assert_eq!(seen.conversations[1].parent, None);
        assert_eq!(seen.conversations[1].recorded[0].sent_at_ns, Some(Nanos(1_500_000_000)));
    }

    fn check_skip(request: &str, expect: &str) {
        let text = format!(
            "{{\"id\": \"a\", \"block_size\": 4, \"requests\": [{request}, \
             {{\"t\": 1, \"type\": \"n\", \"in\": 5, \"out\": 2}}]}}"
        );
        let seen = read_anyway(&FORMAT, source(&text));
        assert_eq!(seen.conversations.len(), 1, "{request}");
        assert!(seen.skips[0].starts_with(expect), "{:?}", seen.skips);
    }

    #[test]
    fn odd_requests_are_skipped_by_reason() {
        check_skip("5", "no object: in.data:1: requests[0] is 5, allowed is a JSON object");
        check_skip(
            r#"{"type": "x"}"#,
            "unknown request type: in.data:1: requests[0].type is \"x\"",
        );
        check_skip(r#"{"type": "n", "out": 1}"#, "no prompt length: in.data:1: requests[0].in is");
        check_skip(r#"{"type": "n", "in": 0}"#, "prompt without tokens: ");
        check_skip(r#"{"type": "n", "in": 4, "out": 0}"#, "answer without tokens: ");
        check_skip(
            r#"{"type": "n", "in": 4, "t": -1}"#,
            "malformed time: in.data:1: requests[0].t",
        );
        check_skip(
            r#"{"type": "n", "in": 4, "hash_ids": [18446744073709551615]}"#,
            "malformed hash_ids: in.data:1: requests[0].hash_ids is a list of 1",
        );
        check_skip(r#"{"type": "subagent", "agent_id": "x"}"#, "no requests: ");
        check_skip(r#"{"type": "subagent", "agent_id": "x", "requests": []}"#, "no requests: ");
        check_skip(r#"{"type": "subagent", "duration_ms": "long"}"#, "malformed time: ");
    }

    #[test]
    fn a_trace_without_requests_is_skipped() {
        let seen = read_anyway(&FORMAT, source("[{\"id\": \"a\"}, 5, {\"block_size\": 0}]"));
        assert_eq!(seen.conversations.len(), 0);
        assert_eq!(
            seen.skips,
            [
                "no requests: in.data: [0].requests is missing, allowed is a list of requests",
                "no object: in.data: [1] is 5, allowed is a JSON object",
                "malformed block_size: in.data: [2].block_size is 0, allowed is a whole number of \
                 tokens, from 1",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_trace_makes_the_reader_panic(bytes in mutated(&[TWO])) {
            read_anyway(&FORMAT, source_of_bytes(&bytes));
        }
    }
}
