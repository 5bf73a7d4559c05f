//! What a stop, early stop and the loss of a client leave behind.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use support::{failure, http, plain, plan, run, run_until};
use turnbench_load::{AttemptEnd, Driver, Step, Ticket};
use turnbench_model::{Failure, FailureKind, LoadPlan, Nanos, Sampling};

const MS: Nanos = Nanos::from_millis(1);

fn well(_: &Ticket) -> (Nanos, Option<Failure>) {
    (MS, None)
}

#[test]
fn only_early_stop_ends_the_others_with_the_first_client() {
    for early_stop in [false, true] {
        let plan = LoadPlan { num_clients: 2, max_active_conversations: 2, early_stop, ..plan() };
        let log = run(&plan, plain(&[1, 9]), well);
        let sent = if early_stop { 2 } else { 10 };
        assert_eq!(log.attempts.len(), sent, "early stop: {early_stop}");
        assert_eq!(log.summary.unfinished.len(), usize::from(early_stop));
    }
}

#[test]
fn after_a_stop_nothing_is_sent() {
    let plan = LoadPlan { num_clients: 3, max_active_conversations: 3, max_retries: 3, ..plan() };
    // Client 0 answers, client 1 backs off, client 2 is cut off by the stop at 5 ms.
    let log =
        run_until(&plan, plain(&[9; 4]), Nanos::from_millis(5), |ticket| match ticket.client {
            0 => (MS, None),
            1 => (MS, Some(http(500))),
            _ => (Nanos::from_millis(7), Some(failure(FailureKind::Cancelled, None))),
        });
    assert!(log.attempts.iter().all(|attempt| attempt.sent < Nanos::from_millis(5)));
    assert_eq!(log.summary.requests_cut, 2);
    assert_eq!(log.summary.requests_completed, 5);
    assert_eq!((log.summary.unfinished, log.summary.failed), (vec![0, 1, 2], vec![]));
    assert_eq!(log.summary.not_started, [3]);
}

#[test]
fn a_stop_in_the_warm_up_holds_for_the_run_proper() {
    let plan = LoadPlan { warmup_step: true, ..plan() };
    let log = run_until(&plan, plain(&[2; 4]), Nanos::from_millis(2), well);
    assert_eq!((log.attempts.len(), log.main_turns().len()), (2, 0));
    assert_eq!((log.summary.unfinished, log.summary.not_started), (vec![0, 1], vec![2, 3]));
}

#[test]
fn a_stop_cuts_off_what_backs_off_when_it_is_asked_or_dropped() {
    for asked in [true, false] {
        let plan = LoadPlan { max_retries: 3, ..plan() };
        let mut driver = Driver::new(&plan, plain(&[1, 1])).unwrap();
        let mut client = driver.take_clients().remove(0);
        let Step::Send(ticket) = client.next(Nanos(5)) else { panic!() };
        client.finish(&ticket, AttemptEnd::Failed(&http(503)), Nanos(9));
        driver.stop_switch().stop();
        if asked {
            assert_eq!(client.next(Nanos(10)), Step::Done);
        }
        drop(client);
        let summary = driver.summary();
        assert_eq!((summary.requests_cut, summary.attempts), (1, 1), "asked: {asked}");
        assert_eq!((summary.unfinished, summary.not_started), (vec![0], vec![1]));
    }
}

#[test]
fn a_client_dropped_while_it_waits_for_an_answer_leaves_its_turn_cut_off() {
    for sampling in [Sampling::RoundRobin, Sampling::Random] {
        let plan = LoadPlan { max_active_conversations: 2, sampling, ..plan() };
        let mut driver = Driver::new(&plan, plain(&[2; 3])).unwrap();
        let mut client = driver.take_clients().remove(0);
        let Step::Send(ticket) = client.next(Nanos(5)) else { panic!() };
        drop(client);
        let summary = driver.summary();
        assert_eq!((summary.requests_cut, summary.attempts), (1, 1));
        assert_eq!(summary.unfinished, [ticket.conversation], "{sampling:?}");
        assert_eq!(summary.not_started.len(), 2, "one of them was open");
    }
}

#[test]
fn the_first_to_leave_with_early_stop_ends_the_others() {
    for early_stop in [false, true] {
        let plan = LoadPlan {
            num_clients: 3,
            max_active_conversations: 3,
            request_rate: 0.001,
            early_stop,
            ..plan()
        };
        let mut driver = Driver::new(&plan, plain(&[1, 5])).unwrap();
        let mut clients = driver.take_clients();
        for client in &mut clients[..2] {
            let Step::Send(ticket) = client.next(Nanos(5)) else { panic!() };
            client.finish(&ticket, AttemptEnd::Completed, Nanos(9));
            client.take_news();
        }
        assert!(matches!(clients[1].next(Nanos(10)), Step::WaitUntil(_)), "the second pauses");
        let left: Vec<bool> = [0, 2]
            .map(|index| {
                assert_eq!(clients[index].next(Nanos(10)), Step::Done);
                clients[index].take_news()
            })
            .into();
        assert_eq!(left, [early_stop, false], "the first to leave, where that matters");
        let then = clients[1].next(Nanos(11));
        assert_eq!(then == Step::Done, early_stop, "{then:?}");
        assert!(!clients[1].take_news());
    }
}

#[test]
fn whoever_takes_the_last_conversation_says_so_and_the_others_need_not_sit_out_their_pauses() {
    let plan =
        LoadPlan { num_clients: 2, max_active_conversations: 2, request_rate: 0.001, ..plan() };
    let mut driver = Driver::new(&plan, plain(&[1; 3])).unwrap();
    let mut clients = driver.take_clients();
    for client in &mut clients {
        let Step::Send(ticket) = client.next(Nanos(5)) else { panic!() };
        client.finish(&ticket, AttemptEnd::Completed, Nanos(9));
        assert!(!client.take_news(), "there is one left");
    }
    let pauses = [0, 1].map(|index| match clients[index].next(Nanos(10)) {
        Step::WaitUntil(at) => at,
        step @ (Step::Send(_) | Step::Done) => panic!("{step:?}"),
    });
    let first = usize::from(pauses[1] < pauses[0]);
    assert!(matches!(clients[first].next(pauses[first]), Step::Send(_)));
    assert!(clients[first].take_news() && !clients[first].take_news(), "said once");
    assert!(pauses[first] < pauses[1 - first]);
    assert_eq!(clients[1 - first].next(pauses[first]), Step::Done);
}
