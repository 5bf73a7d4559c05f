//! One request at a time: everything the server reported is predicted.

use turnbench_model::Nanos;
use turnbench_simserver::engine::{Engine, EngineEvent, FinishReason};

use super::recording::{FILES, Recorded, Run, counters, runs};

/// Runs one request to its end; the cached tokens of its answers.
fn replay(engine: &mut Engine, request: &Recorded, now: &mut Nanos) -> Vec<u32> {
    for part in request.requests() {
        engine.submit(part, *now).unwrap();
    }
    let mut cached = Vec::new();
    let mut events = Vec::new();
    while let Some(at) = engine.next_event_at() {
        *now = at;
        engine.advance(at, &mut events);
        for event in events.drain(..) {
            match event {
                EngineEvent::Token { id, index, .. }
                    if request.aborted_after == Some(index + 1) =>
                {
                    engine.abort(id, at);
                }
                EngineEvent::Finished { reason, output_tokens, cached_tokens, .. } => {
                    let made = request.aborted_after.unwrap_or(request.outputs[0].len() as u32);
                    let aborted = reason == FinishReason::Abort;
                    assert_eq!(output_tokens, made);
                    assert_eq!(aborted, request.aborted_after.is_some());
                    cached.push(cached_tokens);
                }
                _ => (),
            }
        }
    }
    cached
}

fn sequential() -> impl Iterator<Item = Run> {
    FILES.into_iter().flat_map(runs).filter(|run| !run.concurrent)
}

#[test]
fn every_cached_count_and_counter_is_predicted() {
    let mut checked = 0;
    for run in sequential() {
        let mut engine = run.engine();
        let mut now = Nanos::ZERO;
        for request in &run.requests {
            let place = format!("{} {} seq {}", run.file, run.name, request.seq);
            let before = counters(&engine.stats());
            let cached = replay(&mut engine, request, &mut now);
            let after = counters(&engine.stats());
            if let Some(expect) = request.cached {
                // For n > 1 the usage shows one of the copies, not the first.
                assert_eq!(u64::from(*cached.last().unwrap()), expect, "{place}");
                checked += 1;
            }
            let deltas = std::array::from_fn(|index| after[index] - before[index]);
            assert_eq!(Some(deltas), request.counters, "{place}");
        }
    }
    assert_eq!(checked, 1918);
}

#[test]
fn every_cache_event_is_predicted() {
    let (mut checked, mut left_out) = (0, Vec::new());
    for run in sequential() {
        if run.events.is_empty() {
            left_out.push(run.name);
            continue;
        }
        let mut engine = run.engine();
        let mut now = Nanos::ZERO;
        for request in &run.requests {
            replay(&mut engine, request, &mut now);
        }
        let mut events = Vec::new();
        engine.drain_kv_events(&mut events);
        let events = run.describe(&events);
        let differ = events.iter().zip(&run.events).position(|(ours, theirs)| ours != theirs);
        assert_eq!(differ, None, "{} {}", run.file, run.name);
        assert_eq!(events.len(), run.events.len(), "{} {}", run.file, run.name);
        checked += 1;
    }
    assert_eq!((checked, left_out), (53, vec!["caching_off".to_owned()]));
}
