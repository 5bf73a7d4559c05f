//! The clients that are measured, one a file.

mod aiperf;
mod bare;
mod guidellm;
mod peers;
mod reference;
mod turnbench;
mod vllm_bench;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::de::DeserializeOwned;

pub(crate) use bare::Bare;
pub(crate) use peers::{Peers, found};
pub(crate) use turnbench::Turnbench;

/// How much a client has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Load {
    /// Requests at the same time.
    pub(crate) streams: u32,
    /// Requests, each of a conversation of its own.
    pub(crate) requests: u32,
    /// Tokens of each answer, one an event.
    pub(crate) tokens: u32,
}

/// One run of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) load: Load,
    /// Whether each request is to be reported.
    pub(crate) details: bool,
    /// The source.
    pub(crate) url: &'a str,
    /// Empty, for the client's files; what it prints is in `stdout.txt` there.
    pub(crate) folder: &'a Path,
    /// A folder with `tokenizer.json`.
    pub(crate) tokenizer: &'a Path,
    /// Conversations for clients that take a file: as many as requests, of one turn each.
    pub(crate) conversations: &'a Path,
}

/// A client, and how it is asked to do a job.
pub(crate) trait Client {
    /// As the tables show it.
    fn name(&self) -> &str;

    /// The command that does the job.
    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command>;

    /// What it reports when it is done.
    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported>;

    /// Whose it is.
    fn kind(&self) -> Kind {
        Kind::Own
    }

    /// Whether another project made it: then it may run in several processes.
    fn is_peer(&self) -> bool {
        self.kind() != Kind::Own
    }
}

/// Who made a client, and how much work it can be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// This project.
    Own,
    /// Another project; it reads 80,000 events a second one by one, on one core.
    Peer,
    /// Another project; it does not.
    SlowPeer,
}

/// What a client reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reported {
    pub(crate) requests: Vec<Seen>,
    /// Reads of sockets, where it counts them.
    pub(crate) reads: Option<u64>,
}

/// What a client reports of one request that completed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// The `X-Session-ID` or `X-Request-ID` that it sent, or the answer's id, where one is known.
    pub(crate) id: Option<String>,
    pub(crate) ttft_ms: f64,
    /// Mean time between tokens.
    pub(crate) tpot_ms: Option<f64>,
    /// Times between successive tokens.
    pub(crate) gaps_ms: Vec<f64>,
    /// Between the kernel's receipt of the first token and its read, where the client knows.
    pub(crate) delay_ms: Option<f64>,
}

/// Reads a JSON file.
fn json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Reads a file of JSON lines.
fn json_lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let entry = |line: io::Result<String>| Ok(serde_json::from_str(&line?)?);
    let entries: anyhow::Result<_> = BufReader::new(file).lines().map(entry).collect();
    entries.with_context(|| path.display().to_string())
}
