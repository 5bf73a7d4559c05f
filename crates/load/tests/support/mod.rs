//! A run in simulated time.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;

use turnbench_load::{
    AfterAttempt, AttemptEnd, ClientLoop, ConversationShape, Driver, LoadSummary, Step, StopSwitch,
    Ticket,
};
use turnbench_model::{Compat, Failure, FailureKind, LoadPlan, Nanos, Phase, Sampling};

/// One client, everything else off.
pub(crate) fn plan() -> LoadPlan {
    LoadPlan {
        num_clients: 1,
        max_active_conversations: 1,
        max_num_requests: None,
        max_turns: None,
        early_stop: false,
        request_rate: 0.0,
        max_retries: 0,
        sampling: Sampling::RoundRobin,
        warmup_step: false,
        seed: 0,
        compat: Compat::None,
    }
}

pub(crate) fn plain(turns: &[u32]) -> Vec<ConversationShape> {
    turns.iter().map(|&turns| ConversationShape::plain(turns)).collect()
}

pub(crate) fn failure(kind: FailureKind, status: Option<u16>) -> Failure {
    Failure { kind, status, message: String::new(), retry_after_ns: None }
}

pub(crate) fn http(status: u16) -> Failure {
    failure(FailureKind::HttpStatus, Some(status))
}

/// One attempt as it went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) ticket: Ticket,
    pub(crate) sent: Nanos,
    pub(crate) end: Nanos,
    pub(crate) after: AfterAttempt,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Log {
    /// In the order in which they were sent.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) warmup: Option<LoadSummary>,
    pub(crate) summary: LoadSummary,
}

impl Log {
    /// (conversation, turn) of each attempt of a phase, both counted from 1.
    pub(crate) fn turns(&self, phase: Phase) -> Vec<(u32, u32)> {
        let attempts = self.attempts.iter().filter(|attempt| attempt.ticket.phase == phase);
        attempts.map(|attempt| (attempt.ticket.conversation + 1, attempt.ticket.turn)).collect()
    }

    pub(crate) fn main_turns(&self) -> Vec<(u32, u32)> {
        self.turns(Phase::Main)
    }
}

/// Runs to the end. `serve` gives an attempt's latency and failure.
pub(crate) fn run(
    plan: &LoadPlan,
    shapes: Vec<ConversationShape>,
    serve: impl FnMut(&Ticket) -> (Nanos, Option<Failure>),
) -> Log {
    run_until(plan, shapes, Nanos(u64::MAX), serve)
}

/// As [`run`], with a stop at the given time.
pub(crate) fn run_until(
    plan: &LoadPlan,
    shapes: Vec<ConversationShape>,
    stop: Nanos,
    mut serve: impl FnMut(&Ticket) -> (Nanos, Option<Failure>),
) -> Log {
    let mut driver = Driver::new(plan, shapes).unwrap();
    let stop = Stop { at: stop, switch: driver.stop_switch() };
    let mut attempts = Vec::new();
    let mut now = Nanos::ZERO;
    let mut warmup = None;
    loop {
        phase(driver.take_clients(), &mut now, &stop, &mut attempts, &mut serve);
        if driver.phase() == Phase::Main {
            return Log { attempts, warmup, summary: driver.summary() };
        }
        warmup = Some(driver.begin_main());
    }
}

struct Stop {
    at: Nanos,
    switch: StopSwitch,
}

/// Runs one phase.
fn phase(
    mut clients: Vec<ClientLoop>,
    now: &mut Nanos,
    stop: &Stop,
    attempts: &mut Vec<Attempt>,
    serve: &mut impl FnMut(&Ticket) -> (Nanos, Option<Failure>),
) {
    // (time, client): wake-ups, and ends of attempts with the index of their log entry.
    let mut due: BTreeSet<(Nanos, u32, Option<usize>)> =
        clients.iter().map(|client| (*now, client.number(), None)).collect();
    let mut failures: Vec<Option<Failure>> = vec![None; clients.len()];
    while let Some((at, client, ended)) = due.pop_first() {
        *now = at;
        if at >= stop.at {
            stop.switch.stop();
        }
        let me = &mut clients[client as usize];
        if let Some(entry) = ended {
            let attempt: &mut Attempt = &mut attempts[entry];
            let end = match &failures[client as usize] {
                None => AttemptEnd::Completed,
                Some(failure) => AttemptEnd::Failed(failure),
            };
            attempt.after = me.finish(&attempt.ticket, end, at);
        }
        match me.next(at) {
            Step::Send(ticket) => {
                let (latency, failure) = serve(&ticket);
                failures[client as usize] = failure;
                let end = at + latency;
                due.insert((end, client, Some(attempts.len())));
                attempts.push(Attempt { ticket, sent: at, end, after: AfterAttempt::TurnDone });
            }
            Step::WaitUntil(later) => {
                assert!(later > at, "waits for the past");
                due.insert((later, client, None));
            }
            Step::Done => {}
        }
    }
}
