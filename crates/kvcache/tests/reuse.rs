//! Reuse of whole requests, against a cache so slow and plain that it is seen to be right.

#![allow(clippy::unwrap_used, reason = "test code")]

use proptest::prelude::*;
use turnbench_kvcache::{
    BlockHash, CacheRequest, Fifo, Inclusion, Lru, Reuse, Tiers, found_tokens,
    found_tokens_by_tier, reuse,
};
use turnbench_model::Nanos;

const BLOCK_TOKENS: u32 = 4;

/// A request of the tests, with blocks of its own.
#[derive(Clone, Debug)]
struct Made {
    conversation: u32,
    prompt: Vec<u32>,
    answer: Vec<u32>,
    sent: u64,
    prefill: u64,
    decode: u64,
}

impl Made {
    fn new(conversation: u32, prompt: &[u32], answer: &[u32], sent: u64) -> Self {
        let (prompt, answer) = (prompt.to_vec(), answer.to_vec());
        Self { conversation, prompt, answer, sent, prefill: 10, decode: 10 }
    }

    fn prompt_names(&self) -> Vec<u64> {
        BlockHash::ROOT.names(&self.prompt, BLOCK_TOKENS)
    }

    fn left_names(&self) -> Vec<u64> {
        let computed = self.answer.len().saturating_sub(1);
        let tokens = [&self.prompt[..], &self.answer[..computed]].concat();
        BlockHash::ROOT.names(&tokens, BLOCK_TOKENS)
    }
}

fn run(made: &[Made], capacities: &[u64]) -> Reuse {
    with_requests(made, |requests| reuse(requests, BLOCK_TOKENS, capacities))
}

fn with_requests<T>(made: &[Made], what: impl FnOnce(&[CacheRequest<'_>]) -> T) -> T {
    let names: Vec<_> = made.iter().map(|made| (made.prompt_names(), made.left_names())).collect();
    let requests: Vec<_> = made
        .iter()
        .zip(&names)
        .map(|(made, (prompt, left))| CacheRequest {
            conversation: made.conversation,
            turn: 1,
            prompt_tokens: made.prompt.len() as u64,
            prompt_blocks: prompt,
            left_blocks: left,
            sent: Nanos(made.sent),
            prefilled: Nanos(made.sent + made.prefill),
            ended: Nanos(made.sent + made.prefill + made.decode),
        })
        .collect();
    what(&requests)
}

/// Ideal and own tokens of each request, by sending order.
fn endless(made: &[Made]) -> Vec<(u64, u64)> {
    let reuse = run(made, &[]);
    reuse.requests.iter().map(|request| (request.ideal_tokens, request.own_tokens)).collect()
}

#[test]
fn a_turn_reuses_full_blocks_of_prompt_and_answer_and_computes_one_token() {
    let first = Made::new(0, &[1, 2, 3, 4, 5], &[6, 7, 8, 9], 0);
    // Of nine tokens known, the last was never computed.
    let next = Made::new(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[], 100);
    // The whole prompt is known: its last block has the token that must be computed.
    let again = Made::new(0, &[1, 2, 3, 4, 5, 6, 7, 8], &[], 200);
    assert_eq!(endless(&[first, next, again]), [(0, 0), (8, 8), (4, 4)]);
}

#[test]
fn other_conversations_serve_what_they_left() {
    let other = Made::new(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], 0);
    let own = Made::new(2, &[1, 2, 3, 4, 9], &[], 100);
    let asked = Made::new(2, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], 200);
    let reuse = run(&[other, own, asked], &[]);
    let last = &reuse.requests[2];
    assert_eq!((last.ideal_tokens, last.own_tokens, last.cross_tokens()), (8, 4, 4));
}

#[test]
fn requests_under_way_together_do_not_serve_each_other() {
    let prompt = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let at = |sent| Made::new(sent as u32, &prompt, &[], sent);
    // The first one's prompt is done at 10.
    assert_eq!(endless(&[at(0), at(9), at(10)]), [(0, 0), (0, 0), (8, 0)]);
}

#[test]
fn a_finite_cache_forgets_the_end_of_a_prompt_first() {
    let first = Made::new(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], 0);
    let other = Made::new(1, &[90; 5], &[], 100);
    let again = Made { sent: 200, ..first.clone() };
    let reuse = run(&[first, other, again], &[1, 2, 3]);
    let last = &reuse.requests[2];
    assert_eq!((last.ideal_tokens, last.needed_blocks), (8, Some(3)));
    assert_eq!(last.finite_tokens, [0, 4, 8]);
}

#[test]
fn what_follows_an_evicted_block_is_of_no_use() {
    let short = Made::new(0, &[1, 2, 3, 4, 5], &[], 0);
    let long = Made::new(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], &[], 100);
    let other = Made::new(1, &[90; 5], &[], 200);
    let again = Made { sent: 300, ..long.clone() };
    // The first block was there first, and goes first for the other's; the two after it stay.
    let mut fifo = Fifo::new(3);
    let found = with_requests(&[short, long, other, again], |all| found_tokens(all, 4, &mut fifo));
    assert_eq!(found, 4);
}

#[test]
fn the_order_given_does_not_matter() {
    let first = Made::new(0, &[1, 2, 3, 4, 5], &[6, 7, 8, 9], 0);
    let next = Made::new(0, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], 100);
    let reuse = run(&[next, first], &[]);
    let ideal: Vec<_> = reuse.requests.iter().map(|one| (one.request, one.ideal_tokens)).collect();
    assert_eq!(ideal, [(1, 0), (0, 8)]);
}

/// A cache as a plain list, the most recent block last, told of everything in order of time.
fn plain(made: &[Made], capacity: usize) -> Vec<u64> {
    let mut happenings: Vec<(u64, u8, usize)> = Vec::new();
    for (index, made) in made.iter().enumerate() {
        let prefilled = made.sent + made.prefill;
        happenings.push((made.sent, 2, index));
        happenings.push((prefilled, 1, index));
        happenings.push((prefilled + made.decode, 0, index));
    }
    happenings.sort_unstable();
    let mut held: Vec<u64> = Vec::new();
    let mut found_tokens = Vec::new();
    for (_, kind, index) in happenings {
        let made = &made[index];
        let names = if kind == 0 { made.left_names() } else { made.prompt_names() };
        if kind == 2 {
            let usable = (made.prompt.len().saturating_sub(1)) / BLOCK_TOKENS as usize;
            let found = names[..usable].iter().take_while(|name| held.contains(name)).count();
            found_tokens.push(found as u64 * u64::from(BLOCK_TOKENS));
            continue;
        }
        for name in names.iter().rev() {
            held.retain(|held| held != name);
            held.push(*name);
            if held.len() > capacity {
                held.remove(0);
            }
        }
    }
    found_tokens
}

fn made() -> impl Strategy<Value = Made> {
    let tokens = |most| prop::collection::vec(0_u32..2, 0..most);
    (0_u32..3, tokens(30), tokens(10), 0_u64..300, 1_u64..30, 0_u64..30).prop_map(
        |(conversation, prompt, answer, sent, prefill, decode)| Made {
            conversation,
            prompt: if prompt.is_empty() { vec![0] } else { prompt },
            answer,
            sent,
            prefill,
            decode,
        },
    )
}

proptest! {
    #[test]
    fn every_capacity_finds_what_a_plain_list_finds(
        made in prop::collection::vec(made(), 0..40),
        capacities in prop::collection::vec(0_usize..60, 1..4),
    ) {
        let sizes: Vec<u64> = capacities.iter().map(|&capacity| capacity as u64).collect();
        let reuse = run(&made, &sizes);
        for (place, &capacity) in capacities.iter().enumerate() {
            let found: Vec<u64> =
                reuse.requests.iter().map(|request| request.finite_tokens[place]).collect();
            prop_assert_eq!(&found, &plain(&made, capacity));
            let blocks: u64 = found.iter().sum::<u64>() / u64::from(BLOCK_TOKENS);
            let hits = reuse.curve.accesses() - reuse.curve.misses(capacity as u64);
            prop_assert_eq!(blocks, hits);
            let mut lru = Lru::new(capacity as u64);
            let alone = with_requests(&made, |all| found_tokens(all, BLOCK_TOKENS, &mut lru));
            prop_assert_eq!(alone, found.iter().sum::<u64>());
            let exclusive = Inclusion::Exclusive;
            let (third, rest) = (capacity as u64 / 3, capacity as u64 - capacity as u64 / 3);
            let mut tiers = Tiers::new(&[third, rest], exclusive);
            let parts =
                with_requests(&made, |all| found_tokens_by_tier(all, BLOCK_TOKENS, &mut tiers));
            prop_assert_eq!(parts.iter().sum::<u64>(), alone);
            let mut first = Lru::new(third);
            let first = with_requests(&made, |all| found_tokens(all, BLOCK_TOKENS, &mut first));
            prop_assert_eq!(parts[0], first);
        }
        let ideal: Vec<u64> = reuse.requests.iter().map(|request| request.ideal_tokens).collect();
        prop_assert_eq!(ideal, plain(&made, usize::MAX));
        prop_assert!(reuse.requests.iter().all(|one| one.own_tokens <= one.ideal_tokens));
    }
}
