use crate::key_map::KeyMap;

/// No place.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Place {
    block: u64,
    newer: u32,
    older: u32,
}

/// Blocks in the order of their latest use.
#[derive(Clone, Debug)]
pub(crate) struct RecencyList {
    index: KeyMap<u32>,
    places: Vec<Place>,
    newest: u32,
    oldest: u32,
    /// Places of removed blocks, to be used again.
    vacant: Vec<u32>,
}

impl RecencyList {
    pub(crate) fn new() -> Self {
        Self {
            index: KeyMap::default(),
            places: Vec::new(),
            newest: NONE,
            oldest: NONE,
            vacant: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.index.len() as u64
    }

    pub(crate) fn contains(&self, block: u64) -> bool {
        self.index.contains_key(&block)
    }

    /// Makes a block that is there the newest; `false` when it is not.
    pub(crate) fn renew(&mut self, block: u64) -> bool {
        let Some(&place) = self.index.get(&block) else { return false };
        self.unlink(place);
        self.link_newest(place);
        true
    }

    /// Adds a block that is not there, as the newest.
    pub(crate) fn push(&mut self, block: u64) {
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
    pub(crate) fn remove(&mut self, block: u64) -> bool {
        let Some(place) = self.index.remove(&block) else { return false };
        self.unlink(place);
        self.vacant.push(place);
        true
    }

    /// Takes the oldest block out.
    pub(crate) fn pop_oldest(&mut self) -> Option<u64> {
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
