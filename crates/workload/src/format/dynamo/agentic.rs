//! `dynamo.agentic_mooncake` of version 2: a header `{"schema", "version", "block_size",
//! "hash_id_scope"}`, then one row per request: `{"request_id", "play_id", "session_id", "model",
//! "input_length", "output_length", "hash_ids", "not_before_ms", "recorded_api_time_ms",
//! "dependencies": [{"request_id", "trigger", "delay_ms", "relation"}]}`.
//!
//! The requests of a session of a play are a conversation, `<play>/<session>`, in file order. Kept:
//! lengths, block names (which mean something within their play only; they are counted on from play
//! to play, or numbered where they are hashes), the delay of a `sequence` as the think time, the answer's time, and `spawn` and `join`
//! as the place in the parent. Lost: other dependencies, and the delay of spawns and joins.

use std::collections::BTreeMap;

use serde_json::Value;
use turnbench_model::{Parent, RecordedTurn};

use super::super::gathered::Gather;
use super::super::local_ids::LocalIds;
use super::super::row_groups::id_of;
use super::super::trace::{count, hash_ids, lengths};
use super::super::units::millis;
use super::super::{Item, Row, Skipped};
use super::{AGENTIC, Call, Sessions, text};
use crate::WorkloadError;
use crate::json_file::Node;

/// Tokens of a block where the header does not say.
const BLOCK_SIZE: u32 = 512;

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
#[derive(Debug)]
pub(super) struct Plays {
    sessions: Sessions,
    /// Tokens of a block.
    block_size: u32,
    /// Number of each play, by name.
    index: BTreeMap<String, usize>,
    /// Play of each session.
    of_session: Vec<usize>,
    /// Session and turn (from 1) of each request, by play and id.
    requests: BTreeMap<(usize, String), (usize, u32)>,
    /// What each request said of others: its session and turn, and the other's id.
    spawns: Vec<(usize, String)>,
    joins: Vec<(usize, u32, String)>,
}

impl Gather for Plays {
    fn take(&mut self, row: &Row) -> Result<Vec<Item>, WorkloadError> {
        let value = row.value()?;
        let node = row.node(&value);
        let read = if value.get("schema").is_some() {
            header(&node).map(|size| self.block_size = size.unwrap_or(self.block_size))
        } else {
            self.add(&node, &value)
        };
        Ok(read.err().map(Item::Skipped).into_iter().collect())
    }

    fn finish(mut self) -> Box<dyn Iterator<Item = Item> + Send> {
        self.link();
        self.rename_blocks();
        self.sessions.into_items()
    }
}

impl Plays {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            block_size: BLOCK_SIZE,
            index: BTreeMap::new(),
            of_session: Vec::new(),
            requests: BTreeMap::new(),
            spawns: Vec::new(),
            joins: Vec::new(),
        }
    }

    fn add(&mut self, row: &Node, value: &Value) -> Result<(), Skipped> {
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
        let Some(place) = self.sessions.place(&play, &session, self.block_size) else {
            return Ok(());
        };
        let new = self.index.len();
        let play = *self.index.entry(play).or_insert(new);
        if place == self.of_session.len() {
            self.of_session.push(play);
        }
        let calls = &mut self.sessions.all[place].calls;
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

    /// Links sessions to their parents.
    fn link(&mut self) {
        let sessions = &mut self.sessions;
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
    }

    /// Gives each play block names of its own.
    fn rename_blocks(&mut self) {
        let mut of_play: Vec<Vec<&mut Vec<u64>>> = Vec::new();
        of_play.resize_with(self.index.len(), Vec::new);
        for (session, &play) in self.sessions.all.iter_mut().zip(&self.of_session) {
            of_play[play].extend(session.calls.iter_mut().map(|call| &mut call.turn.hash_ids));
        }
        let mut local_ids = LocalIds::default();
        for lists in &mut of_play {
            local_ids.rename(lists);
        }
    }
}

fn relation<'a>(dependency: &Node<'a>) -> Option<&'a str> {
    dependency.value()?.get("relation")?.as_str()
}
