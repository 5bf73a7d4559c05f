use super::EvictionPolicy;
use super::recency::RecencyList;

/// Evicts the block whose latest use is longest ago: what vLLM, SGLang and TensorRT-LLM do by default.
#[derive(Clone, Debug)]
pub struct Lru {
    capacity: u64,
    blocks: RecencyList,
}

impl Lru {
    /// An empty cache for `capacity` blocks.
    pub fn new(capacity: u64) -> Self {
        Self { capacity, blocks: RecencyList::new() }
    }
}

impl EvictionPolicy for Lru {
    fn contains(&self, block: u64) -> bool {
        self.blocks.contains(block)
    }

    fn access(&mut self, block: u64) -> bool {
        if self.blocks.renew(block) {
            return true;
        }
        if self.capacity > 0 {
            if self.blocks.len() == self.capacity {
                self.blocks.pop_oldest();
            }
            self.blocks.push(block);
        }
        false
    }
}
