use std::collections::BinaryHeap;

use super::stack_distances::StackDistances;
use crate::key_map::mixed;

/// Parts of the sample that make estimates of their own.
pub(super) const PARTS: usize = 8;
/// 97.5 % quantile of Student's t with 7 degrees of freedom: two-sided 95 % for 8 parts.
const T_QUANTILE: f64 = 2.364_624;
/// Bits of a distance that are told apart, after the leading one: steps of less than 0.8 %.
const MANTISSA_BITS: u32 = 7;
/// Makes the sampling independent of the maps' own use of the same hash.
pub(super) const SAMPLING: u64 = 0x5851_F42D_4C95_7F2D;

/// The miss curve of an LRU cache estimated from a sample of the blocks, in bounded memory.
///
/// SHARDS with a sample of fixed size and its adjustment (Waldspurger, Park, Garthwaite, Ahmad, "Efficient
/// MRC construction with SHARDS", FAST 2015): a block is sampled if its hash lies below a threshold,
/// which is lowered whenever the sample grows too large, and distances within the sample stand for as
/// many blocks more. As long as all blocks fit into the sample nothing is estimated but the last digits
/// (capacities are told apart to 0.8 %).
///
/// The error is taken from the data: eight parts of the sample make an estimate each, and from their
/// spread follows a 95 % interval for the whole (it is a little too wide, as parts err more).
///
/// ```
/// use turnbench_kvcache::SampledCurve;
///
/// let mut curve = SampledCurve::new(1_000);
/// (0..2_000_000_u64).for_each(|access| curve.access(access * access % 20_011));
/// let estimate = curve.miss_ratio(5_000);
/// assert!(curve.sampling_rate() < 0.2 && estimate.error < 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct SampledCurve {
    size_max: usize,
    /// A block is in the sample if its hash is not greater.
    threshold: u64,
    sampled: BinaryHeap<(u64, u64)>,
    whole: Share,
    parts: Vec<Share>,
    accesses: u64,
}

/// A value with its error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Half of its 95 % interval; 0 where nothing is estimated.
    pub error: f64,
}

impl SampledCurve {
    /// A curve without accesses, from a sample of `size_max` blocks at most (at least 8; some 100
    /// bytes each).
    pub fn new(size_max: usize) -> Self {
        Self {
            size_max: size_max.max(PARTS),
            threshold: u64::MAX,
            sampled: BinaryHeap::new(),
            whole: Share::default(),
            parts: vec![Share::default(); PARTS],
            accesses: 0,
        }
    }

    /// Counts an access.
    pub fn access(&mut self, block: u64) {
        self.accesses += 1;
        let hash = mixed(block ^ SAMPLING);
        if hash > self.threshold {
            return;
        }
        let weight = 1.0 / self.sampling_rate();
        let part = hash as usize % PARTS;
        self.parts[part].access(block, weight * PARTS as f64);
        if self.whole.access(block, weight) {
            self.sampled.push((hash, block));
            if self.sampled.len() > self.size_max {
                self.lower_threshold();
            }
        }
    }

    /// All accesses, sampled or not.
    pub const fn accesses(&self) -> u64 {
        self.accesses
    }

    /// The share of blocks that is sampled now, 1 as long as all of them are.
    pub fn sampling_rate(&self) -> f64 {
        // 2^64 hashes, of which the threshold's is the last that counts.
        (self.threshold as f64 + 1.0) / 18_446_744_073_709_551_616.0
    }

    /// The share of accesses (0 to 1) that miss with room for `capacity` blocks.
    pub fn miss_ratio(&self, capacity: u64) -> Estimate {
        self.estimate(|share| 1.0 - share.hits(capacity, self.accesses) / self.accesses as f64)
    }

    /// The share of accesses (0 to 1) that miss in an endless cache.
    pub fn cold_miss_ratio(&self) -> Estimate {
        self.miss_ratio(u64::MAX)
    }

    /// The least capacity, in blocks, that serves `share` (0 to 1) of what an endless cache serves;
    /// `None` when there is no reuse at all.
    pub fn capacity_for(&self, share: f64) -> Option<u64> {
        self.whole.capacity_for(share, self.accesses)
    }

    fn estimate(&self, figure: impl Fn(&Share) -> f64) -> Estimate {
        let within = |value: f64| if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
        let value = within(figure(&self.whole));
        if self.threshold == u64::MAX {
            return Estimate { value, error: 0.0 };
        }
        let estimates: Vec<f64> = self.parts.iter().map(|part| within(figure(part))).collect();
        Estimate { value, error: half_width(&estimates) }
    }

    /// Drops the blocks with the greatest hash.
    fn lower_threshold(&mut self) {
        let Some(&(greatest, _)) = self.sampled.peek() else { return };
        while let Some(&(hash, block)) = self.sampled.peek()
            && hash == greatest
        {
            self.sampled.pop();
            self.whole.stack.forget(block);
            self.parts[hash as usize % PARTS].stack.forget(block);
        }
        self.threshold = greatest.saturating_sub(1);
    }
}

/// Half of the 95 % interval of the mean of the [`PARTS`]' estimates.
pub(super) fn half_width(estimates: &[f64]) -> f64 {
    let mean = estimates.iter().sum::<f64>() / PARTS as f64;
    let squares: f64 = estimates.iter().map(|estimate| (estimate - mean).powi(2)).sum();
    let deviation = (squares / (PARTS - 1) as f64).sqrt();
    T_QUANTILE * deviation / (PARTS as f64).sqrt()
}

/// The sample, or a part of it.
#[derive(Clone, Debug, Default)]
struct Share {
    stack: StackDistances,
    /// Weight of the reuses by distance.
    reuses: Vec<f64>,
    /// Weight of all accesses.
    weight: f64,
}

impl Share {
    /// Counts an access that stands for `weight` of them; whether it is the block's first.
    fn access(&mut self, block: u64, weight: f64) -> bool {
        self.weight += weight;
        let Some(distance) = self.stack.access(block) else { return true };
        // The block itself is one, and each other one stands for more.
        let distance = ((distance - 1) as f64).mul_add(weight, 1.0);
        let bin = bin(distance as u64);
        if bin >= self.reuses.len() {
            self.reuses.resize(bin + 1, 0.0);
        }
        self.reuses[bin] += weight;
        false
    }

    /// Accesses, of so many, that hit with room for `capacity` blocks. What the sample has too many
    /// or too few is taken for reuses at once, of blocks used so often that one more or less in
    /// the sample makes the difference.
    fn hits(&self, capacity: u64, accesses: u64) -> f64 {
        let bins = self.reuses.iter().take(bin(capacity).saturating_add(1));
        bins.sum::<f64>() + accesses as f64 - self.weight
    }

    fn capacity_for(&self, share: f64, accesses: u64) -> Option<u64> {
        let adjustment = accesses as f64 - self.weight;
        let all = self.reuses.iter().sum::<f64>() + adjustment;
        let mut hits = adjustment;
        self.reuses.iter().enumerate().find_map(|(bin, weight)| {
            hits += weight;
            (*weight > 0.0 && hits >= all * share).then(|| last_of(bin))
        })
    }
}

/// The bin of a distance: itself up to 255, then 128 bins for each power of two.
const fn bin(distance: u64) -> usize {
    let bits = 64 - distance.leading_zeros();
    let shift = bits.saturating_sub(MANTISSA_BITS + 1);
    ((shift as usize) << MANTISSA_BITS) + (distance >> shift) as usize
}

/// The greatest distance of a bin.
const fn last_of(bin: usize) -> u64 {
    let shift = (bin >> MANTISSA_BITS).saturating_sub(1);
    let mantissa = (bin - (shift << MANTISSA_BITS)) as u64;
    (mantissa << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::{bin, last_of};

    #[test]
    fn bins_are_ordered_and_end_before_the_next_begins() {
        for bin_number in 0..7_000 {
            let last = last_of(bin_number);
            assert_eq!((bin(last), bin(last + 1)), (bin_number, bin_number + 1), "{last}");
        }
        assert_eq!((bin(255), last_of(255)), (255, 255));
        assert!(bin(u64::MAX) < 8_000);
    }
}
