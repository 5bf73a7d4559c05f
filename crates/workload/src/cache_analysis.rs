//! What a prefix cache of any size could do for a workload.

mod scale;

use std::collections::BTreeMap;

use turnbench_kvcache::{
    CacheRequest, EvictionPolicy, Fifo, Inclusion, MissCurve, RequestReuse, S3Fifo, S3FifoOptions,
    Thinned, Tiers, found_tokens, found_tokens_by_tier, looked_up, reuse, thinned_error,
};
use turnbench_metrics::{
    CACHE_REPORT_SCHEMA_VERSION, CacheReport, CacheSampling, CacheSize, CurvePoint, FiniteCache,
    NeededCapacity, RequestOrder, TierFound, TurnReuse,
};

pub(crate) use self::scale::Scale;
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
    /// Blocks that are looked up in a replay, at most; of more a sample is taken. `None`: all are.
    pub sample_blocks: Option<u64>,
}

/// Replays a workload's requests against caches.
pub fn analyze_cache(blocks: &PromptBlocks, analysis: &CacheAnalysis<'_>) -> CacheReport {
    let block_tokens = blocks.block_tokens;
    let size = |of| CacheSize::of_blocks(of, block_tokens, analysis.kv_bytes_per_token);
    let all = blocks.cache_requests(analysis.active);
    let wanted = looked_up(&all, block_tokens);
    let rate = match analysis.sample_blocks {
        Some(sample) if sample < wanted => sample as f64 / wanted as f64,
        Some(_) | None => 1.0,
    };
    let thinned = (rate < 1.0).then(|| Thinned::new(&all, block_tokens, rate));
    let requests = thinned.as_ref().map_or_else(|| all.clone(), Thinned::requests);
    let scale = Scale::new(rate, wanted, looked_up(&requests, block_tokens), block_tokens);
    let capacities: Vec<u64> = analysis.capacities.iter().map(|it| scale.capacity(*it)).collect();
    let found = reuse(&requests, block_tokens, &capacities);
    let sum = |figure: fn(&RequestReuse) -> u64| found.requests.iter().map(figure).sum::<u64>();
    let caches = analysis.capacities.iter().enumerate().map(|(place, &capacity)| FiniteCache {
        size: size(capacity),
        lru_tokens: scale
            .served(found.requests.iter().map(|request| request.finite_tokens[place]).sum()),
        fifo_tokens: alone(&requests, block_tokens, &scale, Fifo::new(capacities[place])),
        s3_fifo_tokens: alone(
            &requests,
            block_tokens,
            &scale,
            S3Fifo::new(capacities[place], S3FifoOptions::default()),
        ),
    });
    let has_times = blocks.order == RequestOrder::SentTime;
    let ideal_tokens = scale.served(sum(|request| request.ideal_tokens));
    let (own, ideal) = (sum(|request| request.own_tokens), sum(|request| request.ideal_tokens));
    let own_history_tokens = ratio_of(own, ideal_tokens, ideal).min(ideal_tokens);
    let curve = curve(&found.curve, &scale, size);
    let prompt_tokens = all.iter().map(|request| request.prompt_tokens).sum();
    let sampling = thinned.as_ref().map(|thinned| {
        let sizes: Vec<u64> = curve.iter().map(|point| point.size.blocks).collect();
        let errors = thinned_error(&all, block_tokens, rate, &sizes);
        let widest = errors.into_iter().fold(0.0, f64::max);
        let of_prompts =
            (wanted * u64::from(block_tokens)) as f64 / (prompt_tokens as f64).max(1.0);
        CacheSampling { rate, blocks: thinned.looked_up(), error_ratio: widest * of_prompts }
    });
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
        requests: all.len() as u64,
        unknown_requests: blocks.unknown_requests,
        sampling,
        prompt_tokens,
        distinct_tokens: scale.plain(found.left_blocks) * u64::from(block_tokens),
        ideal_tokens,
        own_history_tokens,
        cross_conversation_tokens: ideal_tokens - own_history_tokens,
        needed: needed_capacities(&found.curve, &scale, size),
        caches: caches.collect(),
        tiers: tiers(&requests, block_tokens, &scale, analysis),
        curve,
        turns: turns(&all, &requests, &found.requests, &scale, size),
    }
}

/// The least LRU cache for each of the shares that are told.
pub(crate) fn needed_capacities(
    curve: &MissCurve,
    scale: &Scale,
    size: impl Fn(u64) -> CacheSize,
) -> Vec<NeededCapacity> {
    let needed = |share| {
        let least = curve.capacity_for(scale.share(share, curve.reuses()))?;
        Some(NeededCapacity { share, size: size(scale.distance(least)) })
    };
    SHARES.into_iter().filter_map(needed).collect()
}

fn alone(
    requests: &[CacheRequest<'_>],
    block_tokens: u32,
    scale: &Scale,
    mut cache: impl EvictionPolicy,
) -> u64 {
    scale.served(found_tokens(requests, block_tokens, &mut cache))
}

fn tiers(
    requests: &[CacheRequest<'_>],
    block_tokens: u32,
    scale: &Scale,
    analysis: &CacheAnalysis<'_>,
) -> Vec<TierFound> {
    if analysis.tiers.is_empty() {
        return Vec::new();
    }
    let capacities: Vec<u64> = analysis.tiers.iter().map(|it| scale.capacity(*it)).collect();
    let mut tiers = Tiers::new(&capacities, analysis.inclusion);
    let found = found_tokens_by_tier(requests, block_tokens, &mut tiers);
    let size = |&blocks| CacheSize::of_blocks(blocks, block_tokens, analysis.kv_bytes_per_token);
    // Of the first tier only: it is what is used often that a sample has too much or too little of.
    let tokens = found.into_iter().enumerate().map(|(place, tokens)| match place {
        0 => scale.served(tokens),
        _ => scale.plain(tokens),
    });
    let tier = |(blocks, tokens)| TierFound { size: size(blocks), tokens };
    analysis.tiers.iter().zip(tokens).map(tier).collect()
}

/// All steps of a curve, or as many of them as are worth drawing, evenly in the logarithm of the size.
fn curve(curve: &MissCurve, scale: &Scale, size: impl Fn(u64) -> CacheSize) -> Vec<CurvePoint> {
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
        let tokens = scale.served(hits * scale.block_tokens);
        points.push(CurvePoint { size: size(scale.distance(capacity)), tokens });
    }
    points
}

/// `found` is of the `replayed` requests, a sample's or all.
fn turns(
    all: &[CacheRequest<'_>],
    replayed: &[CacheRequest<'_>],
    found: &[RequestReuse],
    scale: &Scale,
    size: impl Fn(u64) -> CacheSize,
) -> Vec<TurnReuse> {
    let mut by_turn: BTreeMap<u32, Vec<&RequestReuse>> = BTreeMap::new();
    for one in found {
        by_turn.entry(all[one.request].turn).or_default().push(one);
    }
    let told = |turn: &u32| *turn <= TURNS_ALL || turn.is_power_of_two();
    let last = by_turn.keys().next_back().copied();
    let told = by_turn.into_iter().filter(|(turn, _)| told(turn) || Some(*turn) == last);
    told.map(|(turn, of_turn)| {
        let of = |requests: &[CacheRequest<'_>]| {
            let requests: Vec<_> = of_turn.iter().map(|one| requests[one.request]).collect();
            looked_up(&requests, scale.block_tokens as u32)
        };
        let (wanted, sampled) = if scale.is_exact() { (1, 1) } else { (of(all), of(replayed)) };
        let sum = |figure: fn(&RequestReuse) -> u64| {
            let sum: u64 = of_turn.iter().map(|&one| figure(one)).sum();
            ratio_of(sum, wanted, sampled)
        };
        let needed = of_turn.iter().filter(|_| scale.is_exact());
        let mut needed: Vec<u64> = needed.filter_map(|one| one.needed_blocks).collect();
        needed.sort_unstable();
        let prompts = of_turn.iter().map(|one| all[one.request].prompt_tokens);
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

/// `number` times `whole` / `part`; 0 without a part.
fn ratio_of(number: u64, whole: u64, part: u64) -> u64 {
    if whole == part {
        return number;
    }
    if part == 0 { 0 } else { (number as f64 * whole as f64 / part as f64).round() as u64 }
}
