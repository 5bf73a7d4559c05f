//! Same seed and same arrivals: the same answers and event times, however the engine is driven.

use std::sync::Arc;

use turnbench_model::Nanos;
use turnbench_simserver::engine::{
    AnswerOptions, AnswerSource, Engine, EngineEvent, EngineOptions, EngineRequest, EngineStats,
    LengthRule, RequestId, TierKind, TierOptions,
};

/// A small generator of test loads.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

enum Call {
    Submit { prompt: Vec<u32>, max_tokens: u32, ignore_eos: bool },
    Abort(RequestId),
}

/// A load that queues, hits, preempts and aborts.
fn load(seed: u64) -> Vec<(Nanos, Call)> {
    let mut draws = Draws(seed);
    let mut at = 0;
    let mut calls = Vec::new();
    let mut submitted = 0;
    for _ in 0..60 {
        at += draws.below(3_000_000);
        if submitted > 0 && draws.below(8) == 0 {
            calls.push((Nanos(at), Call::Abort(RequestId(draws.below(submitted)))));
            continue;
        }
        let group = draws.below(4) as u32;
        let prompt = (0..=draws.below(180) as u32).map(|id| group * 1000 + id).collect();
        let (max_tokens, ignore_eos) = (1 + draws.below(60) as u32, draws.below(2) == 0);
        calls.push((Nanos(at), Call::Submit { prompt, max_tokens, ignore_eos }));
        submitted += 1;
    }
    calls
}

fn run(seed: u64, poll: Option<u64>) -> (Vec<EngineEvent>, EngineStats) {
    let answers = AnswerOptions {
        seed,
        tokens: Arc::from([1, 2, 3, 4, 5]),
        mean_tokens: 20.0,
        ..AnswerOptions::default()
    };
    let mut engine = Engine::new(EngineOptions {
        block_size: 8,
        kv_blocks: 60,
        max_num_batched_tokens: 48,
        max_num_seqs: 10,
        max_model_len: 256,
        decode_ns: 1_000_000,
        kv_bytes_per_token: 1000,
        // Every other seed has a slow host; one block is 8,000 bytes.
        tiers: (seed % 2 == 1)
            .then(|| TierOptions::new(TierKind::Host, 800_000, 5e7))
            .into_iter()
            .collect(),
        ..EngineOptions::default()
    })
    .unwrap();
    let mut events = Vec::new();
    for (at, call) in load(seed) {
        // With `poll` the engine is also advanced at times of no meaning, without it only when a
        // call comes in, and then late.
        if let Some(poll) = poll {
            let from = events.last().map_or(0, |event: &EngineEvent| event.at().0);
            for now in (from..at.0).step_by(poll as usize) {
                engine.advance(Nanos(now), &mut events);
            }
        }
        match call {
            Call::Submit { prompt, max_tokens, ignore_eos } => {
                let rule = LengthRule { min_tokens: 0, max_tokens, ignore_eos };
                let source = AnswerSource::new(&answers, &prompt, rule);
                let request = EngineRequest::new(Arc::from(prompt), max_tokens, Box::new(source));
                engine.submit(request, at).unwrap();
            }
            Call::Abort(id) => engine.abort(id, at),
        }
    }
    engine.advance(Nanos(u64::MAX), &mut events);
    (events, engine.stats())
}

#[test]
fn one_seed_gives_one_event_log() {
    let (mut preemptions, mut aborted, mut loaded) = (0, 0, 0);
    for seed in 0..150 {
        let (events, stats) = run(seed, None);
        let log = format!("{events:?}");
        assert_eq!(log, format!("{:?}", run(seed, None).0), "seed {seed}");
        assert_eq!(log, format!("{:?}", run(seed, Some(700_001)).0), "seed {seed}");
        preemptions += stats.preemptions;
        aborted += stats.aborted;
        loaded += stats.external_prefix_cache_hits;
    }
    // The load must do what it is for.
    assert!(preemptions > 100 && aborted > 100, "{preemptions} {aborted}");
    assert!(loaded > 10_000, "{loaded}");
}

#[test]
fn every_request_gets_its_whole_answer_in_order_and_ends_once() {
    for seed in 0..150 {
        let (events, stats) = run(seed, None);
        assert!(events.is_sorted_by_key(EngineEvent::at), "seed {seed}");
        assert_eq!((stats.running, stats.waiting, stats.kv_usage_ratio), (0, 0, 0.0));
        let mut made = std::collections::BTreeMap::new();
        let mut ended = std::collections::BTreeSet::new();
        for event in &events {
            let id = event.id();
            assert!(!ended.contains(&id), "seed {seed}: {event:?} after the end");
            match event {
                EngineEvent::Token { index, .. } => {
                    let count = made.entry(id).or_insert(0_u32);
                    assert_eq!(index, count, "seed {seed}");
                    *count += 1;
                }
                EngineEvent::Finished { output_tokens, .. } => {
                    assert_eq!(*output_tokens, made.get(&id).copied().unwrap_or(0));
                    ended.insert(id);
                }
                _ => (),
            }
        }
        let submitted =
            load(seed).iter().filter(|(_, call)| matches!(call, Call::Submit { .. })).count();
        assert_eq!(ended.len(), submitted, "seed {seed}");
        let finished = stats.success_stop + stats.success_length + stats.aborted;
        assert_eq!(finished as usize, submitted);
    }
}

#[test]
fn thousands_of_requests_run_at_once() {
    let mut engine = Engine::new(EngineOptions {
        kv_blocks: 40_000,
        max_num_batched_tokens: 4096,
        max_num_seqs: 4000,
        ..EngineOptions::default()
    })
    .unwrap();
    for name in 0..4000_u32 {
        let prompt: Vec<u32> = (0..20).map(|id| name * 100 + id).collect();
        let rule = LengthRule { min_tokens: 0, max_tokens: 8, ignore_eos: true };
        let source = AnswerSource::new(&AnswerOptions::default(), &prompt, rule);
        engine
            .submit(EngineRequest::new(Arc::from(prompt), 40, Box::new(source)), Nanos::ZERO)
            .unwrap();
    }
    let mut events = Vec::new();
    let mut most = 0;
    while let Some(at) = engine.next_event_at() {
        engine.advance(at, &mut events);
        most = most.max(engine.stats().running);
        events.clear();
    }
    assert!(most > 2000, "{most}");
    assert_eq!(engine.stats().generation_tokens, 160_000);
}
