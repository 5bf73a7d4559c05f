use std::collections::VecDeque;

use super::EvictionPolicy;
use crate::key_map::KeySet;

/// Evicts the block that came in first, however often it was used since.
#[derive(Clone, Debug)]
pub struct Fifo {
    capacity: u64,
    held: KeySet,
    queue: VecDeque<u64>,
}

impl Fifo {
    /// An empty cache for `capacity` blocks.
    pub fn new(capacity: u64) -> Self {
        Self { capacity, held: KeySet::default(), queue: VecDeque::new() }
    }
}

impl EvictionPolicy for Fifo {
    fn contains(&self, block: u64) -> bool {
        self.held.contains(&block)
    }

    fn access(&mut self, block: u64) -> bool {
        if self.held.contains(&block) {
            return true;
        }
        if self.capacity > 0 {
            if self.queue.len() as u64 == self.capacity
                && let Some(first) = self.queue.pop_front()
            {
                self.held.remove(&first);
            }
            self.queue.push_back(block);
            self.held.insert(block);
        }
        false
    }
}
