//! What holds for every plan, workload and server.

mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use support::{Attempt, Log, failure, http, plain, plan, run, run_until};
use turnbench_load::{AfterAttempt, ConversationShape, Ticket, TurnShape};
use turnbench_model::{Compat, Failure, FailureKind, LoadPlan, Nanos, Phase, Sampling};

/// A server whose answer depends on the ticket and a seed only.
fn serve(seed: u64, failing: u64) -> impl FnMut(&Ticket) -> (Nanos, Option<Failure>) {
    move |ticket| {
        let key = [ticket.conversation, ticket.turn, ticket.attempt, ticket.phase as u32];
        let mut hash = seed;
        for part in key {
            hash = (hash ^ u64::from(part)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash ^= hash >> 29;
        }
        let failure = match hash % 100 {
            roll if roll >= failing => None,
            roll if roll % 3 == 0 => Some(http(503)),
            roll if roll % 3 == 1 => Some(http(400)),
            _ => Some(failure(FailureKind::Timeout, None)),
        };
        (Nanos(1 + (hash >> 8) % 5_000_000), failure)
    }
}

fn shapes() -> impl Strategy<Value = Vec<ConversationShape>> {
    let shape = (0_u32..6, 0_u32..2, 0_u32..2).prop_map(|(turns, lead, last_is_question)| {
        let turn = |turn| TurnShape { messages_sent: 2 * turn - 1 + lead };
        ConversationShape {
            messages: (2 * turns + lead - last_is_question.min(turns)).max(1),
            turns: (1..=turns).map(turn).collect(),
            plain_turns: if lead == 0 { turns } else { 0 },
        }
    });
    prop::collection::vec(shape, 0..12)
}

fn plans() -> impl Strategy<Value = LoadPlan> {
    let counts = (1_u32..5, 0_u32..8, prop::option::of(0_u64..20), prop::option::of(1_u32..9));
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (counts, switches, 0_u32..3, any::<u64>()).prop_map(|(counts, switches, max_retries, seed)| {
        let (num_clients, more_active, max_num_requests, max_turns) = counts;
        let (early_stop, rate, random, warmup_step, compat) = switches;
        LoadPlan {
            num_clients,
            max_active_conversations: num_clients + more_active,
            max_num_requests,
            max_turns,
            early_stop,
            request_rate: if rate { 500.0 } else { 0.0 },
            max_retries,
            sampling: if random { Sampling::Random } else { Sampling::RoundRobin },
            warmup_step,
            seed,
            compat: if compat { Compat::Vllm } else { Compat::None },
        }
    })
}

/// Turns of one conversation follow one another; nothing is sent before it is wanted.
fn check_order(log: &Log, plan: &LoadPlan) {
    let mut next: BTreeMap<(u32, Phase2), (u32, u32)> = BTreeMap::new();
    for attempt in &log.attempts {
        let ticket = &attempt.ticket;
        assert!(ticket.intended <= attempt.sent, "{attempt:?}");
        let key = (ticket.conversation, Phase2::of(ticket.phase));
        let (turn, number) = next.get(&key).copied().unwrap_or((ticket.turn, 1));
        assert_eq!((ticket.turn, ticket.attempt), (turn, number), "{attempt:?}");
        assert!(ticket.attempt <= plan.max_retries + 1);
        if let (Compat::None, Some(max)) = (plan.compat, plan.max_turns) {
            assert!(ticket.messages <= max);
        }
        let follows = match attempt.after {
            AfterAttempt::Retry { .. } => (turn, number + 1),
            AfterAttempt::TurnDone
            | AfterAttempt::ConversationFinished
            | AfterAttempt::ConversationFailed
            | AfterAttempt::ClientLeaves => (turn + 1, 1),
        };
        next.insert(key, follows);
    }
}

/// [`Phase`] with an order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Phase2 {
    Warmup,
    Main,
}

impl Phase2 {
    fn of(phase: Phase) -> Self {
        match phase {
            Phase::Warmup => Self::Warmup,
            Phase::Main => Self::Main,
        }
    }
}

/// What is open at any moment, by client and altogether, stays within its limits; a conversation
/// stays with its client.
fn check_caps(log: &Log, plan: &LoadPlan) {
    let attempts: Vec<&Attempt> =
        log.attempts.iter().filter(|a| a.ticket.phase == Phase::Main).collect();
    let mut owner = BTreeMap::new();
    let mut open: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    // Ends and starts in order of time; an end frees its place before a start takes it.
    let mut moments: Vec<(Nanos, bool, &Attempt)> = Vec::new();
    for attempt in attempts {
        moments.push((attempt.sent, true, attempt));
        moments.push((attempt.end, false, attempt));
    }
    moments.sort_by_key(|(at, starts, _)| (*at, *starts));
    let mut ended_turns = 0;
    for (_, starts, attempt) in moments {
        let ticket = &attempt.ticket;
        let mine = open.entry(ticket.client).or_default();
        if starts {
            assert_eq!(*owner.entry(ticket.conversation).or_insert(ticket.client), ticket.client);
            mine.insert(ticket.conversation);
            let share = plan.max_active_conversations.div_ceil(plan.num_clients) as usize;
            assert!(mine.len() <= share, "{mine:?}");
        } else {
            ended_turns += u64::from(attempt.after.ends_turn());
            if !matches!(attempt.after, AfterAttempt::Retry { .. } | AfterAttempt::TurnDone) {
                mine.remove(&ticket.conversation);
            }
        }
        let all: usize = open.values().map(BTreeSet::len).sum();
        assert!(all <= plan.max_active_conversations as usize);
    }
    assert!(plan.max_num_requests.is_none_or(|n| ended_turns <= n));
}

/// Every conversation is accounted for once, and the counts agree with what was seen.
fn check_accounts(log: &Log, total: usize, stopped: bool) {
    let summary = &log.summary;
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
    let main = || log.attempts.iter().filter(|attempt| attempt.ticket.phase == Phase::Main);
    let count = |is: fn(&AfterAttempt) -> bool| main().filter(|a| is(&a.after)).count() as u64;
    assert_eq!(summary.attempts, main().count() as u64);
    let completed =
        count(|after| matches!(after, AfterAttempt::TurnDone | AfterAttempt::ConversationFinished));
    assert_eq!(summary.requests_completed, completed);
    let ended = summary.requests_completed + summary.requests_failed + summary.requests_cut;
    // In compat mode a failed turn may have had no attempt.
    assert!(ended >= count(|after| after.ends_turn()));
    assert!(stopped || summary.requests_cut == 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn caps_hold_turns_follow_and_nothing_is_lost(
        plan in plans(), shapes in shapes(), seed: u64, failing in 0_u64..40,
        stop in prop::option::of(0_u64..50_000_000),
    ) {
        let at = Nanos(stop.unwrap_or(u64::MAX));
        let log = run_until(&plan, shapes.clone(), at, serve(seed, failing));
        check_order(&log, &plan);
        check_caps(&log, &plan);
        check_accounts(&log, shapes.len(), stop.is_some());
        let again = run_until(&plan, shapes, at, serve(seed, failing));
        prop_assert_eq!(log, again, "the same seed gives the same sequence");
    }

    #[test]
    fn without_a_limit_every_turn_is_sent(
        mut plan in plans(), shapes in shapes(), seed: u64, failing in 0_u64..40,
    ) {
        plan.compat = Compat::None;
        plan.max_num_requests = None;
        plan.early_stop = false;
        let log = run(&plan, shapes.clone(), serve(seed, failing));
        prop_assert!(log.summary.unfinished.is_empty() && log.summary.not_started.is_empty());
        let fits = |turn: &&TurnShape| plan.max_turns.is_none_or(|max| turn.messages_sent <= max);
        for &conversation in &log.summary.finished {
            let turns = shapes[conversation as usize].turns.iter().filter(fits).count() as u32;
            let sent = log.attempts.iter().filter(|a| a.ticket.conversation == conversation);
            prop_assert_eq!(sent.map(|attempt| attempt.ticket.turn).max(), Some(turns));
        }
    }

    #[test]
    fn one_client_does_what_a_plain_list_does(
        turns in prop::collection::vec(1_u32..5, 1..10),
        open_max in 1_u32..5,
        limit in prop::option::of(1_u64..20),
        broken in prop::collection::btree_set((0_u32..10, 1_u32..5), 0..6),
    ) {
        let plan =
            LoadPlan { max_active_conversations: open_max, max_num_requests: limit, ..plan() };
        let log = run(&plan, plain(&turns), |ticket| {
            let failed = broken.contains(&(ticket.conversation, ticket.turn));
            (Nanos(3), failed.then(|| http(400)))
        });
        let sent: Vec<_> =
            log.attempts.iter().map(|a| (a.ticket.conversation, a.ticket.turn)).collect();
        prop_assert_eq!(sent, list_model(&turns, open_max as usize, limit, &broken));
    }
}

/// First in, first out, said with one list.
fn list_model(
    turns: &[u32],
    open_max: usize,
    limit: Option<u64>,
    broken: &BTreeSet<(u32, u32)>,
) -> Vec<(u32, u32)> {
    let mut waiting: VecDeque<(u32, u32)> = (0..turns.len() as u32).map(|c| (c, 1)).collect();
    let mut open = VecDeque::new();
    let mut sent = Vec::new();
    loop {
        while open.len() < open_max && !waiting.is_empty() {
            open.extend(waiting.pop_front());
        }
        if limit.is_some_and(|limit| sent.len() as u64 == limit) {
            return sent;
        }
        let Some((conversation, turn)) = open.pop_front() else { return sent };
        sent.push((conversation, turn));
        if turn < turns[conversation as usize] && !broken.contains(&(conversation, turn)) {
            open.push_back((conversation, turn + 1));
        }
    }
}
