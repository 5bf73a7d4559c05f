//! One run: shards of client tasks that ask the load driver what to send, send it, and hand out a
//! record of every attempt.
//!
//! A shard is a thread with a single-threaded runtime of its own; clients are spread over the
//! shards, each with its loop of the load and its dialogues. Shards share the lock-free parts of the
//! load and the [`Control`], nothing else.

mod client;
mod context;
mod control;
mod dialogue;
mod outcome;
mod outlet;
mod relay;
mod script;
mod shard;
mod threads;

use std::io;
use std::sync::Arc;
use std::thread::Builder;

use turnbench_load::{ClientLoop, Driver, LoadSummary};
use turnbench_model::{Compat, Nanos, OpenedConnection, RequestPlan, ShardFacts};

pub use control::Control;
pub(crate) use outcome::Reader;
pub use outlet::{Outlets, Records};
pub use script::{Script, TurnScript};

use crate::ClientError;
use crate::Connector;
use crate::http1::{ChatHeaders, HeadTemplate, chat_headers};
use context::Context;
use dialogue::Dialogues;
use shard::Shard;
use threads::on_threads;

/// Path of the chat API.
const CHAT_PATH: &str = "/v1/chat/completions";

/// Everything a run needs.
#[derive(Debug)]
pub struct RunInput {
    /// The conversations, by index.
    pub scripts: Vec<Script>,
    /// How requests are formed.
    pub request: RequestPlan,
    /// Model name sent.
    pub model: String,
    /// Headers sent.
    pub headers: ChatHeaders,
    /// Makes the connections.
    pub connector: Arc<Connector>,
    /// Concurrent clients, at least 1; as in the driver's plan.
    pub clients_count: u32,
    /// Whether every client's connection is opened before the first request.
    pub connections_warm: bool,
    /// Whether there is a warm-up phase before the run proper; as in the driver's plan.
    pub warmup: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// The warm-up's summary and wall time, where there was one.
    pub warmup: Option<(LoadSummary, Nanos)>,
    /// The run proper's summary.
    pub summary: LoadSummary,
    /// Whether [`Control::stop`] ended it.
    pub interrupted: bool,
    /// Shards that panicked; their clients' work is missing.
    pub shards_panicked: u32,
    /// Records that had to wait because their shard's queue was full.
    pub record_waits_count: u64,
    /// What each thread did in the run proper.
    pub shards: Vec<ShardFacts>,
    /// Connections opened before the first request.
    pub warm_connections: Vec<OpenedConnection>,
}

/// What stops a run before it begins.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A thread or a runtime could not be made.
    #[error("cannot start a thread for the clients: {source}")]
    Start {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// A header is not allowed in HTTP.
    #[error(transparent)]
    Header(#[from] ClientError),
}

/// Runs what `driver` wants to its end, or until [`Control::cut`] of the control over it. Blocks.
/// There are as many shards, each a thread, as `outlets` has ends.
///
/// # Errors
/// When a thread, a runtime or the request's head cannot be made. Nothing was sent then, but for the
/// warm-up if it is a thread of the run proper: the warm-up's records are out.
pub fn run(
    input: &RunInput,
    driver: Driver,
    control: &Control,
    outlets: Outlets,
) -> Result<RunEnd, RunError> {
    run_with(input, driver, control, outlets, &mut || ())
}

/// As [`run`]; calls `before_main` when the warm-up has ended, where there is one, and nothing of the
/// run proper has been sent.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    input: &RunInput,
    mut driver: Driver,
    control: &Control,
    outlets: Outlets,
    before_main: &mut dyn FnMut(),
) -> Result<RunEnd, RunError> {
    let clock = Arc::clone(input.connector.clock());
    let context = Context {
        input,
        control,
        dialogues: Dialogues::new(input),
        secrets: secrets(&input.headers),
        head: chat_head(&input.connector, &input.headers)?,
        outlets,
    };
    let mut shards = Shards::new(input, &context.outlets)?;
    let mut warm_connections = Vec::new();
    if input.connections_warm {
        warm_connections = shards.each(|shard| shard.connect(control))?.concat();
    }
    let mut warmup = None;
    if input.warmup {
        let start = clock.now();
        shards.seat(driver.take_clients());
        shards.each(|shard| shard.run(&context))?;
        warmup = Some((driver.begin_main(), clock.now() - start));
        control.plan_phase(&driver);
        if input.request.compat == Compat::Vllm {
            // The reference's clients of the run proper are other processes than those of the warm-up.
            shards.alive.iter_mut().for_each(Shard::disconnect);
        }
    }
    before_main();
    shards.seat(driver.take_clients());
    let facts = shards.each(|shard| shard.run(&context))?;
    Ok(RunEnd {
        warmup,
        summary: driver.summary(),
        interrupted: control.is_stopped(),
        shards_panicked: shards.panicked_count,
        record_waits_count: context.outlets.waits_count(),
        shards: facts,
        warm_connections,
    })
}

/// All shards of a run that have not panicked.
struct Shards {
    alive: Vec<Shard>,
    panicked_count: u32,
}

impl Shards {
    fn new(input: &RunInput, outlets: &Outlets) -> io::Result<Self> {
        let count = outlets.shards_count();
        let shard = |number| Shard::new(number, count, input.clients_count, &input.connector);
        let alive = (0..count).map(shard).collect::<io::Result<_>>()?;
        Ok(Self { alive, panicked_count: 0 })
    }

    /// Gives every shard its clients. Those of a shard that has panicked are dropped.
    fn seat(&mut self, clients: Vec<ClientLoop>) {
        let mut clients: Vec<_> = clients.into_iter().map(Some).collect();
        self.alive.iter_mut().for_each(|shard| shard.seat(&mut clients));
    }

    /// Has every shard do `work`, each on a thread of its own; gives what they made of it.
    fn each<T: Send>(&mut self, work: impl Fn(&mut Shard) -> T + Sync) -> io::Result<Vec<T>> {
        let thread_of = |shard: &Shard| Builder::new().name(format!("shard-{}", shard.number()));
        let mut made = Vec::new();
        for ended in on_threads(std::mem::take(&mut self.alive), thread_of, work)? {
            match ended {
                Some((shard, done)) => {
                    self.alive.push(shard);
                    made.push(done);
                }
                None => self.panicked_count += 1,
            }
        }
        Ok(made)
    }
}

/// The API key and the words of custom header values, which may be secrets; the longest first, so
/// that no part of one is left. Short words would blot out innocent text.
pub(crate) fn secrets(headers: &ChatHeaders) -> Vec<String> {
    const LENGTH_MIN: usize = 8;
    let custom = headers.custom.iter().flat_map(|(_, value)| value.split_ascii_whitespace());
    let words = headers.api_key.as_deref().into_iter().chain(custom);
    let mut secrets: Vec<String> =
        words.filter(|word| word.len() >= LENGTH_MIN).map(str::to_owned).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// The head of every chat request.
pub(crate) fn chat_head(
    connector: &Connector,
    headers: &ChatHeaders,
) -> Result<HeadTemplate, ClientError> {
    HeadTemplate::new("POST", connector.endpoint(), CHAT_PATH, &chat_headers(headers))
}
