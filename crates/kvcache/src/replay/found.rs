use super::tiers::Tiers;
use super::timeline::{CacheRequest, Happening, each_happening};
use crate::policy::EvictionPolicy;

/// Tokens that requests find in a cache with an eviction policy. The rules are those of
/// [`reuse`](super::reuse::reuse), which gives the same for LRU, for all capacities at once; where a policy evicts
/// a block before one that follows it, what follows is of no use.
pub fn found_tokens(
    requests: &[CacheRequest<'_>],
    block_tokens: u32,
    cache: &mut dyn EvictionPolicy,
) -> u64 {
    let mut found = 0;
    each_happening(requests, |happening, index| {
        let request = &requests[index];
        let used = match happening {
            Happening::Sent => {
                let blocks = request.usable_blocks(u64::from(block_tokens));
                let count = blocks.iter().take_while(|&&block| cache.contains(block)).count();
                found += count as u64;
                return;
            }
            Happening::Prefilled => request.prompt_blocks,
            Happening::Ended => request.left_blocks,
        };
        for &block in used.iter().rev() {
            cache.access(block);
        }
    });
    found * u64::from(block_tokens)
}

/// Tokens that requests find in each of several tiers. A block counts for the first tier that has it, as
/// long as every block before it is in one.
pub fn found_tokens_by_tier(
    requests: &[CacheRequest<'_>],
    block_tokens: u32,
    tiers: &mut Tiers,
) -> Vec<u64> {
    let mut found = vec![0; tiers.count()];
    each_happening(requests, |happening, index| {
        let request = &requests[index];
        let used = match happening {
            Happening::Sent => {
                let blocks = request.usable_blocks(u64::from(block_tokens));
                let places = blocks.iter().map_while(|&block| tiers.find(block));
                places.for_each(|tier| found[tier] += u64::from(block_tokens));
                return;
            }
            Happening::Prefilled => request.prompt_blocks,
            Happening::Ended => request.left_blocks,
        };
        for &block in used.iter().rev() {
            tiers.access(block);
        }
    });
    found
}
