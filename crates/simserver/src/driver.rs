use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use turnbench_model::{Clock, Nanos};

use crate::alarm::Alarm;
use crate::engine::{Engine, EngineError, EngineEvent, EngineRequest, FinishReason, RequestId};
use crate::telemetry::{Snapshot, Telemetry, Timeline};

/// What the engine made for one request at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Delivery {
    /// The token; `None` if the request ended without one.
    pub(crate) token: Option<u32>,
    /// Simulated time.
    pub(crate) at: Nanos,
    /// Set in the last delivery.
    pub(crate) finish: Option<Finish>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Finish {
    pub(crate) reason: FinishReason,
    pub(crate) timeline: Timeline,
}

/// A name for a request that the asking side chooses.
type Ticket = u64;

enum Command {
    Submit {
        ticket: Ticket,
        request: EngineRequest,
        at: Nanos,
        deliveries: mpsc::Sender<Delivery>,
        accepted: oneshot::Sender<Result<(), EngineError>>,
    },
    Abort {
        ticket: Ticket,
        at: Nanos,
    },
    Snapshot(oneshot::Sender<Snapshot>),
    ResetCache(oneshot::Sender<bool>),
}

/// The way to the task that owns the engine.
///
/// The queue of commands needs no bound of its own: a connection has one request at a time, hence
/// at most one command and one abort under way.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    commands: mpsc::UnboundedSender<Command>,
    clock: Arc<dyn Clock>,
    tickets: Arc<AtomicU64>,
}

/// The engine's answer to one request. Dropping it before the end aborts the request.
pub(crate) struct Deliveries {
    receiver: mpsc::Receiver<Delivery>,
    handle: EngineHandle,
    ticket: Ticket,
    finished: bool,
}

impl Deliveries {
    /// The next delivery; `None` after the last, or when the engine is gone.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Delivery>> {
        if self.finished {
            return std::task::Poll::Ready(None);
        }
        let delivery = std::task::ready!(self.receiver.poll_recv(context));
        self.finished = delivery.is_none_or(|delivery| delivery.finish.is_some());
        std::task::Poll::Ready(delivery)
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        if !self.finished {
            let at = self.handle.clock.now();
            let _ = self.handle.commands.send(Command::Abort { ticket: self.ticket, at });
        }
    }
}

impl EngineHandle {
    /// Hands over a request that arrived at `at`. `None` when the engine is gone.
    ///
    /// # Errors
    /// When the request can never run.
    pub(crate) async fn submit(
        &self,
        request: EngineRequest,
        at: Nanos,
    ) -> Option<Result<Deliveries, EngineError>> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        // Room for every token and an end without one: a slow reader never holds up the engine.
        let (deliveries, receiver) = mpsc::channel(request.max_tokens as usize + 1);
        let (accepted, answer) = oneshot::channel();
        let command = Command::Submit { ticket, request, at, deliveries, accepted };
        self.commands.send(command).ok()?;
        let deliveries = Deliveries { receiver, handle: self.clone(), ticket, finished: false };
        Some(answer.await.ok()?.map(|()| deliveries))
    }

    /// What `/metrics` shows now. `None` when the engine is gone.
    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::Snapshot(sender)).ok()?;
        receiver.await.ok()
    }

    /// Empties the prefix cache, unless requests hold blocks of it. `None` when the engine is gone.
    pub(crate) async fn reset_cache(&self) -> Option<bool> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::ResetCache(sender)).ok()?;
        receiver.await.ok()
    }
}

struct Live {
    ticket: Ticket,
    deliveries: mpsc::Sender<Delivery>,
    timeline: Timeline,
}

/// The task that owns the engine: takes commands, lets simulated time follow the clock, delivers.
///
/// **Invariant:** the engine learns arrival times and step ends, never the moment at which this
/// task woke up; so a late wake-up delays deliveries, and nothing that follows from them.
pub(crate) struct Driver {
    engine: Engine,
    commands: mpsc::UnboundedReceiver<Command>,
    clock: Arc<dyn Clock>,
    live: BTreeMap<RequestId, Live>,
    tickets: BTreeMap<Ticket, RequestId>,
    telemetry: Telemetry,
    events: Vec<EngineEvent>,
}

impl Driver {
    /// An engine at rest and the way to it.
    pub(crate) fn new(engine: Engine, clock: Arc<dyn Clock>) -> (Self, EngineHandle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let handle =
            EngineHandle { commands: sender, clock: Arc::clone(&clock), tickets: Arc::default() };
        let driver = Self {
            telemetry: Telemetry::new(engine.options().max_model_len),
            engine,
            commands,
            clock,
            live: BTreeMap::new(),
            tickets: BTreeMap::new(),
            events: Vec::new(),
        };
        (driver, handle)
    }

    /// Runs until every handle is gone.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub(crate) async fn run(mut self) -> std::io::Result<()> {
        let alarm = Alarm::new(Arc::clone(&self.clock))?;
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            self.catch_up();
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return Ok(()),
                },
                () = alarm.wait(self.engine.next_event_at()) => {}
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit { ticket, request, at, deliveries, accepted } => {
                let prompt_tokens = request.prompt.len() as u32;
                let max_tokens = request.max_tokens;
                let id = match self.engine.submit(request, at) {
                    Ok(id) => id,
                    Err(error) => {
                        let _ = accepted.send(Err(error));
                        return;
                    }
                };
                let timeline = Timeline {
                    arrived: at,
                    admitted: at,
                    prompt_tokens,
                    max_tokens,
                    ..Timeline::default()
                };
                self.live.insert(id, Live { ticket, deliveries, timeline });
                self.tickets.insert(ticket, id);
                // Nobody waits any more: the client has gone, and its abort follows.
                let _ = accepted.send(Ok(()));
            }
            Command::Abort { ticket, at } => {
                if let Some(id) = self.tickets.get(&ticket) {
                    self.engine.abort(*id, at);
                }
            }
            Command::Snapshot(sender) => {
                let options = self.engine.options().clone();
                let (stats, telemetry) = (self.engine.stats(), self.telemetry.clone());
                let tiers = self.engine.tier_stats(self.clock.now());
                let _ = sender.send(Snapshot { options, stats, tiers, telemetry });
            }
            Command::ResetCache(sender) => {
                let _ = sender.send(self.engine.reset_prefix_cache());
            }
        }
    }

    /// Does the steps that are due, each at its own time.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        while let Some(at) = self.engine.next_event_at().filter(|&at| at <= now) {
            // Not to `now`: that would put several steps into one.
            self.engine.advance(at, &mut self.events);
            let events = std::mem::take(&mut self.events);
            self.deliver(&events);
            self.events = events;
            self.events.clear();
        }
    }

    /// Hands on what happened at one moment: the end of a step, or the start of the first one.
    fn deliver(&mut self, events: &[EngineEvent]) {
        // The last token of an answer travels together with its end.
        let mut ended = BTreeMap::new();
        for event in events {
            if let EngineEvent::Finished { id, reason, output_tokens, .. } = *event {
                ended.insert(id, (reason, output_tokens));
            }
        }
        let mut step_tokens = 0;
        for event in events {
            match *event {
                EngineEvent::Admitted { id, at, cached_tokens, tier_tokens, load_ns, .. } => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.timeline.admitted = at;
                        live.timeline.cached_tokens = cached_tokens;
                        live.timeline.tier_tokens = tier_tokens;
                        live.timeline.load_ns = load_ns;
                    }
                }
                EngineEvent::Preempted { id, .. } => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.timeline.preemptions += 1;
                    }
                }
                EngineEvent::Resumed { .. } => {}
                EngineEvent::Token { id, at, token, index } => {
                    let Some(live) = self.live.get_mut(&id) else { continue };
                    let gap = live.timeline.token(at);
                    step_tokens += self.telemetry.token(&live.timeline, at, gap);
                    let end = ended.get(&id).filter(|(_, count)| *count == index + 1);
                    if let Some(&(reason, _)) = end {
                        self.end(id, Some(token), at, reason);
                    } else {
                        let delivery = Delivery { token: Some(token), at, finish: None };
                        // A gone client: its abort is on the way.
                        let _ = live.deliveries.try_send(delivery);
                    }
                }
                EngineEvent::Finished { id, at, reason, .. } => self.end(id, None, at, reason),
            }
        }
        self.telemetry.step(step_tokens);
    }

    fn end(&mut self, id: RequestId, token: Option<u32>, at: Nanos, reason: FinishReason) {
        let Some(live) = self.live.remove(&id) else { return };
        self.tickets.remove(&live.ticket);
        self.telemetry.finished(&live.timeline, reason);
        let finish = Some(Finish { reason, timeline: live.timeline });
        let _ = live.deliveries.try_send(Delivery { token, at, finish });
    }
}
