//! Tiers behind the device's cache: what vLLM's offloading connector keeps in main memory, on disk or
//! elsewhere.
//!
//! As the connector does it (vLLM 0.32):
//!
//! - A store is asynchronous and on *fill*, not on eviction: at the end of each step that filled
//!   blocks of a sequence, every tier is offered all full blocks of that sequence, and stores those
//!   it does not have. A block that is still being stored is not found. Stores hold up nobody.
//! - Looked up are whole blocks that follow those found on the device, never the last token. The run
//!   ends at the first block that no tier has; a block counts for the first tier that has it.
//! - A load is asynchronous too: the request waits, with its blocks reserved, while others go on.
//!   Afterwards its blocks are blocks of the device like any other.
//! - Each use of a sequence renews its blocks in every tier, the first block last, so that tails are
//!   evicted before heads.
//!
//! Where the simulation is simpler: tiers are filled straight from the device and load straight to it
//! (vLLM goes through the first tier); of a store that finds too little room the leading blocks are
//! kept (vLLM drops the whole store); a store does not hold the device's blocks; a loading
//! request reserves blocks for its whole prompt (vLLM: for the part found).

mod lane;
mod options;
mod stats;
mod tier;

use turnbench_kvcache::BlockHash;
use turnbench_model::Nanos;

pub use self::options::{TIERS_MAX, TierKind, TierOptions};
pub use self::stats::{TRANSFER_BYTES_BOUNDS, TierStats, TransferStats};
use self::tier::Tier;
use super::{EngineOptions, RequestId};

/// The tiers, nearest first.
#[derive(Debug)]
pub(super) struct Tiers {
    tiers: Vec<Tier>,
}

/// What the tiers have of a sequence: the names of its blocks, by tier.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) names: [Vec<u64>; TIERS_MAX],
}

impl Found {
    /// Blocks in all tiers together.
    pub(super) fn block_count(&self) -> usize {
        self.names.iter().map(Vec::len).sum()
    }

    /// Tokens by tier.
    pub(super) fn tokens(&self, block_size: u32) -> [u32; TIERS_MAX] {
        self.names.each_ref().map(|names| names.len() as u32 * block_size)
    }
}

impl Tiers {
    /// Empty tiers.
    pub(super) fn new(options: &EngineOptions) -> Self {
        let block_bytes = options.block_bytes();
        Self { tiers: options.tiers.iter().map(|tier| Tier::new(tier, block_bytes)).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The longest run of leading `blocks` that are in some tier, each in the first that has it.
    pub(super) fn find(&self, blocks: &[BlockHash]) -> Found {
        let mut found = Found::default();
        for name in blocks.iter().map(|hash| hash.name()) {
            let Some(number) = self.tiers.iter().position(|tier| tier.has(name)) else { break };
            found.names[number].push(name);
        }
        found
    }

    /// A request is admitted with `found`, of `wanted_count` blocks that were looked up: its
    /// sequence's `blocks` are renewed, what was found starts to load. Gives the number of loads.
    pub(super) fn admit(
        &mut self,
        at: Nanos,
        request: RequestId,
        blocks: &[BlockHash],
        wanted_count: usize,
        found: Found,
    ) -> u32 {
        let names: Vec<u64> = blocks.iter().map(|hash| hash.name()).collect();
        // Beside what was found, the one block that no tier had ended the search.
        let missed = u64::from(found.block_count() < wanted_count);
        let mut queried = found.block_count() as u64 + missed;
        let mut loads = 0;
        for (tier, names_here) in self.tiers.iter_mut().zip(found.names) {
            tier.touch(&names);
            tier.stats.queried_blocks += queried;
            tier.stats.hit_blocks += names_here.len() as u64;
            queried -= names_here.len() as u64;
            if !names_here.is_empty() {
                loads += 1;
                tier.load(at, request, names_here);
            }
        }
        loads
    }

    /// Offers the full `blocks` of a sequence to every tier; `offered` is how many of them each tier was
    /// offered before.
    pub(super) fn offer(
        &mut self,
        at: Nanos,
        blocks: &[BlockHash],
        offered: &mut [usize; TIERS_MAX],
    ) {
        if offered.iter().take(self.tiers.len()).all(|count| *count >= blocks.len()) {
            return;
        }
        let names: Vec<u64> = blocks.iter().map(|hash| hash.name()).collect();
        for (tier, offered) in self.tiers.iter_mut().zip(offered) {
            *offered = tier.offer(at, &names, *offered);
        }
    }

    /// When a load next ends or begins to move bytes.
    pub(super) fn next_load_at(&self) -> Option<Nanos> {
        self.tiers.iter().filter_map(|tier| tier.loads.next_at()).min()
    }

    /// Lets pass what happens at or before `until`; hands on the request of each load that
    /// ended, and when it did.
    pub(super) fn settle(&mut self, until: Nanos, mut loaded: impl FnMut(RequestId, Nanos)) {
        for tier in &mut self.tiers {
            tier.settle(until, &mut loaded);
        }
    }

    /// Ends the loads of a request early.
    pub(super) fn cancel(&mut self, at: Nanos, request: RequestId) {
        for tier in &mut self.tiers {
            tier.cancel(at, request);
        }
    }

    /// Gauges and counters as of `now`.
    pub(super) fn stats_at(&self, now: Nanos) -> Vec<TierStats> {
        self.tiers.iter().map(|tier| tier.stats_at(now)).collect()
    }
}
