//! One run: shards of client tasks that ask the load driver what to send, send it, and hand out a
//! record of every attempt.
//!
//! A shard is a thread with a single-threaded runtime of its own; clients are spread over the
//! shards. Shards share the [`Control`] (the driver behind a mutex) and the bounded channel of
//! records, nothing else.

mod client;
mod control;
mod dialogue;
mod outcome;
mod script;
mod shard;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use turnbench_load::LoadSummary;
use turnbench_model::{Nanos, RequestPlan, RequestRecord};

pub use control::Control;
pub use script::{Script, TurnScript};

use crate::ClientError;
use crate::Connector;
use crate::http1::{ChatHeaders, HeadTemplate, chat_headers};
use dialogue::Dialogues;
use shard::Shard;

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
    let dialogues = Dialogues::new(input);
    let head = head(input)?;
    let mut end = RunEnd {
        warmup: None,
        summary: LoadSummary::default(),
        interrupted: false,
        shards_panicked: 0,
        sink_waits_count: 0,
    };
    if input.warmup {
        let start = clock.now();
        run_phase(input, control, &dialogues, &head, sink, &mut end)?;
        end.warmup = Some((control.begin_main(), clock.now() - start));
    }
    run_phase(input, control, &dialogues, &head, sink, &mut end)?;
    end.summary = control.summary();
    end.interrupted = control.is_stopped();
    Ok(end)
}

fn run_phase(
    input: &RunInput,
    control: &Control,
    dialogues: &Dialogues,
    head: &HeadTemplate,
    sink: &SyncSender<RequestRecord>,
    end: &mut RunEnd,
) -> Result<(), RunError> {
    let sink_waits = AtomicU64::new(0);
    let shards = input.shards_count.clamp(1, input.clients_count);
    let mut runtimes = Vec::new();
    for _ in 0..shards {
        runtimes.push(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
    }
    let panicked = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, runtime) in (0..shards).zip(runtimes) {
            let clients: Vec<u32> =
                (0..input.clients_count).filter(|client| client % shards == number).collect();
            let shard = Shard {
                input,
                control,
                dialogues,
                head: head.clone(),
                sink: sink.clone(),
                sink_waits: &sink_waits,
            };
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            threads.push(thread.spawn_scoped(scope, move || shard.run(&runtime, &clients))?);
        }
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        Ok::<_, io::Error>(ended.filter(Result::is_err).count() as u32)
    })?;
    end.shards_panicked += panicked;
    end.sink_waits_count += sink_waits.load(Ordering::Relaxed);
    Ok(())
}

/// The head of every request of the run.
fn head(input: &RunInput) -> Result<HeadTemplate, ClientError> {
    let endpoint = input.connector.endpoint();
    HeadTemplate::new("POST", endpoint, CHAT_PATH, &chat_headers(&input.headers))
}
