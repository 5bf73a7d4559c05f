//! turnbench's own behaviour, exact in simulated time.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use support::{failure, http, plain, plan, run};
use turnbench_load::{
    AfterAttempt, AttemptEnd, ConversationShape, Driver, LoadError, RETRY_AFTER_MAX, Step, Ticket,
    TurnShape,
};
use turnbench_model::{Failure, FailureKind, LoadPlan, Nanos, Phase, Sampling};
use turnbench_random::NumpyStream;

const MS: Nanos = Nanos::from_millis(1);

fn well(_: &Ticket) -> (Nanos, Option<Failure>) {
    (MS, None)
}

#[test]
fn open_conversations_take_turns_in_the_order_of_opening() {
    let plan = LoadPlan { max_active_conversations: 2, ..plan() };
    let log = run(&plan, plain(&[2, 1, 2]), well);
    assert_eq!(log.main_turns(), [(1, 1), (2, 1), (1, 2), (3, 1), (3, 2)]);
    assert_eq!(log.summary.finished, [1, 0, 2]);
}

#[test]
fn a_client_finishes_what_it_has_opened() {
    let plan = LoadPlan { max_active_conversations: 3, ..plan() };
    let log = run(&plan, plain(&[3, 2, 2]), well);
    assert_eq!(
        log.main_turns(),
        [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2), (1, 3)],
        "nothing is left when the queue runs empty"
    );
    assert_eq!(log.summary.requests_completed, 7);
}

#[test]
fn remainders_of_requests_and_open_conversations_are_spread() {
    let plan = LoadPlan {
        num_clients: 2,
        max_active_conversations: 3,
        max_num_requests: Some(5),
        ..plan()
    };
    let log = run(&plan, plain(&[2; 6]), well);
    let of = |client| log.attempts.iter().filter(move |a| a.ticket.client == client);
    assert_eq!((of(0).count(), of(1).count()), (3, 2));
    assert!(of(0).take(2).all(|a| a.ticket.conversation < 2), "the first client holds two open");
    assert!(of(1).all(|a| a.ticket.conversation == 2), "the second holds one");
    assert_eq!(log.summary.unfinished, [1]);
    assert_eq!(log.summary.not_started, [3, 4, 5]);
    assert_eq!(log.summary.finished.len(), 2);
}

#[test]
fn opened_but_never_sent_is_not_started() {
    let plan = LoadPlan { max_active_conversations: 3, max_num_requests: Some(1), ..plan() };
    let log = run(&plan, plain(&[2; 3]), well);
    assert_eq!((log.summary.unfinished, log.summary.not_started), (vec![0], vec![1, 2]));
}

#[test]
fn a_failed_turn_ends_its_conversation_but_not_the_client() {
    let log = run(&plan(), plain(&[3, 2]), |ticket| {
        (MS, ((ticket.conversation, ticket.turn) == (0, 2)).then(|| http(400)))
    });
    assert_eq!(log.main_turns(), [(1, 1), (1, 2), (2, 1), (2, 2)]);
    assert_eq!(log.attempts[1].after, AfterAttempt::ConversationFailed);
    assert_eq!((log.summary.failed, log.summary.finished), (vec![0], vec![1]));
    assert_eq!((log.summary.requests_failed, log.summary.requests_completed), (1, 3));
}

#[test]
fn each_retry_is_a_ticket_of_its_own_after_a_doubling_wait() {
    let plan = LoadPlan { max_retries: 2, seed: 41, ..plan() };
    let log = run(&plan, plain(&[2]), |ticket| {
        (MS, (ticket.turn == 1 && ticket.attempt < 3).then(|| http(503)))
    });
    let mut jitter = NumpyStream::new(42);
    let mut sent = Nanos::ZERO;
    for (index, seconds) in [1.0, 2.0].into_iter().enumerate() {
        let wait = Nanos::from_secs_f64(seconds * (1.0 + jitter.uniform(-0.1, 0.1)));
        let at = sent + MS + wait;
        assert_eq!(log.attempts[index].after, AfterAttempt::Retry { at });
        let retry = &log.attempts[index + 1];
        assert_eq!(
            (retry.ticket.attempt, retry.ticket.intended, retry.sent),
            (index as u32 + 2, at, at)
        );
        sent = at;
    }
    assert_eq!(log.main_turns(), [(1, 1), (1, 1), (1, 1), (1, 2)]);
    assert_eq!((log.summary.attempts, log.summary.requests_completed), (4, 2));
}

#[test]
fn used_up_retries_fail_the_conversation() {
    let plan = LoadPlan { max_retries: 2, ..plan() };
    let log = run(&plan, plain(&[2, 1]), |ticket| {
        let refused = failure(FailureKind::Connect, None);
        (MS, (ticket.conversation == 0).then_some(refused))
    });
    assert_eq!(log.main_turns(), [(1, 1), (1, 1), (1, 1), (2, 1)]);
    assert_eq!((log.summary.requests_failed, log.summary.attempts), (1, 4));
}

#[test]
fn what_cannot_pass_is_not_retried() {
    let plan = LoadPlan { max_retries: 5, ..plan() };
    for failed in [http(404), http(501), failure(FailureKind::Invalid, Some(200))] {
        let log = run(&plan, plain(&[1]), |_| (MS, Some(failed.clone())));
        assert_eq!((log.summary.attempts, log.summary.requests_failed), (1, 1), "{failed:?}");
    }
}

#[test]
fn retry_after_is_honoured_up_to_its_limit() {
    let plan = LoadPlan { max_retries: 1, ..plan() };
    let minute = Nanos::from_millis(60_000);
    for (asked, waited) in [(minute, minute), (Nanos::from_millis(86_400_000), RETRY_AFTER_MAX)] {
        let log = run(&plan, plain(&[1]), |ticket| {
            let mut busy = failure(FailureKind::HttpStatus, Some(429));
            busy.retry_after_ns = Some(asked);
            (MS, (ticket.attempt == 1).then_some(busy))
        });
        assert_eq!(log.attempts[1].sent, MS + waited);
    }
}

#[test]
fn the_request_rate_pauses_after_every_answer() {
    let plan = LoadPlan { request_rate: 5.0, seed: 7, ..plan() };
    let log =
        run(&plan, plain(&[1; 3]), |ticket| (MS, (ticket.conversation == 1).then(|| http(400))));
    let mut pauses = NumpyStream::new(8);
    for pair in log.attempts.windows(2) {
        let at = pair[0].end + Nanos::from_secs_f64(pauses.exponential(0.2));
        assert_eq!((pair[1].ticket.intended, pair[1].sent), (at, at));
    }
    assert_eq!(log.attempts.len(), 3);
}

#[test]
fn a_client_without_work_leaves_before_its_pause_is_over() {
    let plan = LoadPlan { request_rate: 0.001, ..plan() };
    let mut driver = Driver::new(&plan, plain(&[1])).unwrap();
    let mut client = driver.take_clients().remove(0);
    let Step::Send(ticket) = client.next(Nanos(5)) else { panic!() };
    client.finish(&ticket, AttemptEnd::Completed, Nanos(9));
    assert_eq!(client.next(Nanos(9)), Step::Done);
}

#[test]
fn few_conversations_are_spread_over_all_clients() {
    let plan = LoadPlan { num_clients: 4, max_active_conversations: 8, ..plan() };
    let log = run(&plan, plain(&[2; 5]), well);
    let opened = |client| {
        let of_client = log.attempts.iter().filter(move |a| a.ticket.client == client);
        of_client.filter(|a| a.ticket.turn == 1).count()
    };
    assert_eq!([0, 1, 2, 3].map(opened), [2, 1, 1, 1]);
}

#[test]
fn the_warm_up_has_no_pauses() {
    let plan = LoadPlan { warmup_step: true, request_rate: 0.001, ..plan() };
    let log = run(&plan, plain(&[1; 3]), well);
    assert_eq!(
        log.attempts.iter().map(|a| a.sent).collect::<Vec<_>>(),
        [0, 1, 2].map(Nanos::from_millis)
    );
}

#[test]
fn late_send_keeps_intended_time() {
    let mut driver = Driver::new(
        &LoadPlan { num_clients: 2, max_active_conversations: 2, ..plan() },
        plain(&[2, 2]),
    )
    .unwrap();
    let send = |step| if let Step::Send(ticket) = step { ticket } else { panic!("{step:?}") };
    let mut clients = driver.take_clients();
    let first = send(clients[0].next(Nanos(1_000)));
    let second = send(clients[1].next(Nanos(1_700)));
    assert_eq!((first.intended, second.intended), (Nanos(1_000), Nanos(1_000)));
    clients[0].finish(&first, AttemptEnd::Completed, Nanos(5_000));
    assert_eq!(send(clients[0].next(Nanos(6_000))).intended, Nanos(5_000));
}

#[test]
fn max_turns_is_the_most_messages_a_request_carries() {
    for (max_turns, turns) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (99, 4)] {
        for warmup_step in [false, true] {
            let plan = LoadPlan { max_turns: Some(max_turns), warmup_step, ..plan() };
            let log = run(&plan, plain(&[4]), well);
            assert_eq!(log.attempts.len(), turns, "{max_turns} {warmup_step}");
            assert!(log.attempts.iter().all(|attempt| attempt.ticket.messages <= max_turns));
            assert_eq!(log.summary.finished, [0]);
        }
    }
}

#[test]
fn a_conversation_without_a_turn_to_send_is_dropped() {
    let with_system = ConversationShape {
        messages: 3,
        turns: vec![TurnShape { messages_sent: 2 }],
        plain_turns: 0,
    };
    let shapes = vec![ConversationShape::default(), with_system, ConversationShape::plain(1)];
    let plan = LoadPlan { max_turns: Some(1), ..plan() };
    let log = run(&plan, shapes, well);
    assert_eq!((log.summary.dropped, log.summary.finished), (vec![0, 1], vec![2]));
}

#[test]
fn the_warm_up_sends_all_first_turns_and_the_run_goes_on_at_the_second() {
    let plan = LoadPlan {
        num_clients: 2,
        max_active_conversations: 2,
        max_num_requests: Some(4),
        warmup_step: true,
        ..plan()
    };
    let log = run(&plan, plain(&[2, 1, 3, 2]), well);
    assert_eq!(log.turns(Phase::Warmup), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(log.main_turns(), [(1, 2), (3, 2), (4, 2), (3, 3)]);
    assert_eq!(log.summary.finished, [1, 0, 3, 2], "one turn only: finished by the warm-up");
    assert_eq!(log.summary.requests_completed, 4);
    assert_eq!(log.warmup.unwrap().requests_completed, 4);
}

#[test]
fn a_conversation_whose_warm_up_failed_is_kept() {
    let plan = LoadPlan { warmup_step: true, ..plan() };
    let log = run(&plan, plain(&[2, 2]), |ticket| {
        let failed = ticket.phase == Phase::Warmup && ticket.conversation == 0;
        (MS, (failed).then(|| http(400)))
    });
    assert_eq!(log.main_turns(), [(1, 1), (1, 2), (2, 2)]);
    assert_eq!((log.warmup.unwrap().failed, log.summary.failed), (vec![0], vec![]));
}

#[test]
fn seeds_wrap() {
    let plan = LoadPlan {
        num_clients: 2,
        max_active_conversations: 6,
        sampling: Sampling::Random,
        request_rate: 100.0,
        seed: u64::MAX,
        ..plan()
    };
    let log = run(&plan, plain(&[3; 8]), well);
    assert_eq!(log.summary.requests_completed, 24);
    let first_pause = log.attempts.iter().find(|a| a.ticket.client == 0 && a.sent > Nanos::ZERO);
    let expect = MS + Nanos::from_secs_f64(NumpyStream::new(0).exponential(0.01));
    assert_eq!(first_pause.unwrap().sent, expect);
}

#[test]
fn the_planned_requests_are_what_an_undisturbed_run_sends() {
    for warmup_step in [false, true] {
        for max_num_requests in [None, Some(4), Some(100)] {
            let plan = LoadPlan { max_num_requests, warmup_step, ..plan() };
            let shapes = plain(&[3, 1, 4]);
            let mut driver = Driver::new(&plan, shapes.clone()).unwrap();
            let log = run(&plan, shapes, well);
            if warmup_step {
                assert_eq!(driver.planned_requests(), 3);
                let mut client = driver.take_clients().remove(0);
                while let Step::Send(ticket) = client.next(Nanos::ZERO) {
                    client.finish(&ticket, AttemptEnd::Completed, Nanos::ZERO);
                }
                drop(client);
                driver.begin_main();
            }
            assert_eq!(driver.planned_requests(), log.main_turns().len() as u64);
        }
    }
}

#[test]
fn impossible_plans_are_refused() {
    let check = |plan: &LoadPlan, expect: LoadError, text: &str| {
        let error = Driver::new(plan, plain(&[1])).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error, expect);
    };
    check(
        &LoadPlan { num_clients: 0, ..plan() },
        LoadError::NoClients,
        "--num-clients is 0; it must be at least 1",
    );
    check(
        &LoadPlan { num_clients: 3, max_active_conversations: 2, ..plan() },
        LoadError::FewerActiveThanClients { active: 2, clients: 3 },
        "--max-active-conversations is 2; it must be at least --num-clients (3)",
    );
}
