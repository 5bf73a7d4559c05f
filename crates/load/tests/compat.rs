//! The reference's behaviour with several clients, where no recorded order settles it.

mod support;

use support::{failure, http, plain, plan, run};
use turnbench_load::{AfterAttempt, ConversationShape, RETRY_AFTER_MAX};
use turnbench_model::{Compat, FailureKind, LoadPlan, Nanos};

const MS: Nanos = Nanos::from_millis(1);

fn two_clients() -> LoadPlan {
    LoadPlan {
        num_clients: 2,
        max_active_conversations: 2,
        compat: Compat::Vllm,
        early_stop: true,
        ..plan()
    }
}

#[test]
fn with_early_stop_the_first_client_to_leave_stops_the_others() {
    for (early_stop, sent) in [(true, 2), (false, 6)] {
        let plan = LoadPlan { early_stop, ..two_clients() };
        let log = run(&plan, plain(&[1, 5]), |_| (MS, None));
        assert_eq!(log.attempts.len(), sent, "early stop: {early_stop}");
    }
}

#[test]
fn a_raised_last_attempt_ends_the_client_and_its_open_conversations() {
    let plan = LoadPlan { max_active_conversations: 4, early_stop: false, ..two_clients() };
    let log = run(&plan, plain(&[2; 5]), |ticket| {
        let cut = failure(FailureKind::Truncated, Some(200));
        (MS, (ticket.client == 0).then_some(cut))
    });
    let of = |client| log.attempts.iter().filter(move |a| a.ticket.client == client);
    assert_eq!(of(0).map(|a| a.after).collect::<Vec<_>>(), [AfterAttempt::ClientLeaves]);
    assert_eq!(log.summary.failed, [1], "the newest of the first client's two");
    assert_eq!(log.summary.not_started, [0], "its other one is lost");
    assert!(of(1).count() > 1, "the other client goes on");
}

#[test]
fn every_failure_is_retried_and_the_server_is_not_heard() {
    let plan = LoadPlan { max_retries: 1, ..two_clients() };
    let log = run(&plan, plain(&[1; 2]), |ticket| {
        let mut refused = http(400);
        refused.retry_after_ns = Some(RETRY_AFTER_MAX);
        (MS, (ticket.attempt == 1).then_some(refused))
    });
    assert_eq!(log.summary.attempts, 4);
    assert!(log.attempts.iter().all(|a| a.sent < Nanos::from_millis(1_101)));
}

#[test]
fn remainders_of_requests_and_open_conversations_are_lost() {
    let plan = LoadPlan {
        max_active_conversations: 3,
        max_num_requests: Some(5),
        early_stop: false,
        ..two_clients()
    };
    let log = run(&plan, plain(&[3; 4]), |_| (MS, None));
    let of = |client| log.attempts.iter().filter(move |a| a.ticket.client == client);
    assert_eq!((of(0).count(), of(1).count()), (2, 2));
    let opened: Vec<_> = of(0).map(|attempt| attempt.ticket.conversation).collect();
    assert_eq!(opened, [0, 0], "one open each");
}

/// In the reference such a client dies without a done mark, and the parent waits for ever.
#[test]
fn a_question_without_an_answer_ends_its_client_unseen() {
    let odd = ConversationShape { messages: 1, ..ConversationShape::plain(1) };
    let log = run(&two_clients(), vec![odd, ConversationShape::plain(3)], |_| (MS, None));
    assert_eq!(log.main_turns(), [(2, 1), (2, 2), (2, 3)]);
    assert_eq!((log.summary.failed, log.summary.finished), (vec![0], vec![1]));
}
