/// How many accesses miss in an LRU cache, for every capacity: exact, from stack distances.
///
/// ```
/// use turnbench_kvcache::{MissCurve, StackDistances};
///
/// let mut stack = StackDistances::new();
/// let mut curve = MissCurve::new();
/// for block in [1, 2, 1, 3, 1] {
///     curve.add(stack.access(block));
/// }
/// assert_eq!((curve.misses(1), curve.misses(2), curve.cold_misses()), (5, 3, 3));
/// assert_eq!(curve.capacity_for(0.9), Some(2));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MissCurve {
    /// Accesses at distance `index + 1`.
    at_distance: Vec<u64>,
    accesses: u64,
    reuses: u64,
}

impl MissCurve {
    /// A curve without accesses.
    pub const fn new() -> Self {
        Self { at_distance: Vec::new(), accesses: 0, reuses: 0 }
    }

    /// Counts an access at a distance as [`StackDistances`](super::StackDistances) gives it; `None` is
    /// a first access, which misses in every cache.
    pub fn add(&mut self, distance: Option<u64>) {
        self.accesses += 1;
        let Some(distance) = distance else { return };
        self.reuses += 1;
        let index = distance.saturating_sub(1) as usize;
        if index >= self.at_distance.len() {
            self.at_distance.resize(index + 1, 0);
        }
        self.at_distance[index] += 1;
    }

    /// All accesses.
    pub const fn accesses(&self) -> u64 {
        self.accesses
    }

    /// Accesses that miss in an endless cache: those to blocks never seen before.
    pub const fn cold_misses(&self) -> u64 {
        self.accesses - self.reuses
    }

    /// Accesses that hit in an endless cache.
    pub const fn reuses(&self) -> u64 {
        self.reuses
    }

    /// Accesses that miss with room for `capacity` blocks. Linear in the capacity: for many of them
    /// take [`Self::steps`].
    pub fn misses(&self, capacity: u64) -> u64 {
        let within = self.at_distance.len().min(usize::try_from(capacity).unwrap_or(usize::MAX));
        self.accesses - self.at_distance[..within].iter().sum::<u64>()
    }

    /// The least capacity, in blocks, that serves `share` (0 to 1) of what an endless cache serves;
    /// `None` when there is no reuse at all.
    pub fn capacity_for(&self, share: f64) -> Option<u64> {
        if self.reuses == 0 {
            return None;
        }
        // Rounded up, and never 0: a share is reached, not nearly so.
        let wanted = ((self.reuses as f64 * share).ceil() as u64).clamp(1, self.reuses);
        self.steps().find(|&(_, hits)| hits >= wanted).map(|(capacity, _)| capacity)
    }

    /// Every capacity, in blocks, at which there are more hits than with one block less, with the
    /// hits.
    pub fn steps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut hits = 0;
        self.at_distance.iter().enumerate().filter(|&(_, &count)| count > 0).map(
            move |(index, count)| {
                hits += count;
                (index as u64 + 1, hits)
            },
        )
    }
}
