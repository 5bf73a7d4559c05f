//! `dynamo.agentic_mooncake` of version 2: a header `{"schema", "version", "block_size",
//! "hash_id_scope"}`, then one row per request: `{"request_id", "play_id", "session_id", "model",
//! "input_length", "output_length", "hash_ids", "not_before_ms", "recorded_api_time_ms",
//! "dependencies": [{"request_id", "trigger", "delay_ms", "relation"}]}`.
//!
//! The requests of a session of a play are a conversation, `<play>/<session>`, in file order. Kept:
//! lengths, block names (which mean something within their play only; they are counted on from play
//! to play), the delay of a `sequence` as the think time, the answer's time, and `spawn` and `join`
//! as the place in the parent. Lost: other dependencies, and the delay of spawns and joins.

use std::collections::BTreeMap;

use serde_json::Value;
use turnbench_model::{Parent, RecordedTurn};

use super::super::row_groups::id_of;
use super::super::trace::{count, hash_ids, lengths};
use super::super::units::millis;
use super::super::{Item, Skipped, Source};
use super::{AGENTIC, Call, Sessions, text};
use crate::WorkloadError;
use crate::json_file::Node;

/// Tokens of a block where the header does not say.
const BLOCK_SIZE: u32 = 512;

pub(super) fn items(source: Source) -> Result<Vec<Item>, WorkloadError> {
    let mut sessions = Sessions::new(source.conversations_max());
    let mut plays = Plays::default();
    let mut items = Vec::new();
    let mut block_size = BLOCK_SIZE;
    for row in source.rows() {
        let row = row?;
        let value = row.value()?;
        let node = row.node(&value);
        let read = if value.get("schema").is_some() {
            header(&node).map(|size| block_size = size.unwrap_or(block_size))
        } else {
            plays.add(&node, &value, block_size, &mut sessions)
        };
        if let Err(skipped) = read {
            items.push(Item::Skipped(skipped));
        }
    }
    plays.finish(&mut sessions);
    items.extend(sessions.all.into_iter().map(super::Session::conversation));
    Ok(items)
}

/// The size of blocks.
fn header(row: &Node) -> Result<Option<u32>, Skipped> {
    let schema = row.key("schema");
    if schema.value().and_then(Value::as_str) != Some(AGENTIC) {
        return Err(Skipped::new("unknown schema", schema.refuse(&format!("{AGENTIC:?}"))));
    }
    let version = row.key("version");
    if version.value().and_then(Value::as_u64) != Some(2) {
        return Err(Skipped::new("unknown schema", version.refuse("2")));
    }
    count(&row.key("block_size"), "block without tokens")
}

/// What is known of the plays.
#[derive(Debug, Default)]
struct Plays {
    /// Index of each play's ids, by name.
    index: BTreeMap<String, usize>,
    /// One more than the highest id of each.
    ids_end: Vec<u64>,
    /// Play of each session.
    of_session: Vec<usize>,
    /// Session and turn (from 1) of each request, by play and id.
    requests: BTreeMap<(usize, String), (usize, u32)>,
    /// What each request said of others: its session and turn, and the other's id.
    spawns: Vec<(usize, String)>,
    joins: Vec<(usize, u32, String)>,
}

impl Plays {
    fn add(
        &mut self,
        row: &Node,
        value: &Value,
        block_size: u32,
        sessions: &mut Sessions,
    ) -> Result<(), Skipped> {
        row.object().map_err(|error| Skipped::new("no object", error))?;
        let named = |key: &str| {
            id_of(value, key).ok_or_else(|| {
                let error = row.key(key).refuse("a string, or a whole number");
                Skipped::new("unnamed request", error)
            })
        };
        let (play, session, request) =
            (named("play_id")?, named("session_id")?, named("request_id")?);
        let mut turn = RecordedTurn {
            latency_ns: millis(&row.key("recorded_api_time_ms"))?,
            model: text(row.key("model").value()),
            hash_ids: hash_ids(&row.key("hash_ids"))?,
            ..lengths(&row.key("input_length"), &row.key("output_length"))?
        };
        let dependencies: Vec<Node> =
            row.key("dependencies").items().into_iter().flatten().collect();
        let not_before = millis(&row.key("not_before_ms"))?;
        // With something to wait for, 0 is no time but the lack of one.
        turn.sent_at_ns = not_before.filter(|at| at.0 > 0 || dependencies.is_empty());
        for dependency in dependencies.iter().filter(|it| relation(it) == Some("sequence")) {
            turn.think_time_ns = millis(&dependency.key("delay_ms"))?;
        }
        let Some(place) = sessions.place(&format!("{play}/{session}"), block_size) else {
            return Ok(());
        };
        let play = self.play(play);
        if place == self.of_session.len() {
            self.of_session.push(play);
        }
        let end = turn.hash_ids.iter().max().map_or(0, |id| id.wrapping_add(1));
        self.ids_end[play] = self.ids_end[play].max(end);
        let calls = &mut sessions.all[place].calls;
        calls.push(Call { turn, end: None });
        let number = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        self.requests.insert((play, request), (place, number));
        for dependency in &dependencies {
            let other = dependency.value().and_then(|value| id_of(value, "request_id"));
            match (relation(dependency), other) {
                (Some("spawn"), Some(other)) if number == 1 => self.spawns.push((place, other)),
                (Some("join"), Some(other)) => self.joins.push((place, number, other)),
                _ => {}
            }
        }
        Ok(())
    }

    fn play(&mut self, name: String) -> usize {
        let new = self.ids_end.len();
        let play = *self.index.entry(name).or_insert(new);
        if play == new {
            self.ids_end.push(0);
        }
        play
    }

    /// Links sessions to their parents, and gives each play ids of its own.
    fn finish(&self, sessions: &mut Sessions) {
        for (child, other) in &self.spawns {
            let play = self.of_session[*child];
            let spawner = self.requests.get(&(play, other.clone())).copied();
            let Some((parent, after_turn)) = spawner.filter(|(place, _)| place != child) else {
                continue;
            };
            let joined = |(place, _, other): &&(usize, u32, String)| {
                let of = self.requests.get(&(play, other.clone()));
                *place == parent && of.is_some_and(|(place, _)| place == child)
            };
            let before_turn = self.joins.iter().find(joined).map(|(_, number, _)| *number);
            let id = sessions.all[parent].id.clone();
            sessions.all[*child].parent = Some(Parent { id, after_turn, before_turn });
        }
        let mut before = 0_u64;
        let mut ids_before = Vec::with_capacity(self.ids_end.len());
        for end in &self.ids_end {
            ids_before.push(before);
            before = before.wrapping_add(*end);
        }
        for (session, &play) in sessions.all.iter_mut().zip(&self.of_session) {
            let ids = session.calls.iter_mut().flat_map(|call| &mut call.turn.hash_ids);
            ids.for_each(|id| *id = id.wrapping_add(ids_before[play]));
        }
    }
}

fn relation<'a>(dependency: &Node<'a>) -> Option<&'a str> {
    dependency.value()?.get("relation")?.as_str()
}
