use crate::key_map::KeyMap;

/// No place.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Place {
    block: u64,
    newer: u32,
    older: u32,
}

/// Blocks in the order of their latest use; every operation on one block is O(1).
#[derive(Clone, Debug)]
pub struct RecencyList {
    index: KeyMap<u32>,
    places: Vec<Place>,
    newest: u32,
    oldest: u32,
    /// Places of removed blocks, to be used again.
    vacant: Vec<u32>,
}

impl Default for RecencyList {
    fn default() -> Self {
        Self::new()
    }
}

impl RecencyList {
    /// Without blocks.
    pub fn new() -> Self {
        Self {
            index: KeyMap::default(),
            places: Vec::new(),
            newest: NONE,
            oldest: NONE,
            vacant: Vec::new(),
        }
    }

    /// Blocks that are there.
    pub fn len(&self) -> u64 {
        self.index.len() as u64
    }

    /// Whether no block is there.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether this block is there; its place in the order stays.
    pub fn contains(&self, block: u64) -> bool {
        self.index.contains_key(&block)
    }

    /// All blocks, the one whose latest use is longest ago first.
    pub fn oldest_first(&self) -> impl Iterator<Item = u64> + '_ {
        let first = self.places.get(self.oldest as usize);
        std::iter::successors(first, |place| self.places.get(place.newer as usize))
            .map(|place| place.block)
    }

    /// Makes a block that is there the newest; `false` when it is not.
    pub fn renew(&mut self, block: u64) -> bool {
        let Some(&place) = self.index.get(&block) else { return false };
        self.unlink(place);
        self.link_newest(place);
        true
    }

    /// Adds a block that is not there, as the newest.
    pub fn push(&mut self, block: u64) {
        let added = Place { block, newer: NONE, older: NONE };
        let place = if let Some(place) = self.vacant.pop() {
            self.places[place as usize] = added;
            place
        } else {
            self.places.push(added);
            self.places.len() as u32 - 1
        };
        self.index.insert(block, place);
        self.link_newest(place);
    }

    /// Takes a block out; `false` when it is not there.
    pub fn remove(&mut self, block: u64) -> bool {
        let Some(place) = self.index.remove(&block) else { return false };
        self.unlink(place);
        self.vacant.push(place);
        true
    }

    /// Takes the oldest block out.
    pub fn pop_oldest(&mut self) -> Option<u64> {
        let block = self.places.get(self.oldest as usize)?.block;
        self.remove(block);
        Some(block)
    }

    fn link_newest(&mut self, place: u32) {
        self.places[place as usize].newer = NONE;
        self.places[place as usize].older = self.newest;
        match self.newest {
            NONE => self.oldest = place,
            newest => self.places[newest as usize].newer = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: u32) {
        let Place { newer, older, .. } = self.places[place as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.places[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.places[older as usize].newer = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RecencyList;

    #[test]
    fn blocks_are_listed_from_the_oldest_use_to_the_newest() {
        let mut list = RecencyList::new();
        assert!(list.is_empty() && list.oldest_first().next().is_none());
        for block in [7, 8, 9] {
            list.push(block);
        }
        assert!(list.renew(7) && !list.renew(1));
        assert_eq!(list.oldest_first().collect::<Vec<_>>(), [8, 9, 7]);
        assert!(list.remove(9) && !list.contains(9));
        list.push(5);
        assert_eq!(list.oldest_first().collect::<Vec<_>>(), [8, 7, 5]);
        assert_eq!((list.pop_oldest(), list.len()), (Some(8), 2));
    }
}
