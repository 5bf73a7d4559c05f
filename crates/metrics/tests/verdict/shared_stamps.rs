//! First tokens that lay in the socket together with later ones.

use turnbench_metrics::{Environment, Level, ReasonId, RunFacts};
use turnbench_model::{Nanos, Received, RequestRecord};

use crate::runs::{healthy, late, only, report, report_of, shard};
use crate::support::records::{completed, plan};

/// The client comes to the first token once the second one is there, and finds both with one stamp.
fn share(record: &mut RequestRecord) {
    let answer = &mut record.answer;
    answer.chunks_ns[0] = answer.chunks_ns[1];
    record.stamps.first_token = record.stamps.first_token.map(|first| Received {
        at_ns: first.at_ns + Nanos::from_millis(10),
        read_ns: first.read_ns + Nanos::from_millis(10),
        ..first
    });
}

#[test]
fn first_tokens_that_were_read_alone_are_never_worth_more_than_a_caution() {
    let mut records = healthy();
    for record in &mut records {
        late(record, Nanos::from_millis(500));
    }
    let verdict = report(&records, RunFacts::default()).verdict;
    let ids: Vec<ReasonId> = verdict.reasons.iter().map(|reason| reason.id).collect();
    assert_eq!(ids, [ReasonId::FirstTokenDelay, ReasonId::EventDelay]);
    assert_eq!(verdict.level, Level::Caution);
    assert!(verdict.reasons[0].text.contains("keep that out of TTFT"), "{verdict:?}");
    assert!(!verdict.reasons[0].touches.contains(&"ttft_ms".to_owned()), "{verdict:?}");
}

#[test]
fn first_tokens_read_with_later_ones_by_a_late_client_are_the_clients() {
    let mut records = healthy();
    for record in &mut records {
        late(record, Nanos::from_millis(6));
        share(record);
    }
    // All share: the median without what the stamps add is 50 ms.
    let verdict = report(&records, RunFacts::default()).verdict;
    let [shared, delay] = &*verdict.reasons else { panic!("{verdict:?}") };
    assert_eq!((shared.id, delay.id), (ReasonId::SharedStamps, ReasonId::FirstTokenDelay));
    assert_eq!((shared.level, shared.threshold), (Level::ClientLimited, 5.0));
    // However late the client was read: the second token came 10 ms after the first.
    assert_eq!(shared.value, 10.0);
    assert!(shared.text.starts_with("120 of 120 first tokens"), "{}", shared.text);
    assert!(delay.touches.contains(&"ttft_ms".to_owned()), "{delay:?}");
    assert!(!delay.text.contains("keep that out"), "{delay:?}");
}

#[test]
fn a_stall_is_held_against_the_first_tokens_that_it_can_have_hit() {
    let stalled = |shared_count: usize| {
        let mut records = healthy();
        for record in records.iter_mut().take(shared_count) {
            late(record, Nanos::from_millis(3));
            share(record);
        }
        let mut lags = vec![1; 400];
        lags[7] = 300;
        report(&records, shard(0.2, &lags))
    };
    let limited = stalled(4);
    let verdict = &limited.verdict;
    assert_eq!(verdict.level, Level::ClientLimited, "{verdict:?}");
    let shared = verdict.reason(ReasonId::SharedStamps).unwrap();
    assert_eq!((shared.value, shared.threshold), (10.0, 5.0));
    for touched in ["ttft_ms", "ttft_raw_ms", "itl_ms", "tpot_ms"] {
        assert!(shared.touches.contains(&touched.to_owned()), "{shared:?}");
        let stall = verdict.reason(ReasonId::Stall).unwrap();
        assert!(stall.touches.contains(&touched.to_owned()), "{stall:?}");
    }
    let client = &limited.client;
    assert_eq!((client.first_tokens, client.shared_first_tokens), (120, 4));
    assert_eq!(client.shared_stamp_excess_ms.count, 120);

    // One of 120 is in no p99.
    let verdict = stalled(1).verdict;
    let shared = verdict.reason(ReasonId::SharedStamps).unwrap();
    assert_eq!((shared.level, shared.value), (Level::Caution, 10.0), "{shared:?}");
}

#[test]
fn a_late_client_that_no_timer_noticed_is_told_by_the_pace() {
    let mut records = healthy();
    for record in records.iter_mut().take(30) {
        late(record, Nanos::from_millis(3));
        share(record);
    }
    let found = report(&records, shard(0.2, &[1; 400]));
    let shared = only(&found, ReasonId::SharedStamps, Level::ClientLimited);
    assert_eq!((shared.value, shared.threshold), (10.0, 5.0));
}

#[test]
fn answers_without_a_rest_are_judged_by_how_late_the_client_was() {
    let stalled = |shared_count: usize, clients_count: u32| {
        let mut records = healthy();
        for record in records.iter_mut().take(shared_count) {
            share(record);
            record.answer.chunks_ns.truncate(2);
            record.answer.chunk_delays_ns.truncate(2);
        }
        let mut lags = vec![1; 400];
        lags[7] = 300;
        let mut facts = shard(0.2, &lags);
        facts.shards[0].clients_count = clients_count;
        report(&records, facts)
    };
    let found = stalled(4, 4);
    assert_eq!(found.client.unpaced_first_tokens, 4);
    let shared = found.verdict.reason(ReasonId::SharedStamps).unwrap();
    assert_eq!((shared.level, shared.value), (Level::ClientLimited, 300.0), "{shared:?}");
    // One of 120 is in no p99; and of a server that always writes two tokens at a time the one
    // client of the stalled thread had one in flight.
    for (shared_count, clients_count) in [(1, 4), (120, 1)] {
        let verdict = stalled(shared_count, clients_count).verdict;
        let shared = verdict.reason(ReasonId::SharedStamps).unwrap();
        assert_eq!(shared.level, Level::Caution, "{shared:?}");
    }
}

#[test]
fn a_server_that_writes_several_tokens_at_a_time_is_not_the_clients() {
    let mut records = healthy();
    records.iter_mut().for_each(share);
    let report = report(&records, shard(0.3, &[1; 40]));
    assert_eq!(report.verdict.level, Level::Trustworthy, "{:?}", report.verdict);
    assert_eq!(report.client.shared_first_tokens, 120);
}

#[test]
fn limits_do_not_grow_with_a_ttft_that_the_client_made() {
    let mut records = healthy();
    for record in records.iter_mut().take(119) {
        late(record, Nanos::from_millis(3));
        share(record);
        record.stamps.first_token = record.stamps.first_token.map(|first| Received {
            at_ns: first.at_ns + Nanos::from_millis(40),
            read_ns: first.read_ns + Nanos::from_millis(40),
            ..first
        });
    }
    let found = report(&records, shard(0.3, &[40; 40]));
    assert_eq!(found.metric("ttft_raw_ms").unwrap().percentile(50.0), Some(100.0));
    let threshold = |id| found.verdict.reason(id).unwrap().threshold;
    assert_eq!((threshold(ReasonId::SharedStamps), threshold(ReasonId::LoopLag)), (5.0, 10.0));
}

#[test]
fn long_stalls_and_lags_are_told_however_slow_the_server() {
    let slow: Vec<RequestRecord> = (0..120_u64)
        .map(|index| {
            let mut record = completed("a", 1, 1_000 + index * 10_145, 10_000, None);
            late(&mut record, Nanos(20_000));
            record
        })
        .collect();
    let slow = |lags: &[u64]| report_of(&plan(), &slow, shard(0.2, lags), &Environment::default());
    let mut lags = vec![1; 400];
    lags[7] = 240;
    assert_eq!(slow(&lags).verdict.level, Level::Trustworthy);
    lags[7] = 260;
    assert_eq!(only(&slow(&lags), ReasonId::Stall, Level::Caution).threshold, 250.0);
    assert_eq!(only(&slow(&[60; 40]), ReasonId::LoopLag, Level::Caution).threshold, 50.0);
}
