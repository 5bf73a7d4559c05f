//! Clients on threads of their own, as the engine's shards run them.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::BTreeMap;
use std::panic;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use support::{http, plain, plan};
use turnbench_load::{
    AfterAttempt, AttemptEnd, ClientLoop, Driver, LoadSummary, Step, StopSwitch, Ticket,
};
use turnbench_model::{Compat, LoadPlan, Nanos, Phase, Sampling};

/// What disturbs a phase.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// The run is stopped when this many attempts have ended.
    stop_after: Option<u64>,
    /// The first thread panics when it has made this many attempts.
    panic_after: Option<usize>,
    /// Percent of attempts that fail, half of them in a way that may pass.
    failing: u64,
}

/// What one thread saw.
#[derive(Clone, Debug, Default)]
struct ThreadLog {
    /// As sent; without what followed where the thread panicked before the end.
    attempts: Vec<(Ticket, Option<AfterAttempt>)>,
    /// Conversations in the order in which they ended well.
    finished: Vec<u32>,
}

/// What the threads of a phase share besides the clients.
struct Stage {
    trouble: Trouble,
    stop: StopSwitch,
    barrier: Barrier,
    attempts_ended: AtomicU64,
}

impl Stage {
    /// Runs a thread's clients in turn until all are done; the log outlives a panic.
    fn run(&self, mut clients: Vec<ClientLoop>, panic_after: Option<usize>, log: &mut ThreadLog) {
        self.barrier.wait();
        let mut out: Vec<Option<usize>> = vec![None; clients.len()];
        let mut done = vec![false; clients.len()];
        let mut now = Nanos::ZERO;
        while done.contains(&false) {
            for (index, client) in clients.iter_mut().enumerate() {
                now = now + Nanos(1);
                if let Some(entry) = out[index].take() {
                    let (ticket, after) = &mut log.attempts[entry];
                    *after = Some(self.answer(client, ticket, now));
                    if *after == Some(AfterAttempt::ConversationFinished) {
                        log.finished.push(ticket.conversation);
                    }
                }
                match client.next(now) {
                    Step::Send(ticket) => {
                        out[index] = Some(log.attempts.len());
                        log.attempts.push((ticket, None));
                    }
                    Step::WaitUntil(at) => now = at,
                    Step::Done => done[index] = true,
                }
                if panic_after.is_some_and(|after| log.attempts.len() >= after) {
                    panic::resume_unwind(Box::new("a shard's panic"));
                }
            }
            thread::yield_now();
        }
    }

    fn answer(&self, client: &mut ClientLoop, ticket: &Ticket, now: Nanos) -> AfterAttempt {
        let key =
            u64::from(ticket.conversation) << 16 | u64::from(ticket.turn * 8 + ticket.attempt);
        let roll = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 200;
        let failure = http(if roll % 2 == 0 { 503 } else { 400 });
        let end = if roll / 2 < self.trouble.failing {
            AttemptEnd::Failed(&failure)
        } else {
            AttemptEnd::Completed
        };
        let after = client.finish(ticket, end, now);
        let ended = self.attempts_ended.fetch_add(1, Ordering::Relaxed) + 1;
        if self.trouble.stop_after.is_some_and(|limit| ended >= limit) {
            self.stop.stop();
        }
        after
    }
}

/// Runs a phase with its clients spread over threads.
fn run_phase(driver: &mut Driver, threads: usize, trouble: Trouble) -> Vec<ThreadLog> {
    let mut spread: Vec<Vec<ClientLoop>> = (0..threads).map(|_| Vec::new()).collect();
    for client in driver.take_clients() {
        spread[client.number() as usize % threads].push(client);
    }
    let stage = Stage {
        trouble,
        stop: driver.stop_switch(),
        barrier: Barrier::new(threads),
        attempts_ended: AtomicU64::new(0),
    };
    let mut logs: Vec<ThreadLog> = vec![ThreadLog::default(); threads];
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (index, (clients, log)) in spread.into_iter().zip(&mut logs).enumerate() {
            let panic_after = trouble.panic_after.filter(|_| index == 0);
            let stage = &stage;
            running.push(scope.spawn(move || stage.run(clients, panic_after, log)));
        }
        let panicked = running.into_iter().map(thread::ScopedJoinHandle::join);
        let panicked = panicked.filter(Result::is_err).count();
        assert!(panicked <= usize::from(trouble.panic_after.is_some()), "only where it is wanted");
    });
    logs
}

/// Every conversation has one client, and its attempts follow one another.
fn check_tickets(logs: &[ThreadLog]) {
    let mut last: BTreeMap<u32, (Ticket, Option<AfterAttempt>)> = BTreeMap::new();
    for (ticket, after) in logs.iter().flat_map(|log| &log.attempts) {
        if let Some((before, then)) = last.insert(ticket.conversation, (*ticket, *after)) {
            assert_eq!(before.client, ticket.client, "{before:?} {ticket:?}");
            let expect = match then {
                Some(AfterAttempt::Retry { .. }) => (before.turn, before.attempt + 1),
                Some(AfterAttempt::TurnDone) => (before.turn + 1, 1),
                other => panic!("{before:?} {other:?} {ticket:?}"),
            };
            assert_eq!((ticket.turn, ticket.attempt), expect);
        } else {
            assert_eq!(ticket.attempt, 1);
        }
    }
}

/// The summary says what the threads saw.
fn check_summary(summary: &LoadSummary, logs: &[ThreadLog], total: usize) {
    let lists = [
        &summary.finished,
        &summary.failed,
        &summary.unfinished,
        &summary.not_started,
        &summary.dropped,
    ];
    let mut all: Vec<u32> = lists.into_iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..total as u32).collect::<Vec<_>>(), "{summary:?}");

    let attempts = || logs.iter().flat_map(|log| &log.attempts);
    let count = |is: fn(AfterAttempt) -> bool| {
        attempts().filter(|(_, after)| after.is_some_and(is)).count() as u64
    };
    assert_eq!(summary.attempts, attempts().count() as u64);
    let goes_well =
        |after| matches!(after, AfterAttempt::TurnDone | AfterAttempt::ConversationFinished);
    assert_eq!(summary.requests_completed, count(goes_well));
    let fails =
        |after| matches!(after, AfterAttempt::ConversationFailed | AfterAttempt::ClientLeaves);
    assert_eq!(summary.requests_failed, count(fails));
    // A turn is a first attempt; it completes, fails or is cut off.
    let turns = attempts().filter(|(ticket, _)| ticket.attempt == 1).count() as u64;
    assert_eq!(turns, summary.requests_completed + summary.requests_failed + summary.requests_cut);

    // The order of all ends keeps each thread's own.
    for log in logs {
        let mut listed = summary.finished.clone();
        listed.retain(|conversation| log.finished.contains(conversation));
        assert_eq!(listed, log.finished);
    }
}

fn troubles() -> impl Strategy<Value = Trouble> {
    let limits = (prop::option::of(1_u64..200), prop::option::of(1_usize..60), 0_u64..30);
    limits.prop_map(|(stop_after, panic_after, failing)| Trouble {
        stop_after,
        panic_after,
        failing,
    })
}

fn plans() -> impl Strategy<Value = LoadPlan> {
    let counts = (1_u32..40, 0_u32..60, prop::option::of(0_u64..300), 0_u32..3);
    (counts, any::<[bool; 4]>()).prop_map(|(counts, [early_stop, random, warmup_step, vllm])| {
        let (num_clients, more_active, max_num_requests, max_retries) = counts;
        LoadPlan {
            num_clients,
            max_active_conversations: num_clients + more_active,
            max_num_requests,
            max_retries,
            early_stop,
            sampling: if random { Sampling::Random } else { Sampling::RoundRobin },
            warmup_step,
            compat: if vllm { Compat::Vllm } else { Compat::None },
            ..plan()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_turn_is_sent_twice_and_every_conversation_is_counted_once(
        plan in plans(),
        turns in prop::collection::vec(0_u32..5, 0..120),
        threads in 1_usize..5,
        trouble in troubles(),
    ) {
        let mut driver = Driver::new(&plan, plain(&turns)).unwrap();
        if driver.phase() == Phase::Warmup {
            let logs = run_phase(&mut driver, threads, Trouble { panic_after: None, ..trouble });
            check_tickets(&logs);
            check_summary(&driver.begin_main(), &logs, turns.len());
        }
        let logs = run_phase(&mut driver, threads, trouble);
        check_tickets(&logs);
        check_summary(&driver.summary(), &logs, turns.len());
    }

    #[test]
    fn undisturbed_threads_send_every_turn_once(
        turns in prop::collection::vec(1_u32..5, 1..200),
        num_clients in 1_u32..60,
        threads in 2_usize..5,
    ) {
        let plan = LoadPlan { num_clients, max_active_conversations: 2 * num_clients, ..plan() };
        let mut driver = Driver::new(&plan, plain(&turns)).unwrap();
        let quiet = Trouble { stop_after: None, panic_after: None, failing: 0 };
        let logs = run_phase(&mut driver, threads, quiet);
        let mut sent: Vec<(u32, u32)> =
            logs.iter().flat_map(|log| &log.attempts).map(|(ticket, _)| (ticket.conversation, ticket.turn)).collect();
        sent.sort_unstable();
        let all = (0_u32..).zip(&turns);
        let expect: Vec<_> = all.flat_map(|(c, &last)| (1..=last).map(move |t| (c, t))).collect();
        prop_assert_eq!(sent, expect);
        prop_assert_eq!(driver.summary().finished.len(), turns.len());
    }
}
