//! What the verdict makes of records. That real runs provoke it is tested with the binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod runs;
mod shared_stamps;
#[path = "../support/mod.rs"]
mod support;

use runs::{healthy, late, only, report, report_of, shard};
use support::records::{completed, failed, plan};
use turnbench_metrics::{
    Capacity, ConversationCounts, Environment, Level, NoteId, ReasonId, RunFacts,
};
use turnbench_model::{FailureKind, Nanos, Received, RequestRecord, ServerTimes};

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
    // Looking at the clock until it is time to send is no work.
    for (spun_ms, level) in [(3_000, Level::Trustworthy), (300, Level::Caution)] {
        let mut paced = shard(0.96, &[]);
        paced.shards[0].spun_ns = Nanos::from_millis(spun_ms);
        let judged = report(&healthy(), paced);
        assert_eq!(judged.verdict.level, level, "{:?}", judged.verdict);
        assert_eq!(judged.client.thread_busy_ratio, judged.client.cores_busy_ratio);
    }
    // A thread that hardly ran is not judged.
    let mut short = shard(1.0, &[]);
    short.shards[0].wall_ns = Nanos::from_millis(100);
    assert_eq!(report(&healthy(), short).verdict.level, Level::Trustworthy);
}

#[test]
fn more_threads_than_cores_do_not_look_idle() {
    let mut plan = plan();
    plan.load.num_clients = 4;
    plan.client.threads = 8;
    let crowd = |busy| {
        let mut facts = shard(busy, &[]);
        facts.shards = vec![facts.shards[0].clone(); 8];
        facts
    };
    let own = |cpu_cores| Environment {
        cpu_cores,
        capacity: Some(Capacity { cpu_ns_per_event: 6_000_000.0, cpu_ns_per_request: 0.0 }),
        ..Environment::default()
    };
    let of = |busy, cores| report_of(&plan, &healthy(), crowd(busy), &own(cores)).verdict;
    let busy = of(0.24, Some(2));
    let reason = busy.reason(ReasonId::CpuBusy).unwrap();
    assert_eq!((reason.level, reason.value), (Level::ClientLimited, 0.96));
    assert!(reason.text.contains("together used 96 % of the 2 cores"), "{}", reason.text);
    // 7.2 s of CPU in 4.3 s.
    let capacity = busy.reason(ReasonId::Capacity).unwrap();
    assert!(capacity.value > 0.8 && capacity.value < 0.9, "{capacity:?}");
    assert_eq!(of(0.24, Some(8)).level, Level::Trustworthy);
    assert_eq!(of(0.24, None).level, Level::Trustworthy);
    assert_eq!(of(0.1, Some(2)).reason(ReasonId::CpuBusy), None);
}

#[test]
fn a_server_on_the_clients_cores_is_noted_where_it_may_matter() {
    let mut plan = plan();
    plan.load.num_clients = 4;
    plan.client.server_on_this_host = true;
    let own = Environment {
        cpu_cores: Some(2),
        capacity: Some(Capacity::default()),
        ..Environment::default()
    };
    let notes = |plan: &_, facts, own| {
        let notes = report_of(plan, &healthy(), facts, own).verdict.notes;
        notes.iter().map(|note| note.id).collect::<Vec<_>>()
    };
    assert_eq!(notes(&plan, shard(0.3, &[]), &own), []);
    assert_eq!(notes(&plan, shard(0.9, &[]), &own), [NoteId::ServerOnThisHost]);
    let mut full = plan.clone();
    full.client.threads = 2;
    assert_eq!(notes(&full, shard(0.3, &[]), &own), [NoteId::ServerOnThisHost]);
    full.client.server_on_this_host = false;
    assert_eq!(notes(&full, shard(0.9, &[]), &own), []);
    let unknown = Environment { capacity: None, ..own.clone() };
    assert_eq!(notes(&plan, shard(0.3, &[]), &unknown), [NoteId::NoSelfcheck]);
    assert_eq!(report(&[], RunFacts::default()).verdict.notes, []);
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
    let reason = only(&report(few, RunFacts::default()), ReasonId::FewRequests, Level::Caution);
    assert_eq!(reason.value, 40.0);

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
    let reason = only(&report(&[], RunFacts::default()), ReasonId::FewRequests, Level::Caution);
    assert_eq!(reason.value, 0.0);
}
