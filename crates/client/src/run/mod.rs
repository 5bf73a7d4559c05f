//! One run: shards of client tasks that ask the load driver what to send, send it, and hand out a
//! record of every attempt.
//!
//! A shard is a thread with a single-threaded runtime of its own; clients are spread over the
//! shards. Shards share the [`Control`] (the driver behind a mutex) and the bounded channel of
//! records, nothing else.

mod client;
mod context;
mod control;
mod dialogue;
mod outcome;
mod script;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::SyncSender;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Runtime;
use turnbench_load::LoadSummary;
use turnbench_model::{Nanos, RequestPlan, RequestRecord, ShardFacts, WarmConnection};

pub use control::Control;
pub use script::{Script, TurnScript};

use crate::ClientError;
use crate::Connector;
use crate::http1::{ChatHeaders, HeadTemplate, chat_headers};
use client::run_client;
use context::Context;
use dialogue::Dialogues;

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
    /// Threads that the clients are spread over, at least 1; more than clients make no sense.
    pub shards_count: u32,
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
    /// Records that had to wait because the channel was full.
    pub sink_waits_count: u64,
    /// What each thread did in the run proper.
    pub shards: Vec<ShardFacts>,
    /// Connections opened before the first request.
    pub warm_connections: Vec<WarmConnection>,
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

/// Runs to the end, or until [`Control::cut`]. Blocks.
///
/// # Errors
/// When a thread, a runtime or the request's head cannot be made; nothing was sent then.
pub fn run(
    input: &RunInput,
    control: &Arc<Control>,
    sink: &SyncSender<RequestRecord>,
) -> Result<RunEnd, RunError> {
    let clock = Arc::clone(input.connector.clock());
    let context = Context {
        input,
        control,
        dialogues: Dialogues::new(input),
        secrets: secrets(&input.headers),
        head: head(input)?,
        sink,
        sink_waits: AtomicU64::new(0),
    };
    let (mut warmup, mut shards_panicked) = (None, 0);
    if input.warmup {
        let start = clock.now();
        shards_panicked += run_phase(&context)?;
        warmup = Some((control.begin_main(), clock.now() - start));
    }
    shards_panicked += run_phase(&context)?;
    Ok(RunEnd {
        warmup,
        summary: control.summary(),
        interrupted: control.is_stopped(),
        shards_panicked,
        sink_waits_count: context.sink_waits.into_inner(),
        shards: Vec::new(),
        warm_connections: Vec::new(),
    })
}

/// Runs all clients until the driver has no more for them in this phase; gives the number of
/// shards that panicked.
fn run_phase(context: &Context<'_>) -> Result<u32, RunError> {
    let clients = context.input.clients_count;
    let shards = context.input.shards_count.clamp(1, clients);
    let mut runtimes = Vec::new();
    for _ in 0..shards {
        runtimes.push(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
    }
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, runtime) in (0..shards).zip(runtimes) {
            let mine = (0..clients).filter(move |client| client % shards == number);
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            threads.push(thread.spawn_scoped(scope, move || run_shard(context, &runtime, mine))?);
        }
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        Ok(ended.filter(Result::is_err).count() as u32)
    })
}

/// Runs one thread's clients until all are done.
fn run_shard(context: &Context<'_>, runtime: &Runtime, clients: impl Iterator<Item = u32>) {
    let mut running: FuturesUnordered<_> =
        clients.map(|client| run_client(context, client)).collect();
    runtime.block_on(async { while running.next().await.is_some() {} });
}

/// The API key and the words of custom header values, which may be secrets; the longest first, so
/// that no part of one is left. Short words would blot out innocent text.
fn secrets(headers: &ChatHeaders) -> Vec<String> {
    const LENGTH_MIN: usize = 8;
    let custom = headers.custom.iter().flat_map(|(_, value)| value.split_ascii_whitespace());
    let words = headers.api_key.as_deref().into_iter().chain(custom);
    let mut secrets: Vec<String> =
        words.filter(|word| word.len() >= LENGTH_MIN).map(str::to_owned).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// The head of every request of the run.
fn head(input: &RunInput) -> Result<HeadTemplate, ClientError> {
    let endpoint = input.connector.endpoint();
    HeadTemplate::new("POST", endpoint, CHAT_PATH, &chat_headers(&input.headers))
}
