//! Whatever the options and the load, the engine gets on and comes to rest.

use std::sync::Arc;

use proptest::prelude::*;
use turnbench_model::Nanos;
use turnbench_simserver::engine::{
    AnswerOptions, AnswerSource, Engine, EngineEvent, EngineOptions, EngineRequest, LengthRule,
    RequestId, TierKind, TierOptions, TierStats,
};

/// Far more steps than any load below needs.
const BOUNDARIES_MAX: usize = 100_000;

/// One request: when after the one before, prompt length, which prompt, most answer tokens, salt,
/// lookup skipped, and when after its arrival it is aborted.
type Load = Vec<(u64, u32, u32, u32, bool, bool, Option<u64>)>;

fn loads() -> impl Strategy<Value = Load> {
    let abort = prop::option::weighted(0.2, 0_u64..4_000_000);
    prop::collection::vec(
        (0_u64..400_000, 1_u32..90, 0_u32..3, 1_u32..60, any::<bool>(), any::<bool>(), abort),
        1..25,
    )
}

/// Up to two tiers of up to 30 blocks, some so slow that loads overlap.
fn tiers() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    prop::collection::vec((1_u64..30, 1_u64..2_000, 0_u64..50_000), 0..3)
}

/// Options of which some leave room for hardly a sequence.
fn options() -> impl Strategy<Value = EngineOptions> {
    let sizes = (1_u32..9, 2_u32..40, 1_u32..10, 0_u32..30, 0_u32..2_000_000);
    (sizes, any::<bool>(), any::<bool>(), tiers()).prop_map(|(sizes, caching, chunked, tiers)| {
        let (prefix_caching, chunked_prefill) = (caching || !tiers.is_empty(), chunked);
        let tier = |(kind, (blocks, mega, latency))| TierOptions {
            latency: Nanos(latency),
            ..TierOptions::new(kind, blocks * u64::from(sizes.0) * 1000, mega as f64 * 1e6)
        };
        let (block_size, kv_blocks, max_num_seqs, more_budget, decode_ns) = sizes;
        let max_model_len = block_size * (kv_blocks - 1);
        let least = if chunked_prefill { max_num_seqs } else { max_num_seqs.max(max_model_len) };
        EngineOptions {
            block_size,
            kv_blocks,
            max_num_batched_tokens: least + more_budget,
            max_num_seqs,
            max_model_len,
            prefill_tokens_per_sec: 1e6,
            decode_ns: u64::from(decode_ns),
            decode_ns_per_seq: 0,
            prefix_caching,
            chunked_prefill,
            kv_bytes_per_token: 1000,
            tiers: TierKind::ALL.into_iter().zip(tiers).map(tier).collect(),
            ..EngineOptions::default()
        }
    })
}

/// Submits and aborts everything; gives the requests that were taken.
fn submit(engine: &mut Engine, load: &Load, events: &mut Vec<EngineEvent>) -> Vec<RequestId> {
    let mut at = 0;
    let mut taken = Vec::new();
    for &(wait, len, name, max_tokens, salted, skip_prefix_lookup, abort) in load {
        at += wait;
        engine.advance(Nanos(at), events);
        let prompt: Arc<[u32]> = (0..len).map(|id| name * 1000 + id).collect();
        let rule = LengthRule { min_tokens: 0, max_tokens, ignore_eos: name == 0 };
        let source = AnswerSource::new(&AnswerOptions::default(), &prompt, rule);
        let request = EngineRequest {
            cache_salt: salted.then(|| Arc::from("salt")),
            skip_prefix_lookup,
            ..EngineRequest::new(prompt, max_tokens, Box::new(source))
        };
        // Prompts that leave no room for an answer are refused.
        let Ok(id) = engine.submit(request, Nanos(at)) else { continue };
        taken.push(id);
        if let Some(after) = abort {
            engine.abort(id, Nanos(at + after));
        }
    }
    taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_request_ends_and_every_block_is_given_back(options in options(), load in loads()) {
        let mut engine = Engine::new(options).unwrap();
        let mut events = Vec::new();
        let taken = submit(&mut engine, &load, &mut events);
        let mut boundaries = 0;
        while let Some(at) = engine.next_event_at() {
            boundaries += 1;
            prop_assert!(boundaries < BOUNDARIES_MAX, "no rest");
            engine.advance(at, &mut events);
        }
        prop_assert!(events.is_sorted_by_key(EngineEvent::at));
        let mut ended: Vec<RequestId> = events
            .iter()
            .filter(|event| matches!(event, EngineEvent::Finished { .. }))
            .map(EngineEvent::id)
            .collect();
        ended.sort();
        prop_assert_eq!(ended, taken);
        let stats = engine.stats();
        prop_assert_eq!((stats.running, stats.waiting, stats.kv_usage_ratio), (0, 0, 0.0));
        let moving = |it: &TierStats| it.loads.moving_blocks + it.stores.moving_blocks;
        let tiers = engine.tier_stats(Nanos(u64::MAX));
        prop_assert!(tiers.iter().all(|tier| moving(tier) == 0));
        prop_assert!(tiers.iter().all(|tier| tier.held_blocks <= tier.capacity_blocks));
        prop_assert!(engine.reset_prefix_cache());
    }
}
