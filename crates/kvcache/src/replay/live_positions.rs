/// Words of 64 positions in a group.
const GROUP_WORDS: usize = 8;
/// Positions in a group.
const GROUP: u32 = 64 * GROUP_WORDS as u32;

/// A set of positions from 0 that counts how many of them lie below a given one in logarithmic time.
///
/// Bits, and over groups of 512 of them a Fenwick tree (Fenwick, "A new data structure for cumulative
/// frequency tables", 1994): 1.3 bits for each position, so that the tree of ten million positions stays
/// in a core's cache.
#[derive(Clone, Debug, Default)]
pub(super) struct LivePositions {
    words: Vec<u64>,
    /// `tree[i]`: positions in the groups that node `i + 1` of the Fenwick tree stands for.
    tree: Vec<u32>,
    count: u32,
}

impl LivePositions {
    /// Room for positions below `room`, of which those below `live` are in the set.
    pub(super) fn new(room: u32, live: u32) -> Self {
        let groups = room.div_ceil(GROUP) as usize;
        let mut words = vec![0; groups * GROUP_WORDS];
        let (full, rest) = ((live / 64) as usize, live % 64);
        words[..full].fill(u64::MAX);
        if rest > 0 {
            words[full] = (1 << rest) - 1;
        }
        let mut tree: Vec<u32> = words.chunks_exact(GROUP_WORDS).map(ones).collect();
        for node in 1..=groups {
            let parent = node + lowest_bit(node);
            if parent <= groups {
                tree[parent - 1] += tree[node - 1];
            }
        }
        Self { words, tree, count: live }
    }

    /// Positions that there is room for.
    pub(super) const fn room(&self) -> u32 {
        self.words.len() as u32 * 64
    }

    /// Adds a position that is not in the set.
    pub(super) fn insert(&mut self, position: u32) {
        self.words[(position / 64) as usize] |= 1 << (position % 64);
        self.count += 1;
        self.update(position, 1);
    }

    /// Takes out a position that is in the set.
    pub(super) fn remove(&mut self, position: u32) {
        self.words[(position / 64) as usize] &= !(1 << (position % 64));
        self.count -= 1;
        self.update(position, u32::MAX);
    }

    /// How many positions of the set lie below.
    pub(super) fn count_below(&self, position: u32) -> u32 {
        let group = (position / GROUP) as usize;
        let word = (position / 64) as usize;
        let in_group = ones(&self.words[group * GROUP_WORDS..word]);
        let in_word = (self.words[word] & ((1 << (position % 64)) - 1)).count_ones();
        let mut before = 0;
        let mut node = group;
        while node > 0 {
            before += self.tree[node - 1];
            node -= lowest_bit(node);
        }
        before + in_group + in_word
    }

    /// How many positions of the set do not lie below.
    pub(super) fn count_from(&self, position: u32) -> u32 {
        self.count - self.count_below(position)
    }

    fn update(&mut self, position: u32, by: u32) {
        let mut node = (position / GROUP) as usize + 1;
        while node <= self.tree.len() {
            self.tree[node - 1] = self.tree[node - 1].wrapping_add(by);
            node += lowest_bit(node);
        }
    }
}

fn ones(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

const fn lowest_bit(node: usize) -> usize {
    node & node.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::LivePositions;

    proptest! {
        #[test]
        fn counts_are_those_of_a_plain_set(
            live in 0_u32..3_000,
            flips in prop::collection::vec(0_u32..3_000, 0..200),
        ) {
            let mut positions = LivePositions::new(3_000, live);
            let mut plain: BTreeSet<u32> = (0..live).collect();
            for flip in flips {
                if plain.remove(&flip) {
                    positions.remove(flip);
                } else {
                    plain.insert(flip);
                    positions.insert(flip);
                }
                prop_assert_eq!(positions.count_below(flip) as usize, plain.range(..flip).count());
                prop_assert_eq!(positions.count_from(flip) as usize, plain.range(flip..).count());
            }
        }
    }
}
