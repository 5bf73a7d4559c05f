//! The pool against a slow, obvious one, and the cache's promises for random sequences.

use proptest::prelude::*;
use turnbench_kvcache::{
    BlockHash, BlockId, BlockPool, BlockTable, KvCache, KvCacheOptions, KvEvent,
};

/// Lists where the pool has links: every rule can be read off.
struct SlowPool {
    /// Front first.
    free: Vec<u32>,
    ref_counts: Vec<u32>,
    /// Named blocks, in the order in which they got their names.
    named: Vec<(BlockHash, u32)>,
    events: Vec<KvEvent>,
}

impl SlowPool {
    fn new(block_count: u32) -> Self {
        Self {
            free: (1..block_count).collect(),
            ref_counts: vec![0; block_count as usize],
            named: Vec::new(),
            events: Vec::new(),
        }
    }

    fn lookup(&self, hash: BlockHash) -> Option<BlockId> {
        self.named.iter().find(|(name, _)| *name == hash).map(|(_, id)| BlockId(*id))
    }

    fn touch(&mut self, id: BlockId) {
        self.free.retain(|free| *free != id.0);
        self.ref_counts[id.0 as usize] += 1;
    }

    fn allocate(&mut self) -> Option<BlockId> {
        if self.free.is_empty() {
            return None;
        }
        let id = self.free.remove(0);
        if let Some(place) = self.named.iter().position(|(_, named)| *named == id) {
            self.events.push(KvEvent::Removed(self.named.remove(place).0));
        }
        self.ref_counts[id as usize] = 1;
        Some(BlockId(id))
    }

    fn fill(&mut self, id: BlockId, hash: BlockHash) {
        if self.named.iter().all(|(_, named)| *named != id.0) {
            self.named.push((hash, id.0));
            self.events.push(KvEvent::Stored(hash));
        }
    }

    fn release(&mut self, id: BlockId) {
        self.ref_counts[id.0 as usize] -= 1;
        if self.ref_counts[id.0 as usize] == 0 {
            let named = self.named.iter().any(|(_, named)| *named == id.0);
            self.free.insert(if named { self.free.len() } else { 0 }, id.0);
        }
    }

    fn reset(&mut self) -> bool {
        let idle = self.ref_counts.iter().all(|count| *count == 0);
        if idle {
            self.named.clear();
            self.events.push(KvEvent::Cleared);
        }
        idle
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Allocate,
    Touch(u8),
    Fill(usize, u8),
    Release(usize),
    Reset,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let one = prop_oneof![
        4 => Just(Operation::Allocate),
        3 => (0..12_u8).prop_map(Operation::Touch),
        4 => (any::<usize>(), 0..12_u8).prop_map(|(held, name)| Operation::Fill(held, name)),
        5 => any::<usize>().prop_map(Operation::Release),
        1 => Just(Operation::Reset),
    ];
    prop::collection::vec(one, 0..120)
}

fn name(name: u8) -> BlockHash {
    BlockHash::ROOT.child(&[u32::from(name)])
}

proptest! {
    #[test]
    fn the_pool_does_what_the_slow_one_does(count in 1..10_u32, operations in operations()) {
        let (mut fast, mut slow) = (BlockPool::new(count), SlowPool::new(count));
        fast.record_events();
        // Every reference taken and not given back.
        let mut held: Vec<BlockId> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Allocate => {
                    let id = fast.allocate();
                    prop_assert_eq!(id, slow.allocate());
                    held.extend(id);
                }
                Operation::Touch(wanted) => {
                    if let Some(id) = fast.lookup(name(wanted)) {
                        fast.touch(id);
                        slow.touch(id);
                        held.push(id);
                    }
                }
                Operation::Fill(place, wanted) if !held.is_empty() => {
                    let id = held[place % held.len()];
                    fast.fill(id, name(wanted));
                    slow.fill(id, name(wanted));
                }
                Operation::Release(place) if !held.is_empty() => {
                    let id = held.swap_remove(place % held.len());
                    fast.release(id);
                    slow.release(id);
                }
                Operation::Reset => prop_assert_eq!(fast.reset(), slow.reset()),
                Operation::Fill(..) | Operation::Release(_) => (),
            }
            for wanted in 0..12 {
                prop_assert_eq!(fast.lookup(name(wanted)), slow.lookup(name(wanted)));
            }
            prop_assert_eq!(fast.free_count() as usize, slow.free.len());
            prop_assert_eq!(fast.free_count() + fast.used_count(), fast.usable_count());
            for id in (0..count).map(BlockId) {
                prop_assert_eq!(fast.is_used(id), id.0 == 0 || held.contains(&id));
            }
        }
        let mut events = Vec::new();
        fast.drain_events(&mut events);
        prop_assert_eq!(events, slow.events);
    }

    /// Random sequences come, grow and go; what a lookup finds was stored and not removed since.
    #[test]
    fn a_lookup_never_finds_an_evicted_block(
        block_count in 2..24_u32,
        caching in any::<bool>(),
        steps in prop::collection::vec((0..6_u32, 1..40_u64, any::<usize>(), any::<bool>()), 1..60),
    ) {
        let options = KvCacheOptions { block_size: 4, block_count, prefix_caching: caching };
        let mut cache = KvCache::new(options);
        cache.record_events();
        let mut running: Vec<(BlockTable, u64)> = Vec::new();
        let mut stored = std::collections::BTreeMap::<BlockHash, i32>::new();
        for (group, len, place, leave) in steps {
            if leave && !running.is_empty() {
                let (mut table, _) = running.swap_remove(place % running.len());
                cache.release(&mut table);
                prop_assert!(table.blocks().is_empty());
            } else {
                let mut table = cache.table(None);
                table.push_all(&(0..len as u32).map(|id| (group << 16) + id).collect::<Vec<_>>());
                let hits = cache.hit_blocks(&table);
                prop_assert!(hits as u64 * 4 < len && (caching || hits == 0));
                prop_assert!(table.hashes()[..hits].iter().all(|hash| stored[hash] > 0));
                let free = cache.pool().free_count();
                if cache.admit(&mut table, hits) {
                    prop_assert!(cache.grow(&mut table, len), "admission covers the whole");
                    prop_assert_eq!(table.blocks().len() as u64, len.div_ceil(4));
                    running.push((table, len));
                } else {
                    prop_assert_eq!(cache.pool().free_count(), free);
                    prop_assert!(table.blocks().is_empty());
                }
            }
            // Every running sequence decodes one token, as far as there is room.
            for (table, computed) in &mut running {
                if cache.grow(table, *computed + 1) {
                    table.push(9);
                    *computed += 1;
                }
            }
            let mut events = Vec::new();
            cache.drain_events(&mut events);
            for event in events {
                match event {
                    KvEvent::Stored(hash) => *stored.entry(hash).or_default() += 1,
                    KvEvent::Removed(hash) => *stored.entry(hash).or_default() -= 1,
                    KvEvent::Cleared => stored.clear(),
                }
            }
            for (hash, count) in &stored {
                prop_assert!(*count >= 0);
                prop_assert_eq!(cache.pool().lookup(*hash).is_some(), *count > 0);
            }
        }
        prop_assert_eq!(cache.reset(), running.is_empty());
        for (mut table, _) in running {
            cache.release(&mut table);
        }
        prop_assert_eq!(cache.pool().used_count(), 0);
        prop_assert!(cache.reset());
    }
}

/// One line per rule that the recordings of a real server establish.
#[test]
fn blocks_are_reused_unnamed_first_then_by_release_tail_before_head() {
    let mut cache =
        KvCache::new(KvCacheOptions { block_size: 2, block_count: 7, prefix_caching: true });
    let mut run = |name: u32, len: u32| {
        let mut table = cache.table(None);
        table.push_all(&(0..len).map(|id| name * 100 + id).collect::<Vec<_>>());
        let hits = cache.hit_blocks(&table);
        assert!(cache.admit(&mut table, hits) && cache.grow(&mut table, u64::from(len)));
        cache.release(&mut table);
        hits
    };
    assert_eq!(run(1, 7), 0); // three full blocks and a partial one
    assert_eq!(run(2, 2), 0); // reuses the partial one: nothing is lost
    assert_eq!(run(2, 2), 0); // a whole prompt never hits in full: a second copy
    assert_eq!(run(1, 7), 3);
    assert_eq!(run(3, 6), 0); // takes the free one, then both copies of 2
    assert_eq!(run(1, 7), 3); // its partial block costs the tail of 3
    assert_eq!(run(4, 8), 0); // takes the free one, the rest of 3 and the tail of 1
    assert_eq!(run(1, 7), 2);
}

#[test]
fn reserved_blocks_are_named_once_they_are_filled() {
    let options = KvCacheOptions { block_size: 4, block_count: 8, prefix_caching: true };
    let mut cache = KvCache::new(options);
    let sequence = |cache: &KvCache| {
        let mut table = cache.table(None);
        table.push_all(&[1; 14]);
        table
    };
    let (mut first, mut second) = (sequence(&cache), sequence(&cache));
    assert!(cache.admit(&mut first, 0) && cache.reserve(&mut first));
    assert_eq!((first.blocks().len(), cache.pool().used_count()), (4, 4));
    assert_eq!((cache.findable_blocks(&second), cache.hit_blocks(&second)), (3, 0));
    assert!(!cache.reserve(&mut second), "three blocks are left");
    assert_eq!(second.blocks(), []);
    assert!(cache.grow(&mut first, 9));
    assert_eq!((first.blocks().len(), cache.hit_blocks(&second)), (4, 2));
    cache.release(&mut first);
    assert_eq!(cache.pool().used_count(), 0);
}
