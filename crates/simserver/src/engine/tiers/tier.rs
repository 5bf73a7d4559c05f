use std::collections::{BTreeMap, BTreeSet};

use turnbench_kvcache::RecencyList;
use turnbench_model::Nanos;

use super::lane::Lane;
use super::{TierOptions, TierStats};
use crate::engine::RequestId;

/// Blocks on their way to a request.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) request: RequestId,
    pub(super) names: Vec<u64>,
}

/// The blocks of one tier.
///
/// **Invariant:** `storing` and the keys of `loading` are in `blocks`, and are not evicted.
#[derive(Debug)]
pub(super) struct Tier {
    options: TierOptions,
    block_bytes: u64,
    blocks: RecencyList,
    /// Not here yet.
    storing: BTreeSet<u64>,
    /// With the number of loads that read them.
    loading: BTreeMap<u64, u32>,
    pub(super) loads: Lane<Load>,
    stores: Lane<Vec<u64>>,
    pub(super) stats: TierStats,
}

impl Tier {
    pub(super) fn new(options: &TierOptions, block_bytes: u64) -> Self {
        let capacity_blocks = options.capacity_bytes / block_bytes.max(1);
        Self {
            options: options.clone(),
            block_bytes,
            blocks: RecencyList::new(),
            storing: BTreeSet::new(),
            loading: BTreeMap::new(),
            loads: Lane::new(options.load_bytes_per_sec, options.latency),
            stores: Lane::new(options.store_bytes_per_sec, Nanos::ZERO),
            stats: TierStats::new(options.kind, capacity_blocks),
        }
    }

    /// Whether a block can be loaded: it is here, and not just on its way.
    pub(super) fn has(&self, name: u64) -> bool {
        self.blocks.contains(name) && !self.storing.contains(&name)
    }

    /// Makes the blocks of a sequence that are here the newest, its first block the newest of all;
    /// gives how many are here.
    pub(super) fn touch(&mut self, names: &[u64]) -> u64 {
        names.iter().rev().map(|name| u64::from(self.blocks.renew(*name))).sum()
    }

    /// Starts to load blocks that are here.
    pub(super) fn load(&mut self, at: Nanos, request: RequestId, names: Vec<u64>) {
        for name in &names {
            *self.loading.entry(*name).or_insert(0) += 1;
        }
        let bytes = names.len() as u64 * self.block_bytes;
        self.loads.start(at, bytes, Load { request, names });
    }

    /// Starts to store those of a sequence's blocks that are not here, but for the first `offered` ones,
    /// which it was offered before. Gives how many leading blocks need not be offered again.
    ///
    /// Room is made by evicting what was not used for longest; neither blocks of the sequence itself go
    /// for it nor blocks that are being moved. The first block without room, and those behind it, stay out.
    pub(super) fn offer(&mut self, at: Nanos, names: &[u64], offered: usize) -> usize {
        let here = self.touch(names);
        let new = names.iter().enumerate().skip(offered);
        let (places, absent): (Vec<usize>, Vec<u64>) = new
            .filter(|(_, name)| !self.blocks.contains(**name))
            .map(|(at, name)| (at, *name))
            .unzip();
        if absent.is_empty() {
            return names.len();
        }
        let free = self.stats.capacity_blocks - self.blocks.len();
        let evicted = self.evict((absent.len() as u64).saturating_sub(free), here);
        let room = (free + evicted).min(absent.len() as u64) as usize;
        let taken = &absent[..room];
        for name in taken {
            self.blocks.push(*name);
            self.storing.insert(*name);
        }
        if !taken.is_empty() {
            // Again, for the order: a sequence's first block is its newest.
            self.touch(names);
            self.stores.start(at, taken.len() as u64 * self.block_bytes, taken.to_vec());
        }
        let refused = places.get(room).copied();
        self.stats.refused_stores += u64::from(refused.is_some());
        refused.unwrap_or(names.len())
    }

    /// Evicts up to `wanted` blocks, none of the `newest` ones; gives how many.
    fn evict(&mut self, wanted: u64, newest: u64) -> u64 {
        let candidates = (self.blocks.len() - newest) as usize;
        let is_idle = |name: &u64| !self.storing.contains(name) && !self.loading.contains_key(name);
        let oldest = self.blocks.oldest_first().take(candidates).filter(is_idle);
        let victims: Vec<u64> = oldest.take(wanted as usize).collect();
        for name in &victims {
            self.blocks.remove(*name);
        }
        self.stats.evicted_blocks += victims.len() as u64;
        victims.len() as u64
    }

    /// Lets pass what happens at or before `until`; hands on the requests whose loads
    /// ended, and when they did.
    pub(super) fn settle(&mut self, until: Nanos, mut loaded: impl FnMut(RequestId, Nanos)) {
        let Self { blocks, storing, loading, stats, options, loads, stores, .. } = self;
        stores.settle(until, |transfer, at| {
            stats.stores.ended(transfer.bytes, at.since(transfer.started));
            for name in transfer.job {
                storing.remove(&name);
                if options.keeps_nothing {
                    blocks.remove(name);
                }
            }
        });
        loads.settle(until, |transfer, at| {
            stats.loads.ended(transfer.bytes, at.since(transfer.started));
            unpin(loading, &transfer.job.names);
            loaded(transfer.job.request, at);
        });
    }

    /// Ends the load of a request early.
    pub(super) fn cancel(&mut self, at: Nanos, request: RequestId) {
        let loading = &mut self.loading;
        self.loads.cancel(at, |load| {
            let cancelled = load.request == request;
            if cancelled {
                unpin(loading, &load.names);
            }
            cancelled
        });
    }

    /// Gauges and counters as of `now`, which must not lie before the last [`Self::settle`].
    pub(super) fn stats_at(&self, now: Nanos) -> TierStats {
        let mut stats = self.stats;
        let mut dropped = 0;
        let mut storing = self.storing.len() as u64;
        self.stores.clone().settle(now, |transfer, at| {
            stats.stores.ended(transfer.bytes, at.since(transfer.started));
            storing -= transfer.job.len() as u64;
            dropped += if self.options.keeps_nothing { transfer.job.len() as u64 } else { 0 };
        });
        stats.stores.moving_blocks = storing;
        stats.loads.moving_blocks = self.loading.len() as u64;
        stats.held_blocks = self.blocks.len() - dropped;
        stats
    }
}

fn unpin(loading: &mut BTreeMap<u64, u32>, names: &[u64]) {
    for name in names {
        if let Some(count) = loading.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                loading.remove(name);
            }
        }
    }
}
