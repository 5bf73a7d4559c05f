use std::collections::VecDeque;

use super::EvictionPolicy;
use crate::key_map::KeyMap;

/// Uses that a block in the main queue keeps at most, each of which spares it once.
const SPARED_MAX: u32 = 3;

/// The proportions of an [`S3Fifo`] cache. The defaults are those of libCacheSim 0.3.5; other programs
/// have others, and other counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct S3FifoOptions {
    /// Share of the capacity for the small queue, which new blocks go through.
    pub small_share: f64,
    /// Names of evicted blocks that are remembered, as a share of the capacity. They take no room of it.
    pub ghost_share: f64,
    /// Uses, after the first, that bring a block from the small into the main queue.
    pub uses_to_stay: u32,
}

impl Default for S3FifoOptions {
    fn default() -> Self {
        Self { small_share: 0.1, ghost_share: 0.9, uses_to_stay: 2 }
    }
}

/// Three queues: a small one that quickly drops what is used once, a main one, and the names of what
/// was dropped (Yang, Zhang, Qiu, Yue, Vinayak, "FIFO queues are all you need for cache eviction", SOSP
/// 2023), with the conventions of libCacheSim 0.3.5 where the paper leaves a choice:
///
/// - the shares are rounded down;
/// - the main queue is evicted from when it holds *more* than its part, or the small one is empty;
/// - until the first eviction, what does not fit into the small queue goes into the main one.
#[derive(Clone, Debug)]
pub struct S3Fifo {
    capacity: usize,
    small_capacity: usize,
    ghost_capacity: usize,
    uses_to_stay: u32,
    /// Uses since a held block came into its queue.
    uses: KeyMap<u32>,
    small: VecDeque<u64>,
    main: VecDeque<u64>,
    ghost: Ghost,
    has_evicted: bool,
}

/// Names of evicted blocks, the oldest first. A name taken out stays in the queue as long as its turn
/// number is that of no name any more.
#[derive(Clone, Debug, Default)]
struct Ghost {
    turns: KeyMap<u64>,
    queue: VecDeque<(u64, u64)>,
    next_turn: u64,
}

impl Ghost {
    fn remove(&mut self, block: u64) -> bool {
        self.turns.remove(&block).is_some()
    }

    fn push(&mut self, block: u64, capacity: usize) {
        if capacity == 0 {
            return;
        }
        while self.turns.len() >= capacity {
            let Some((oldest, turn)) = self.queue.pop_front() else { break };
            if self.turns.get(&oldest) == Some(&turn) {
                self.turns.remove(&oldest);
            }
        }
        self.turns.insert(block, self.next_turn);
        self.queue.push_back((block, self.next_turn));
        self.next_turn += 1;
        self.drop_stale();
    }

    /// Names taken out are dropped from the front, so that the queue stays in proportion.
    fn drop_stale(&mut self) {
        while let Some((oldest, turn)) = self.queue.front()
            && self.turns.get(oldest) != Some(turn)
        {
            self.queue.pop_front();
        }
    }
}

impl S3Fifo {
    /// An empty cache for `capacity` blocks. The small queue has room for one block at least.
    pub fn new(capacity: u64, options: S3FifoOptions) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let share = |share: f64| (capacity as f64 * share) as usize;
        Self {
            capacity,
            small_capacity: share(options.small_share).max(1),
            ghost_capacity: share(options.ghost_share),
            uses_to_stay: options.uses_to_stay,
            uses: KeyMap::default(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghost: Ghost::default(),
            has_evicted: false,
        }
    }

    fn held(&self) -> usize {
        self.small.len() + self.main.len()
    }

    /// Takes one block out.
    fn evict(&mut self) {
        self.has_evicted = true;
        let main_capacity = self.capacity.saturating_sub(self.small_capacity);
        if self.main.len() > main_capacity || self.small.is_empty() {
            self.evict_from_main();
        } else {
            self.evict_from_small();
        }
    }

    fn evict_from_small(&mut self) {
        while let Some(block) = self.small.pop_front() {
            match self.uses.get_mut(&block) {
                Some(uses) if *uses >= self.uses_to_stay => {
                    *uses = 0;
                    self.main.push_back(block);
                }
                _ => {
                    self.uses.remove(&block);
                    self.ghost.push(block, self.ghost_capacity);
                    return;
                }
            }
        }
    }

    fn evict_from_main(&mut self) {
        while let Some(block) = self.main.pop_front() {
            match self.uses.get_mut(&block) {
                Some(uses) if *uses >= 1 => {
                    *uses = (*uses).min(SPARED_MAX) - 1;
                    self.main.push_back(block);
                }
                _ => {
                    self.uses.remove(&block);
                    return;
                }
            }
        }
    }
}

impl EvictionPolicy for S3Fifo {
    fn contains(&self, block: u64) -> bool {
        self.uses.contains_key(&block)
    }

    fn access(&mut self, block: u64) -> bool {
        if let Some(uses) = self.uses.get_mut(&block) {
            *uses = uses.saturating_add(1);
            return true;
        }
        if self.capacity == 0 {
            return false;
        }
        let is_known = self.ghost.remove(block);
        while self.held() + 1 > self.capacity {
            self.evict();
        }
        let small_is_full = self.small.len() >= self.small_capacity;
        let to_main = is_known || (!self.has_evicted && small_is_full);
        if to_main { &mut self.main } else { &mut self.small }.push_back(block);
        self.uses.insert(block, 0);
        false
    }
}
