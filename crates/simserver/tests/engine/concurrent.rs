//! Several requests at a time. The recordings do not tell in which step a request arrived, so a
//! replay keeps only their order: a request is sent once those that had ended before it have ended.

use std::collections::BTreeMap;

use turnbench_kvcache::KvEvent;
use turnbench_model::Nanos;
use turnbench_simserver::engine::{EngineEvent, RequestId};

use super::recording::{Counters, FILES, Run, counters, runs};

struct Replayed {
    /// Per request, in the order of sending.
    cached: Vec<u32>,
    counters: Counters,
    events: Vec<KvEvent>,
}

/// A request that reaches the idle server has `head_start` steps alone before those sent together
/// with it join; at least one.
fn replay(run: &Run, head_start: u32) -> Replayed {
    let mut engine = run.engine();
    let mut now = Nanos::ZERO;
    let mut cached = vec![0; run.requests.len()];
    let mut done = vec![false; run.requests.len()];
    let mut sent = 0;
    let mut places: BTreeMap<RequestId, usize> = BTreeMap::new();
    let mut events = Vec::new();
    loop {
        while let Some(request) = run.requests.get(sent) {
            let ready = run.requests[..sent]
                .iter()
                .zip(&done)
                .all(|(earlier, done)| *done || earlier.end > request.start);
            if !ready {
                break;
            }
            let idle = places.is_empty();
            for part in request.requests() {
                let id = engine.submit(part, now).unwrap();
                places.insert(id, sent);
            }
            sent += 1;
            if idle {
                for _ in 0..head_start {
                    now = engine.next_event_at().unwrap();
                    engine.advance(now, &mut events);
                }
            }
        }
        let Some(at) = engine.next_event_at() else { break };
        now = at;
        engine.advance(at, &mut events);
        for event in events.drain(..) {
            if let EngineEvent::Finished { id, cached_tokens, .. } = event {
                let place = places.remove(&id).unwrap();
                (cached[place], done[place]) = (cached_tokens, true);
            }
        }
    }
    assert_eq!(sent, run.requests.len());
    let mut events = Vec::new();
    engine.drain_kv_events(&mut events);
    Replayed { cached, counters: counters(&engine.stats()), events }
}

/// One step, as most of the recorded events show; those of one run show two.
fn head_start(run: &Run) -> u32 {
    if (run.file, run.name.as_str()) == ("b32", "preempt_1") { 2 } else { 1 }
}

/// Runs in which the order of releases within a few milliseconds decided, with the number of
/// requests whose hits differ for it.
const TIMING_DECIDES: [(&str, &str, usize); 4] = [
    ("b32b", "knee_conc4_big_10", 6),
    ("b32b", "knee_conc4_big_12", 7),
    ("b32b", "knee_conc2_big_10", 3),
    ("seqs2", "preempt_1", 1),
];

#[test]
fn cached_counts_follow_from_the_order_of_requests_alone() {
    let mut checked = 0;
    for run in FILES.into_iter().flat_map(runs).filter(|run| run.concurrent) {
        let replayed = replay(&run, head_start(&run));
        let pairs = run.requests.iter().zip(&replayed.cached);
        let missed = pairs.filter(|(request, cached)| request.cached != Some(u64::from(**cached)));
        let allowed = TIMING_DECIDES
            .iter()
            .find(|(file, name, _)| *file == run.file && *name == run.name)
            .map_or(0, |(_, _, count)| *count);
        assert_eq!(missed.count(), allowed, "{} {}", run.file, run.name);
        checked += run.requests.len();
    }
    assert_eq!(checked, 1143);
}

/// Preemptions included: eleven of these runs have one.
#[test]
fn counters_and_block_events_agree_where_timing_does_not_decide() {
    let (mut runs_checked, mut same_order, mut preemptions) = (0, 0, 0);
    for run in FILES.into_iter().flat_map(runs).filter(|run| run.concurrent) {
        if TIMING_DECIDES.iter().any(|(file, name, _)| *file == run.file && *name == run.name) {
            continue;
        }
        let place = format!("{} {}", run.file, run.name);
        let replayed = replay(&run, head_start(&run));
        assert_eq!(replayed.counters, run.counters, "{place}");
        preemptions += replayed.counters[2];
        let (mut ours, mut theirs) = (run.describe(&replayed.events), run.events.clone());
        same_order += usize::from(ours == theirs);
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{place}");
        runs_checked += 1;
    }
    assert_eq!((runs_checked, same_order, preemptions), (40, 31, 11));
}
