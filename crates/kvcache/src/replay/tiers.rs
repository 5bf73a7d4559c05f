use crate::policy::RecencyList;

/// What a lower tier keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inclusion {
    /// Every tier is told of every access and keeps its own most recent blocks, those of the tiers above
    /// it too: a store on every write, as in vLLM's offloading connector and `SGLang`'s write-through.
    Inclusive,
    /// A block is in one tier at a time: what one evicts goes down to the next, and a hit goes up to the
    /// first.
    Exclusive,
}

/// LRU caches behind one another: device, host, disk.
///
/// ```
/// use turnbench_kvcache::{Inclusion, Tiers};
///
/// let mut tiers = Tiers::new(&[1, 1], Inclusion::Exclusive);
/// let found: Vec<_> = [7, 8, 7, 7].into_iter().map(|block| tiers.access(block)).collect();
/// assert_eq!(found, [None, None, Some(1), Some(0)]);
/// ```
#[derive(Clone, Debug)]
pub struct Tiers {
    tiers: Vec<Tier>,
    inclusion: Inclusion,
}

#[derive(Clone, Debug)]
struct Tier {
    capacity: u64,
    blocks: RecencyList,
}

impl Tier {
    /// Adds a block that is not there; gives the one that had to go for it.
    fn push(&mut self, block: u64) -> Option<u64> {
        if self.capacity == 0 {
            return Some(block);
        }
        let full = self.blocks.len() == self.capacity;
        let evicted = if full { self.blocks.pop_oldest() } else { None };
        self.blocks.push(block);
        evicted
    }
}

impl Tiers {
    /// Empty tiers, the first and fastest one first, for so many blocks each.
    pub fn new(capacities: &[u64], inclusion: Inclusion) -> Self {
        let tier = |&capacity| Tier { capacity, blocks: RecencyList::new() };
        Self { tiers: capacities.iter().map(tier).collect(), inclusion }
    }

    /// How many tiers there are.
    pub fn count(&self) -> usize {
        self.tiers.len()
    }

    /// The number, from 0, of the first tier that has the block. Changes nothing.
    pub fn find(&self, block: u64) -> Option<usize> {
        self.tiers.iter().position(|tier| tier.blocks.contains(block))
    }

    /// An access: the number, from 0, of the first tier that has the block. The first tier has it
    /// afterwards.
    pub fn access(&mut self, block: u64) -> Option<usize> {
        match self.inclusion {
            Inclusion::Inclusive => {
                let mut found = None;
                for (number, tier) in self.tiers.iter_mut().enumerate() {
                    if tier.blocks.renew(block) {
                        found = found.or(Some(number));
                    } else {
                        tier.push(block);
                    }
                }
                found
            }
            Inclusion::Exclusive => {
                let found = self.tiers.iter_mut().position(|tier| tier.blocks.remove(block));
                let mut moving = block;
                for tier in &mut self.tiers {
                    let Some(evicted) = tier.push(moving) else { break };
                    moving = evicted;
                }
                found
            }
        }
    }
}
