use super::reuse::reuse;
use super::sampled::{PARTS, SAMPLING, half_width};
use super::timeline::CacheRequest;
use crate::key_map::mixed;

/// Requests with a sample of their blocks, so that replaying them takes so much less time and memory.
///
/// SHARDS with a fixed rate (Waldspurger, Park, Garthwaite, Ahmad, "Efficient MRC construction with
/// SHARDS", FAST 2015): a block is in the sample by its name alone, so with all of its uses or none.
/// What a cache of the sample's share of the size serves of the sample, it serves of the whole. As a
/// block's name has that of all before it in it, one that is found stands for a prefix that is.
#[derive(Clone, Debug)]
pub struct Thinned<'a> {
    requests: &'a [CacheRequest<'a>],
    block_tokens: u64,
    /// The sampled blocks that each request leaves, one request's after the other's.
    blocks: Vec<u64>,
    kept: Vec<Kept>,
}

/// A request's part of the sample.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Where its blocks begin.
    start: usize,
    /// Those that are looked up.
    usable: usize,
    /// Those of its prompt.
    prompt: usize,
    /// Those that it leaves.
    left: usize,
}

impl<'a> Thinned<'a> {
    /// Keeps about a share of `rate` (0 to 1) of all blocks.
    pub fn new(requests: &'a [CacheRequest<'a>], block_tokens: u32, rate: f64) -> Self {
        Self::of(requests, block_tokens, |hash| is_within(hash, rate))
    }

    fn of(
        requests: &'a [CacheRequest<'a>],
        block_tokens: u32,
        is_kept: impl Fn(u64) -> bool,
    ) -> Self {
        let block_tokens = u64::from(block_tokens.max(1));
        let mut blocks = Vec::new();
        let kept = requests.iter().map(|request| {
            let start = blocks.len();
            let usable = request.usable_blocks(block_tokens).len();
            let prompt = request.prompt_blocks.len();
            let mut kept = Kept { start, usable: 0, prompt: 0, left: 0 };
            // A request leaves its prompt's blocks first.
            for (place, &block) in request.left_blocks.iter().enumerate() {
                if is_kept(mixed(block ^ SAMPLING)) {
                    blocks.push(block);
                    kept.usable += usize::from(place < usable);
                    kept.prompt += usize::from(place < prompt);
                    kept.left += 1;
                }
            }
            kept
        });
        let kept = kept.collect();
        Self { requests, block_tokens, blocks, kept }
    }

    /// The requests, as if the sampled blocks were all that they have.
    pub fn requests(&self) -> Vec<CacheRequest<'_>> {
        let requests = self.requests.iter().zip(&self.kept);
        let thinned = requests.map(|(request, kept)| {
            let left = &self.blocks[kept.start..kept.start + kept.left];
            CacheRequest {
                prompt_tokens: kept.usable as u64 * self.block_tokens + 1,
                prompt_blocks: &left[..kept.prompt],
                left_blocks: left,
                ..*request
            }
        });
        thinned.collect()
    }

    /// Sampled blocks that are looked up.
    pub fn looked_up(&self) -> u64 {
        self.kept.iter().map(|kept| kept.usable as u64).sum()
    }
}

/// Blocks that requests look up.
pub fn looked_up(requests: &[CacheRequest<'_>], block_tokens: u32) -> u64 {
    let of = |request: &CacheRequest<'_>| request.usable_blocks(u64::from(block_tokens)).len();
    requests.iter().map(|request| of(request) as u64).sum()
}

/// How far what a sample says of LRU caches of these sizes may be off: half of the 95 % interval, as a
/// share (0 to 1) of all blocks that are looked up. From the spread of eight parts of the sample.
pub fn thinned_error(
    requests: &[CacheRequest<'_>],
    block_tokens: u32,
    rate: f64,
    capacities: &[u64],
) -> Vec<f64> {
    let expected = looked_up(requests, block_tokens) as f64 * rate / PARTS as f64;
    let served: Vec<Vec<f64>> = (0..PARTS)
        .map(|part| {
            let is_kept = |hash: u64| is_within(hash, rate) && hash as usize % PARTS == part;
            let thinned = Thinned::of(requests, block_tokens, is_kept);
            let curve = reuse(&thinned.requests(), block_tokens, &[]).curve;
            let surplus = expected - curve.accesses() as f64;
            let steps: Vec<(u64, u64)> = curve.steps().collect();
            let share = |&capacity: &u64| {
                // The block itself is one, and each other one stands for more.
                let room = capacity.saturating_sub(1) as f64 * rate / PARTS as f64;
                let within = steps.partition_point(|(least, _)| (*least - 1) as f64 <= room);
                let hits = within.checked_sub(1).map_or(0, |at| steps[at].1);
                ((hits as f64 + surplus) / expected).clamp(0.0, 1.0)
            };
            capacities.iter().map(share).collect()
        })
        .collect();
    let of_capacity = |at| half_width(&served.iter().map(|part| part[at]).collect::<Vec<_>>());
    (0..capacities.len()).map(of_capacity).collect()
}

/// Whether a hash is among the least `rate` of all.
fn is_within(hash: u64, rate: f64) -> bool {
    (hash as f64) < rate * 18_446_744_073_709_551_616.0
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;

    use super::{CacheRequest, Thinned, looked_up, reuse, thinned_error};

    /// Two requests of the same 1,000 blocks, the second with 10 more.
    fn check(rate: f64, expect: impl Fn(&Thinned<'_>)) {
        let blocks: Vec<u64> = (0..1_010).collect();
        let request = |turn: u64, count: usize| CacheRequest {
            conversation: 0,
            turn: turn as u32,
            prompt_tokens: count as u64 * 16,
            prompt_blocks: &blocks[..count],
            left_blocks: &blocks[..count],
            sent: Nanos(turn * 3),
            prefilled: Nanos(turn * 3 + 1),
            ended: Nanos(turn * 3 + 2),
        };
        let requests = [request(1, 1_000), request(2, 1_010)];
        // The block of a prompt's last token is not looked up.
        assert_eq!(looked_up(&requests, 16), 999 + 1_009);
        expect(&Thinned::new(&requests, 16, rate));
    }

    #[test]
    fn all_blocks_are_the_requests_as_they_were() {
        check(1.0, |thinned| {
            assert_eq!(thinned.looked_up(), 999 + 1_009);
            let found = reuse(&thinned.requests(), 16, &[999, 1_000]);
            let [_, second] = &found.requests[..] else { panic!() };
            assert_eq!(second.ideal_tokens, 1_000 * 16);
            // Of the first prompt its last block is evicted first.
            assert_eq!(second.finite_tokens, [999 * 16, 1_000 * 16]);
            assert_eq!(thinned_error(&thinned.requests(), 16, 1.0, &[1_000]).len(), 1);
        });
    }

    #[test]
    fn a_block_is_in_the_sample_with_all_of_its_uses() {
        check(0.25, |thinned| {
            let requests = thinned.requests();
            let kept = requests[0].left_blocks;
            assert!((150..350).contains(&kept.len()), "{}", kept.len());
            assert!(requests[1].left_blocks.starts_with(kept));
            let found = reuse(&requests, 16, &[]);
            assert_eq!(found.requests[1].ideal_tokens, kept.len() as u64 * 16);
        });
    }
}
