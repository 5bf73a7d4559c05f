//! The order of a run on one thread, against a plain model of it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use support::{http, plain, plan};
use turnbench_load::{AttemptEnd, Driver, Step, Ticket};
use turnbench_model::{LoadPlan, Nanos};

/// A (conversation, turn) pair; turns count from 1.
type Turn = (u32, u32);

/// First in, first out, for several clients, said with lists that all can see.
struct Lists {
    waiting: VecDeque<Turn>,
    clients: Vec<Desk>,
    early_stop: bool,
    somebody_left: bool,
    finished: Vec<u32>,
    failed: Vec<u32>,
}

/// What one client of the model has.
struct Desk {
    open: VecDeque<Turn>,
    open_max: usize,
    turns_left: u64,
}

impl Lists {
    fn new(plan: &LoadPlan, conversations: usize) -> Self {
        let clients = plan.num_clients as usize;
        let share = |total: usize, client| total / clients + usize::from(client < total % clients);
        let open = (plan.max_active_conversations as usize).min(conversations);
        let turns =
            |client| plan.max_num_requests.map_or(u64::MAX, |n| share(n as usize, client) as u64);
        let desk = |client| Desk {
            open: VecDeque::new(),
            open_max: share(open, client),
            turns_left: turns(client),
        };
        Self {
            waiting: (0..conversations as u32).map(|conversation| (conversation, 1)).collect(),
            clients: (0..clients).map(desk).collect(),
            early_stop: plan.early_stop,
            somebody_left: false,
            finished: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// The turn that a client sends next; `None`: it leaves.
    fn next(&mut self, client: usize) -> Option<Turn> {
        let desk = &mut self.clients[client];
        let mut turn = None;
        if desk.turns_left > 0 && !(self.early_stop && self.somebody_left) {
            while desk.open.len() < desk.open_max && !self.waiting.is_empty() {
                desk.open.extend(self.waiting.pop_front());
            }
            turn = desk.open.pop_front();
        }
        self.somebody_left |= turn.is_none();
        turn
    }

    fn finish(&mut self, client: usize, (conversation, turn): Turn, failed: bool, last: u32) {
        self.clients[client].turns_left -= 1;
        if failed {
            self.failed.push(conversation);
        } else if turn == last {
            self.finished.push(conversation);
        } else {
            self.clients[client].open.push_back((conversation, turn + 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whoever is called either ends the attempt that it has out or asks for its next one.
    #[test]
    fn clients_called_in_any_order_do_what_plain_lists_do(
        turns in prop::collection::vec(1_u32..5, 1..20),
        num_clients in 1_u32..5,
        more_active in 0_u32..8,
        max_num_requests in prop::option::of(1_u64..30),
        early_stop: bool,
        broken in prop::collection::btree_set((0_u32..20, 1_u32..5), 0..8),
        calls in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let max_active_conversations = num_clients + more_active;
        let plan = LoadPlan {
            num_clients,
            max_active_conversations,
            max_num_requests,
            early_stop,
            ..plan()
        };
        let mut lists = Lists::new(&plan, turns.len());
        let mut driver = Driver::new(&plan, plain(&turns)).unwrap();
        let mut clients = driver.take_clients();
        let mut out: Vec<Option<Ticket>> = vec![None; clients.len()];
        let mut done = BTreeSet::new();
        let clients_count = clients.len();
        // In turn when the drawn calls are used up.
        let calls = calls.into_iter().map(|call| call.index(clients_count));
        let mut calls = calls.chain((0..clients_count).cycle());
        let mut now = Nanos::ZERO;
        while done.len() < clients_count {
            let index = calls.next().unwrap();
            now = now + Nanos(1);
            if let Some(ticket) = out[index].take() {
                let turn = (ticket.conversation, ticket.turn);
                let refused = http(400);
                let failed = broken.contains(&turn);
                let end = if failed { AttemptEnd::Failed(&refused) } else { AttemptEnd::Completed };
                clients[index].finish(&ticket, end, now);
                lists.finish(index, turn, failed, turns[ticket.conversation as usize]);
            } else if !done.contains(&index) {
                let step = clients[index].next(now);
                if let Some(turn) = lists.next(index) {
                    let Step::Send(ticket) = step else { panic!("{step:?} for {turn:?}") };
                    prop_assert_eq!((ticket.conversation, ticket.turn), turn);
                    out[index] = Some(ticket);
                } else {
                    prop_assert_eq!(step, Step::Done);
                    done.insert(index);
                }
            }
        }
        drop(clients);
        let summary = driver.summary();
        prop_assert_eq!((summary.finished, summary.failed), (lists.finished, lists.failed));
    }
}
