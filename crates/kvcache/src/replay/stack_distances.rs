use super::live_positions::LivePositions;
use crate::key_map::KeyMap;

/// Positions that there is room for at first.
const ROOM_MIN: u32 = 1024;

/// For each access to a block, how large an LRU cache would have to be to still hold it.
///
/// One pass gives the misses of *every* capacity (Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques
/// for storage hierarchies", IBM Systems Journal 9, 1970), at O(log n) an access for n blocks, with 12
/// to 24 bytes for each block ever seen.
///
/// ```
/// use turnbench_kvcache::StackDistances;
///
/// let mut stack = StackDistances::new();
/// let distances: Vec<_> = [7, 8, 8, 7, 9].into_iter().map(|block| stack.access(block)).collect();
/// assert_eq!(distances, [None, None, Some(1), Some(2), None]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StackDistances {
    /// Position of each block's latest access.
    latest: KeyMap<u32>,
    live: LivePositions,
    next: u32,
}

impl StackDistances {
    /// Before the first access.
    pub fn new() -> Self {
        Self::default()
    }

    /// Blocks seen and not forgotten.
    pub fn blocks_count(&self) -> u64 {
        self.latest.len() as u64
    }

    /// An access: the distance, and the block is the most recent one afterwards.
    pub fn access(&mut self, block: u64) -> Option<u64> {
        let position = self.next_position();
        let before = self.latest.insert(block, position);
        let distance = before.map(|before| {
            let distance = u64::from(self.live.count_from(before));
            self.live.remove(before);
            distance
        });
        self.live.insert(position);
        distance
    }

    /// How many blocks, itself included, have been accessed since the block's latest access: the
    /// least capacity, in blocks, of an LRU cache that holds it. `None` for a block never seen.
    pub fn distance(&self, block: u64) -> Option<u64> {
        self.latest.get(&block).map(|&before| u64::from(self.live.count_from(before)))
    }

    /// Makes a block the most recent one.
    pub fn touch(&mut self, block: u64) {
        let position = self.next_position();
        if let Some(before) = self.latest.insert(block, position) {
            self.live.remove(before);
        }
        self.live.insert(position);
    }

    /// Forgets a block, as if it had never been accessed.
    pub fn forget(&mut self, block: u64) {
        if let Some(before) = self.latest.remove(&block) {
            self.live.remove(before);
        }
    }

    fn next_position(&mut self) -> u32 {
        if self.next == self.live.room() {
            self.close_gaps();
        }
        self.next += 1;
        self.next - 1
    }

    /// Numbers the latest accesses anew, without gaps. There is room for as many again then, so
    /// that an access pays for a constant part of it.
    fn close_gaps(&mut self) {
        for position in self.latest.values_mut() {
            *position = self.live.count_below(*position);
        }
        self.next = self.latest.len() as u32;
        self.live = LivePositions::new(self.next.saturating_mul(2).max(ROOM_MIN), self.next);
    }
}
