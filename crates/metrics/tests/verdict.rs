//! What the verdict makes of records. That real runs provoke it is tested with the binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use support::records::{build_as, completed, failed, plan};
use turnbench_metrics::{
    Capacity, ConversationCounts, Environment, Level, Reason, ReasonId, RunFacts, RunReport,
};
use turnbench_model::{
    FailureKind, Nanos, Plan, Received, RequestRecord, ServerTimes, ShardFacts, StampSource,
};

/// 120 requests of 4 clients one after another, of a healthy run: 50 ms to the first token, ten
/// tokens at 10 ms, read 20 µs after their arrival.
fn healthy() -> Vec<RequestRecord> {
    let request = |index: u32| {
        let (client, round) = (index % 4, u64::from(index / 4));
        let mut record = completed("a", 1, 1_000 + round * 145, 50, None);
        record.client = client;
        record.conversation = index;
        record.stamps.intended_ns = record.stamps.sent_ns.unwrap() - Nanos(80_000);
        record.stamps.built_ns = record.stamps.sent_ns;
        late(&mut record, Nanos(20_000));
        record
    };
    (0..120).map(request).collect()
}

/// Has the kernel stamp everything, and the client read it so much later.
fn late(record: &mut RequestRecord, delay: Nanos) {
    let first = record.stamps.first_token.unwrap();
    record.stamps.first_token =
        Some(Received { read_ns: first.at_ns + delay, source: StampSource::Kernel, ..first });
    record.answer.chunk_delays_ns = vec![delay; record.answer.chunks_ns.len()];
}

fn report_of(
    plan: &Plan,
    records: &[RequestRecord],
    facts: RunFacts,
    own: &Environment,
) -> RunReport {
    let total = records.len() as u64;
    let conversations = match facts.conversations.total {
        0 => ConversationCounts { total, finished: total, ..Default::default() },
        _ => facts.conversations,
    };
    build_as(plan, records, own, &RunFacts { conversations, ..facts })
}

fn report(records: &[RequestRecord], facts: RunFacts) -> RunReport {
    let mut plan = plan();
    plan.load.num_clients = 4;
    report_of(&plan, records, facts, &Environment::default())
}

/// The only reason there is.
fn only(report: &RunReport, id: ReasonId, level: Level) -> Reason {
    let verdict = &report.verdict;
    assert_eq!(verdict.level, level, "{verdict:?}");
    assert_eq!(verdict.reasons.iter().map(|reason| reason.id).collect::<Vec<_>>(), [id]);
    assert!(!verdict.reasons[0].touches.is_empty());
    verdict.reasons[0].clone()
}

fn shard(busy: f64, lags_ms: &[u64]) -> RunFacts {
    let wall = Nanos::from_millis(4_000);
    RunFacts {
        shards: vec![ShardFacts {
            wall_ns: wall,
            cpu_ns: Some(Nanos((wall.0 as f64 * busy) as u64)),
            loop_lags_ns: lags_ms.iter().copied().map(Nanos::from_millis).collect(),
            loop_lag_max_ns: Nanos::from_millis(lags_ms.iter().copied().max().unwrap_or(0)),
            ..ShardFacts::default()
        }],
        ..RunFacts::default()
    }
}

#[test]
fn a_healthy_run_is_trustworthy() {
    let report = report(&healthy(), shard(0.3, &[1; 40]));
    assert_eq!(report.verdict.level, Level::Trustworthy, "{:?}", report.verdict);
    assert!(report.verdict.reasons.is_empty());
    assert_eq!(report.client.concurrency_asked, 4);
    assert_eq!(report.client.concurrency_peak, 4);
    let mean = report.client.concurrency_mean.unwrap();
    assert!(mean > 3.8 && mean < 4.0, "{mean}");
}

#[test]
fn clients_that_wait_for_themselves_did_not_reach_the_load() {
    let slowed = |step: u64| {
        let later = |index: u64| Nanos::from_millis(index / 4 * step);
        let records: Vec<RequestRecord> =
            (0..).zip(healthy()).map(|(index, record)| moved(record, later(index))).collect();
        report(&records, RunFacts::default())
    };
    let reason = only(&slowed(40), ReasonId::Concurrency, Level::Caution);
    assert!(reason.value > 0.2 && reason.value < 0.25, "{reason:?}");
    assert_eq!(reason.threshold, 0.1);
    only(&slowed(200), ReasonId::Concurrency, Level::ClientLimited);

    // Pauses that were asked for are no fault.
    let mut paused = plan();
    paused.load.num_clients = 8;
    paused.load.request_rate = 2.0;
    let report = report_of(&paused, &healthy(), RunFacts::default(), &Environment::default());
    assert_eq!(report.verdict.level, Level::Trustworthy, "{:?}", report.verdict);
}

/// A failed attempt of the first client after all else, and its retry, due so much later.
fn retried(records: &mut Vec<RequestRecord>, first: RequestRecord, due_ms: u64) {
    let mut retry = completed("a", 1, due_ms, 50, None);
    retry.attempt = 2;
    retry.stamps.intended_ns = Nanos::from_millis(due_ms) - Nanos(80_000);
    for mut record in [first, retry] {
        record.conversation = 120;
        late(&mut record, Nanos(20_000));
        records.push(record);
    }
}

fn moved(mut record: RequestRecord, later: Nanos) -> RequestRecord {
    let stamps = &mut record.stamps;
    stamps.intended_ns = stamps.intended_ns + later;
    stamps.built_ns = stamps.built_ns.map(|at| at + later);
    stamps.sent_ns = stamps.sent_ns.map(|at| at + later);
    for stamp in [&mut stamps.first_token, &mut stamps.last_token, &mut stamps.end] {
        *stamp = stamp.map(|stamp| Received {
            at_ns: stamp.at_ns + later,
            read_ns: stamp.read_ns + later,
            ..stamp
        });
    }
    record
}

#[test]
fn a_run_with_a_retry_is_judged_without_the_wait_for_it() {
    let mut records = healthy();
    let mut refused = moved(failed(FailureKind::HttpStatus, 1, false), Nanos::from_millis(4_850));
    refused.stamps.intended_ns = refused.stamps.sent_ns.unwrap() - Nanos(80_000);
    retried(&mut records, refused.clone(), 60_000);
    let found = report(&records, RunFacts::default());
    assert_eq!(found.verdict.level, Level::Trustworthy, "{:?}", found.verdict);
    assert_eq!(found.counts.requests.retries, 1);
    assert!(found.client.in_flight_ratio > Some(0.95), "{:?}", found.client);

    // Clients that wait for themselves nine tenths of the time are told of with a retry, too.
    let idle = |index: u64| Nanos::from_millis(index / 4 * 1_300);
    let mut records: Vec<RequestRecord> =
        (0..).zip(healthy()).map(|(index, record)| moved(record, idle(index))).collect();
    retried(&mut records, moved(refused, idle(116)), 100_000);
    let found = report(&records, RunFacts::default());
    assert_eq!(found.counts.requests.retries, 1);
    let reason = only(&found, ReasonId::Concurrency, Level::ClientLimited);
    assert!(reason.value > 0.88 && reason.value < 0.92, "{reason:?}");
}

#[test]
fn a_server_that_takes_no_connection_does_not_make_its_clients_idle() {
    let mut records = healthy();
    let mut refused = failed(FailureKind::Connect, 1, false);
    let at = |ms: u64| Nanos::from_millis(ms);
    refused.stamps = turnbench_model::Stamps {
        intended_ns: at(5_346),
        connect_ns: Some(at(5_346)),
        end: Some(Received::user(at(35_000))),
        ..turnbench_model::Stamps::default()
    };
    let mut retry = completed("a", 1, 36_000, 50, None);
    retry.attempt = 2;
    retry.conversation = 120;
    refused.conversation = 120;
    retry.stamps.intended_ns = at(36_000) - Nanos(80_000);
    late(&mut retry, Nanos(20_000));
    records.extend([refused, retry]);
    let found = report(&records, RunFacts::default());
    assert_eq!(found.verdict.level, Level::Trustworthy, "{:?}", found.verdict);
    assert!(found.client.in_flight_ratio > Some(0.95), "{:?}", found.client);
}

#[test]
fn late_sends_are_held_against_ttft_and_connections_are_not_counted() {
    let sent_late = |late_ms: u64, connecting_ms: u64| {
        let mut records = healthy();
        for record in &mut records {
            let sent = record.stamps.sent_ns.unwrap();
            record.stamps.intended_ns = sent - Nanos::from_millis(late_ms);
            if connecting_ms > 0 {
                record.stamps.connect_ns = Some(sent - Nanos::from_millis(connecting_ms));
                record.stamps.connected_ns = Some(sent);
            }
        }
        report(&records, RunFacts::default())
    };
    let reason = only(&sent_late(8, 0), ReasonId::SendLateness, Level::Caution);
    assert_eq!((reason.value, reason.threshold, reason.unit.as_str()), (8.0, 5.0, "ms"));
    only(&sent_late(60, 0), ReasonId::SendLateness, Level::ClientLimited);
    assert_eq!(sent_late(60, 58).verdict.level, Level::Trustworthy);
}

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
    // All share: there is no better median than their 60 ms.
    let found = report(&records, RunFacts::default());
    let shared = only(&found, ReasonId::SharedStamps, Level::Caution);
    assert_eq!((shared.value, shared.threshold), (6.0, 3.0));

    for record in &mut records {
        late(record, Nanos::from_millis(9));
    }
    let verdict = report(&records, RunFacts::default()).verdict;
    let [shared, delay] = &*verdict.reasons else { panic!("{verdict:?}") };
    assert_eq!((shared.id, delay.id), (ReasonId::SharedStamps, ReasonId::FirstTokenDelay));
    assert_eq!((shared.level, shared.threshold), (Level::ClientLimited, 6.0));
    assert!(shared.text.starts_with("120 of 120 first tokens"), "{}", shared.text);
    assert!(delay.touches.contains(&"ttft_ms".to_owned()), "{delay:?}");
    assert!(!delay.text.contains("keep that out"), "{delay:?}");
}

#[test]
fn a_stall_is_held_against_the_first_tokens_that_it_can_have_hit() {
    let stalled = |shared_count: usize, clients_count: u32| {
        let mut records = healthy();
        records.iter_mut().take(shared_count).for_each(share);
        let mut lags = vec![1; 400];
        lags[7] = 300;
        let mut facts = shard(0.2, &lags);
        facts.shards[0].clients_count = clients_count;
        report(&records, facts)
    };
    let limited = stalled(4, 4);
    let verdict = &limited.verdict;
    assert_eq!(verdict.level, Level::ClientLimited, "{verdict:?}");
    let shared = verdict.reason(ReasonId::SharedStamps).unwrap();
    assert_eq!((shared.value, shared.threshold), (300.0, 5.0));
    for touched in ["ttft_ms", "ttft_raw_ms", "itl_ms", "tpot_ms"] {
        assert!(shared.touches.contains(&touched.to_owned()), "{shared:?}");
        let stall = verdict.reason(ReasonId::Stall).unwrap();
        assert!(stall.touches.contains(&touched.to_owned()), "{stall:?}");
    }
    let client = &limited.client;
    assert_eq!((client.first_tokens, client.shared_first_tokens), (120, 4));

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

#[test]
fn without_the_kernels_stamps_a_lag_is_inside_the_times() {
    let mut records = healthy();
    let lagging = shard(0.3, &[12; 40]);
    only(&report(&records, lagging.clone()), ReasonId::LoopLag, Level::Caution);
    for record in &mut records {
        record.stamps.first_token = record.stamps.first_token.map(|one| Received::user(one.at_ns));
    }
    let verdict = report(&records, RunFacts::default()).verdict;
    assert_eq!(verdict.reasons[0].id, ReasonId::UserStamps);
    let verdict = report(&records, shard(0.3, &[70; 40])).verdict;
    assert_eq!(verdict.level, Level::ClientLimited);
    let lag = verdict.reason(ReasonId::LoopLag).unwrap();
    assert!(lag.touches.contains(&"itl_ms".to_owned()), "{lag:?}");
}

#[test]
fn threads_and_stalls_are_judged() {
    only(&report(&healthy(), shard(0.9, &[])), ReasonId::CpuBusy, Level::Caution);
    only(&report(&healthy(), shard(0.99, &[])), ReasonId::CpuBusy, Level::ClientLimited);
    let mut lags = vec![1; 400];
    lags[7] = 300;
    only(&report(&healthy(), shard(0.2, &lags)), ReasonId::Stall, Level::Caution);
    // A thread that hardly ran is not judged.
    let mut short = shard(1.0, &[]);
    short.shards[0].wall_ns = Nanos::from_millis(100);
    assert_eq!(report(&healthy(), short).verdict.level, Level::Trustworthy);
}

#[test]
fn the_share_of_capacity_is_what_selfcheck_measured_against_what_was_done() {
    // 120 requests of 10 events in 4.3 s.
    let own = |cpu_ns_per_event| Environment {
        capacity: Some(Capacity { cpu_ns_per_event, cpu_ns_per_request: 0.0 }),
        ..Environment::default()
    };
    let mut plan = plan();
    plan.load.num_clients = 4;
    let with = |cost| report_of(&plan, &healthy(), RunFacts::default(), &own(cost));
    assert_eq!(with(3_000.0).verdict.level, Level::Trustworthy);
    only(&with(2_400_000.0), ReasonId::Capacity, Level::Caution);
    only(&with(4_000_000.0), ReasonId::Capacity, Level::ClientLimited);
}

#[test]
fn a_gap_to_the_servers_own_ttft_is_not_the_clients() {
    let mut records = healthy();
    for record in &mut records {
        record.server_times = Some(ServerTimes {
            queue_time_ms: Some(10.0),
            time_to_first_token_ms: Some(20.0),
            ..ServerTimes::default()
        });
    }
    let found = report(&records, RunFacts::default());
    let reason = only(&found, ReasonId::ServerGap, Level::Caution);
    assert_eq!(reason.value, 20.0);
    assert!(reason.text.contains("not the client"), "{}", reason.text);
    assert_eq!(found.client.server_gap_ms.max, Some(20.0));
}

#[test]
fn what_is_missing_is_told() {
    let few = &healthy()[..40];
    only(&report(few, RunFacts::default()), ReasonId::FewRequests, Level::Caution);

    let waits = |record_waits| RunFacts { record_waits, ..RunFacts::default() };
    only(&report(&healthy(), waits(1)), ReasonId::RecordWaits, Level::Caution);
    only(&report(&healthy(), waits(30)), ReasonId::RecordWaits, Level::ClientLimited);

    let interrupted = RunFacts { interrupted: true, ..RunFacts::default() };
    only(&report(&healthy(), interrupted), ReasonId::Interrupted, Level::Caution);

    let with_failure = |kind| {
        let mut records = healthy();
        let mut lost = failed(kind, 1, true);
        lost.stamps.sent_ns = records[0].stamps.sent_ns;
        lost.stamps.intended_ns = records[0].stamps.intended_ns;
        records.push(lost);
        report(&records, RunFacts::default())
    };
    only(&with_failure(FailureKind::Timeout), ReasonId::FailedRequests, Level::Caution);
    only(&with_failure(FailureKind::Cancelled), ReasonId::CutRequests, Level::Caution);

    let open =
        ConversationCounts { total: 120, finished: 90, unfinished: 30, ..Default::default() };
    let open = RunFacts { conversations: open, ..RunFacts::default() };
    only(&report(&healthy(), open), ReasonId::UnfinishedConversations, Level::Caution);
}

#[test]
fn a_run_in_which_nothing_was_sent_is_no_result() {
    only(&report(&[], RunFacts::default()), ReasonId::FewRequests, Level::Caution);
}
