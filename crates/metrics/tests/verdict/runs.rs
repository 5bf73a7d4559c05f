use turnbench_metrics::{
    ConversationCounts, Environment, Level, Reason, ReasonId, RunFacts, RunReport,
};
use turnbench_model::{Nanos, Plan, Received, RequestRecord, ShardFacts, StampSource};

use crate::support::records::{build_as, completed, plan};

/// 120 requests of 4 clients one after another, of a healthy run: 50 ms to the first token, ten
/// tokens at 10 ms, read 20 µs after their arrival.
pub(crate) fn healthy() -> Vec<RequestRecord> {
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
pub(crate) fn late(record: &mut RequestRecord, delay: Nanos) {
    let first = record.stamps.first_token.unwrap();
    record.stamps.first_token =
        Some(Received { read_ns: first.at_ns + delay, source: StampSource::Kernel, ..first });
    record.answer.chunk_delays_ns = vec![delay; record.answer.chunks_ns.len()];
}

pub(crate) fn report_of(
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

pub(crate) fn report(records: &[RequestRecord], facts: RunFacts) -> RunReport {
    let mut plan = plan();
    plan.load.num_clients = 4;
    report_of(&plan, records, facts, &Environment::default())
}

/// The only reason there is.
pub(crate) fn only(report: &RunReport, id: ReasonId, level: Level) -> Reason {
    let verdict = &report.verdict;
    assert_eq!(verdict.level, level, "{verdict:?}");
    assert_eq!(verdict.reasons.iter().map(|reason| reason.id).collect::<Vec<_>>(), [id]);
    assert!(!verdict.reasons[0].touches.is_empty());
    verdict.reasons[0].clone()
}

pub(crate) fn shard(busy: f64, lags_ms: &[u64]) -> RunFacts {
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
