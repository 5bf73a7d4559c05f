//! What a prefix cache of any size could do for a workload.

use std::collections::BTreeMap;

use turnbench_kvcache::{
    CacheRequest, EvictionPolicy, Fifo, Inclusion, MissCurve, RequestReuse, S3Fifo, S3FifoOptions,
    Tiers, found_tokens, found_tokens_by_tier, reuse,
};
use turnbench_metrics::{
    CACHE_REPORT_SCHEMA_VERSION, CacheReport, CacheSize, CurvePoint, FiniteCache, NeededCapacity,
    RequestOrder, TierFound, TurnReuse,
};

use crate::PromptBlocks;

/// Shares of the ideal for which the least cache is told.
const SHARES: [f64; 6] = [0.5, 0.8, 0.9, 0.95, 0.99, 1.0];
/// Points of a curve at most.
const POINTS_MAX: usize = 200;
/// Up to this one every turn is told.
const TURNS_ALL: u32 = 8;

/// What is asked of a workload's blocks.
#[derive(Clone, Copy, Debug)]
pub struct CacheAnalysis<'a> {
    /// The file, as typed.
    pub file: &'a str,
    /// The format that it was read as.
    pub format: &'a str,
    /// Conversations that take turns, where requests have no times.
    pub active: usize,
    /// Bytes that the model keeps for a token.
    pub kv_bytes_per_token: Option<f64>,
    /// Sizes of caches, in blocks.
    pub capacities: &'a [u64],
    /// Sizes of tiers behind one another, in blocks, the fastest first.
    pub tiers: &'a [u64],
    /// What the lower tiers keep.
    pub inclusion: Inclusion,
}

/// Replays a workload's requests against caches.
pub fn analyze_cache(blocks: &PromptBlocks, analysis: &CacheAnalysis<'_>) -> CacheReport {
    let block_tokens = blocks.block_tokens;
    let size = |of| CacheSize::of_blocks(of, block_tokens, analysis.kv_bytes_per_token);
    let requests = blocks.cache_requests(analysis.active);
    let found = reuse(&requests, block_tokens, analysis.capacities);
    let sum = |figure: fn(&RequestReuse) -> u64| found.requests.iter().map(figure).sum::<u64>();
    let caches = analysis.capacities.iter().enumerate().map(|(place, &capacity)| FiniteCache {
        size: size(capacity),
        lru_tokens: found.requests.iter().map(|request| request.finite_tokens[place]).sum(),
        fifo_tokens: alone(&requests, block_tokens, Fifo::new(capacity)),
        s3_fifo_tokens: alone(
            &requests,
            block_tokens,
            S3Fifo::new(capacity, S3FifoOptions::default()),
        ),
    });
    let has_times = blocks.order == RequestOrder::SentTime;
    CacheReport {
        schema_version: CACHE_REPORT_SCHEMA_VERSION,
        file: analysis.file.to_owned(),
        format: analysis.format.to_owned(),
        token_basis: blocks.basis.clone(),
        block_tokens,
        kv_bytes_per_token: analysis.kv_bytes_per_token,
        order: blocks.order,
        active_conversations: (!has_times).then_some(analysis.active as u64),
        conversations: blocks.conversations_count() as u64,
        requests: requests.len() as u64,
        unknown_requests: blocks.unknown_requests,
        prompt_tokens: requests.iter().map(|request| request.prompt_tokens).sum(),
        distinct_tokens: found.left_blocks * u64::from(block_tokens),
        ideal_tokens: sum(|request| request.ideal_tokens),
        own_history_tokens: sum(|request| request.own_tokens),
        cross_conversation_tokens: sum(RequestReuse::cross_tokens),
        needed: needed_capacities(&found.curve, size),
        caches: caches.collect(),
        tiers: tiers(&requests, block_tokens, analysis),
        curve: curve(&found.curve, block_tokens, size),
        turns: turns(&requests, &found.requests, size),
    }
}

/// The least LRU cache for each of the shares that are told.
pub(crate) fn needed_capacities(
    curve: &MissCurve,
    size: impl Fn(u64) -> CacheSize,
) -> Vec<NeededCapacity> {
    let needed = |share| Some(NeededCapacity { share, size: size(curve.capacity_for(share)?) });
    SHARES.into_iter().filter_map(needed).collect()
}

fn alone(requests: &[CacheRequest<'_>], block_tokens: u32, mut cache: impl EvictionPolicy) -> u64 {
    found_tokens(requests, block_tokens, &mut cache)
}

fn tiers(
    requests: &[CacheRequest<'_>],
    block_tokens: u32,
    analysis: &CacheAnalysis<'_>,
) -> Vec<TierFound> {
    if analysis.tiers.is_empty() {
        return Vec::new();
    }
    let mut tiers = Tiers::new(analysis.tiers, analysis.inclusion);
    let found = found_tokens_by_tier(requests, block_tokens, &mut tiers);
    let size = |&blocks| CacheSize::of_blocks(blocks, block_tokens, analysis.kv_bytes_per_token);
    let tier = |(blocks, tokens)| TierFound { size: size(blocks), tokens };
    analysis.tiers.iter().zip(found).map(tier).collect()
}

/// All steps of a curve, or as many of them as are worth drawing, evenly in the logarithm of the size.
fn curve(curve: &MissCurve, block_tokens: u32, size: impl Fn(u64) -> CacheSize) -> Vec<CurvePoint> {
    let steps: Vec<(u64, u64)> = curve.steps().collect();
    let (Some(&(least, _)), Some(&(most, _))) = (steps.first(), steps.last()) else {
        return Vec::new();
    };
    let ratio = (most as f64 / least as f64).powf(1.0 / (POINTS_MAX - 1) as f64);
    let mut next = least as f64;
    let mut points = Vec::new();
    for (at, &(capacity, hits)) in steps.iter().enumerate() {
        let is_last = at + 1 == steps.len();
        if steps.len() > POINTS_MAX && !is_last && (capacity as f64) < next {
            continue;
        }
        while next <= capacity as f64 {
            next *= ratio.max(1.0 + f64::EPSILON * 4.0);
        }
        points.push(CurvePoint { size: size(capacity), tokens: hits * u64::from(block_tokens) });
    }
    points
}

fn turns(
    requests: &[CacheRequest<'_>],
    found: &[RequestReuse],
    size: impl Fn(u64) -> CacheSize,
) -> Vec<TurnReuse> {
    let mut by_turn: BTreeMap<u32, Vec<&RequestReuse>> = BTreeMap::new();
    for one in found {
        by_turn.entry(requests[one.request].turn).or_default().push(one);
    }
    let told = |turn: &u32| *turn <= TURNS_ALL || turn.is_power_of_two();
    let last = by_turn.keys().next_back().copied();
    let told = by_turn.into_iter().filter(|(turn, _)| told(turn) || Some(*turn) == last);
    told.map(|(turn, of_turn)| {
        let sum = |figure: fn(&RequestReuse) -> u64| of_turn.iter().map(|&one| figure(one)).sum();
        let mut needed: Vec<u64> = of_turn.iter().filter_map(|one| one.needed_blocks).collect();
        needed.sort_unstable();
        let prompts = of_turn.iter().map(|one| requests[one.request].prompt_tokens);
        TurnReuse {
            turn,
            requests: of_turn.len() as u64,
            prompt_tokens: prompts.sum(),
            ideal_tokens: sum(|one| one.ideal_tokens),
            own_history_tokens: sum(|one| one.own_tokens),
            needed_p50: needed.get(needed.len().saturating_sub(1) / 2).copied().map(&size),
            needed_max: needed.last().copied().map(&size),
        }
    })
    .collect()
}
