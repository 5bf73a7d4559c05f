use std::hash::{BuildHasherDefault, Hasher};

use crate::{BlockHash, KvEvent};

/// Names a block of a pool.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlockId(pub u32);

/// No block: the end of a list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Block {
    ref_count: u32,
    /// Neighbours in the free queue.
    prev: u32,
    next: u32,
    /// The name, once full, and the neighbours among the copies of that name, older first.
    hash: Option<BlockHash>,
    older: u32,
    newer: u32,
}

/// Oldest and newest copy of a name.
#[derive(Clone, Copy, Debug)]
struct Copies {
    oldest: u32,
    newest: u32,
}

/// Takes the low half of a name: it is a good hash already.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, name: u128) {
        self.0 = name as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[allow(
    clippy::disallowed_types,
    reason = "fixed hasher, and never iterated: order cannot reach output"
)]
type Index = std::collections::HashMap<BlockHash, Copies, BuildHasherDefault<NameHasher>>;

/// All blocks: which are in use, in which order the free ones are reused, and what they hold.
///
/// Every operation is O(1) for a block and allocates nothing (the index is sized once; the event
/// log, when on, grows).
///
/// **Invariant:** block 0 is reserved: never free, never handed out (vLLM keeps it as the "null"
/// block).
///
/// **Invariant:** a block is in the free queue exactly when its reference count is 0, so
/// `free_count + used_count == usable_count`.
///
/// **Invariant:** a free block keeps its name until it is handed out again; [`Self::lookup`] never
/// returns a block that was handed out since it got that name.
///
/// **Invariant:** copies of one name are listed from the oldest to the newest; a name is found
/// until its last copy is evicted.
#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<Block>,
    /// Next to be reused, and last.
    front: u32,
    back: u32,
    free_count: u32,
    index: Index,
    log: Option<Vec<KvEvent>>,
}

impl BlockPool {
    /// A pool of `block_count` blocks, of which one is reserved; 0 counts as 1.
    pub fn new(block_count: u32) -> Self {
        let block_count = block_count.max(1);
        let free =
            Block { ref_count: 0, prev: NONE, next: NONE, hash: None, older: NONE, newer: NONE };
        let mut pool = Self {
            blocks: vec![free; block_count as usize],
            front: NONE,
            back: NONE,
            free_count: 0,
            index: Index::with_capacity_and_hasher(
                block_count as usize,
                BuildHasherDefault::default(),
            ),
            log: None,
        };
        pool.blocks[0].ref_count = 1;
        for id in 1..block_count {
            pool.push_back(id);
        }
        pool
    }

    /// Blocks that can be used: all but the reserved one.
    pub fn usable_count(&self) -> u32 {
        self.blocks.len() as u32 - 1
    }

    /// Blocks that no sequence holds, with or without a name.
    pub const fn free_count(&self) -> u32 {
        self.free_count
    }

    /// Blocks that at least one sequence holds.
    pub fn used_count(&self) -> u32 {
        self.usable_count() - self.free_count
    }

    /// Share of the usable blocks in use, 0..1; 0 for a pool without usable blocks.
    pub fn usage_ratio(&self) -> f64 {
        f64::from(self.used_count()) / f64::from(self.usable_count().max(1))
    }

    /// True if at least one sequence holds the block. False for an unknown block.
    pub fn is_used(&self, id: BlockId) -> bool {
        self.blocks.get(id.0 as usize).is_some_and(|block| block.ref_count > 0)
    }

    /// The oldest copy of the block with this name.
    pub fn lookup(&self, hash: BlockHash) -> Option<BlockId> {
        self.index.get(&hash).map(|copies| BlockId(copies.oldest))
    }

    /// One more sequence holds the block; it leaves the free queue if it lay there.
    ///
    /// # Panics
    /// For a block that the pool does not have.
    pub fn touch(&mut self, id: BlockId) {
        if self.blocks[id.0 as usize].ref_count == 0 {
            self.unlink(id.0);
        }
        self.blocks[id.0 as usize].ref_count += 1;
    }

    /// Hands out the block at the front of the free queue; what it held is evicted. `None` if no
    /// block is free.
    pub fn allocate(&mut self) -> Option<BlockId> {
        let id = self.front;
        if id == NONE {
            return None;
        }
        self.unlink(id);
        self.evict(id);
        self.blocks[id as usize].ref_count = 1;
        Some(BlockId(id))
    }

    /// Names a block that is held and now full. A second call for the same block changes nothing.
    ///
    /// # Panics
    /// For a block that the pool does not have.
    pub fn fill(&mut self, id: BlockId, hash: BlockHash) {
        let block = &mut self.blocks[id.0 as usize];
        if block.hash.is_some() {
            return;
        }
        block.hash = Some(hash);
        let copies = self.index.entry(hash).or_insert(Copies { oldest: id.0, newest: NONE });
        let older = copies.newest;
        copies.newest = id.0;
        self.blocks[id.0 as usize].older = older;
        if let Some(older) = self.blocks.get_mut(older as usize) {
            older.newer = id.0;
        }
        self.emit(KvEvent::Stored(hash));
    }

    /// One sequence less holds the block. The last one to go sends it to the free queue: to the
    /// back if it has a name, else to the front, where it is reused next.
    ///
    /// A sequence gives back its last block first, so that its tail is evicted before its head. Of
    /// several unnamed blocks the one given back last is reused first (vLLM's order among them is
    /// not established by the recordings).
    ///
    /// # Panics
    /// For a block that the pool does not have.
    pub fn release(&mut self, id: BlockId) {
        let block = &mut self.blocks[id.0 as usize];
        debug_assert!(block.ref_count > 0 && id.0 != 0, "block {} is not held", id.0);
        if block.ref_count == 0 || id.0 == 0 {
            return;
        }
        block.ref_count -= 1;
        if block.ref_count > 0 {
            return;
        }
        if block.hash.is_some() {
            self.push_back(id.0);
        } else {
            self.push_front(id.0);
        }
    }

    /// Forgets all names, if no block is held; says whether it did. The free queue keeps its order.
    pub fn reset(&mut self) -> bool {
        if self.used_count() > 0 {
            return false;
        }
        self.index.clear();
        for block in &mut self.blocks {
            (block.hash, block.older, block.newer) = (None, NONE, NONE);
        }
        self.emit(KvEvent::Cleared);
        true
    }

    /// Starts the log of events; it grows until drained.
    pub fn record_events(&mut self) {
        self.log.get_or_insert_default();
    }

    /// Moves the events since the last call to the end of `events`.
    pub fn drain_events(&mut self, events: &mut Vec<KvEvent>) {
        if let Some(log) = &mut self.log {
            events.append(log);
        }
    }

    fn emit(&mut self, event: KvEvent) {
        if let Some(log) = &mut self.log {
            log.push(event);
        }
    }

    fn evict(&mut self, id: u32) {
        let block = &mut self.blocks[id as usize];
        let (older, newer) = (block.older, block.newer);
        (block.older, block.newer) = (NONE, NONE);
        let Some(hash) = block.hash.take() else { return };
        if let Some(older) = self.blocks.get_mut(older as usize) {
            older.newer = newer;
        }
        if let Some(newer) = self.blocks.get_mut(newer as usize) {
            newer.older = older;
        }
        if older == NONE && newer == NONE {
            self.index.remove(&hash);
        } else if let Some(copies) = self.index.get_mut(&hash) {
            if older == NONE {
                copies.oldest = newer;
            }
            if newer == NONE {
                copies.newest = older;
            }
        }
        self.emit(KvEvent::Removed(hash));
    }

    fn push_back(&mut self, id: u32) {
        let prev = self.back;
        (self.blocks[id as usize].prev, self.blocks[id as usize].next) = (prev, NONE);
        match self.blocks.get_mut(prev as usize) {
            Some(prev) => prev.next = id,
            None => self.front = id,
        }
        self.back = id;
        self.free_count += 1;
    }

    fn push_front(&mut self, id: u32) {
        let next = self.front;
        (self.blocks[id as usize].prev, self.blocks[id as usize].next) = (NONE, next);
        match self.blocks.get_mut(next as usize) {
            Some(next) => next.prev = id,
            None => self.back = id,
        }
        self.front = id;
        self.free_count += 1;
    }

    fn unlink(&mut self, id: u32) {
        let (prev, next) = (self.blocks[id as usize].prev, self.blocks[id as usize].next);
        match self.blocks.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.front = next,
        }
        match self.blocks.get_mut(next as usize) {
            Some(next) => next.prev = prev,
            None => self.back = prev,
        }
        self.free_count -= 1;
    }
}
