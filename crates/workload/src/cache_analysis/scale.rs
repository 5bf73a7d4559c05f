/// From a sample of blocks to all of them; the sample may be all.
///
/// A sample has somewhat more or fewer uses than its rate says, by the few blocks that are used very often:
/// what is too much or too little is taken for uses that every cache serves (the adjustment of SHARDS, Waldspurger,
/// Park, Garthwaite, Ahmad, FAST 2015).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    rate: f64,
    pub(crate) block_tokens: u64,
    /// Blocks looked up that the sample lacks, less than 0 where it has too many.
    lacking: f64,
}

impl Scale {
    /// Of all blocks.
    pub(crate) const fn whole(block_tokens: u32) -> Self {
        Self { rate: 1.0, block_tokens: block_tokens as u64, lacking: 0.0 }
    }

    /// A share of `rate` of `wanted` blocks that are looked up, of which the sample has `sampled`.
    pub(crate) fn new(rate: f64, wanted: u64, sampled: u64, block_tokens: u32) -> Self {
        let lacking = if rate < 1.0 { wanted as f64 * rate - sampled as f64 } else { 0.0 };
        Self { rate, block_tokens: u64::from(block_tokens), lacking }
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.rate >= 1.0
    }

    /// A cache's size in the sample, of one with so many blocks.
    pub(crate) fn capacity(&self, blocks: u64) -> u64 {
        if self.is_exact() { blocks } else { ((blocks as f64 * self.rate).round() as u64).max(1) }
    }

    /// The size of a cache that has so many blocks in the sample: the last one is one, and each before
    /// it stands for more.
    pub(crate) fn distance(&self, blocks: u64) -> u64 {
        if self.is_exact() {
            return blocks;
        }
        (blocks.saturating_sub(1) as f64 / self.rate).round() as u64 + 1
    }

    /// Of blocks, or tokens, in the sample, how many there are.
    pub(crate) fn plain(&self, number: u64) -> u64 {
        if self.is_exact() { number } else { (number as f64 / self.rate).round() as u64 }
    }

    /// Of tokens that a cache serves in the sample, how many it serves.
    pub(crate) fn served(&self, tokens: u64) -> u64 {
        if self.is_exact() || tokens == 0 {
            return tokens;
        }
        let served = tokens as f64 + self.lacking * self.block_tokens as f64;
        (served / self.rate).round().max(0.0) as u64
    }

    /// The share (0 to 1) of the sample's `reuses` that is a share of all of them.
    pub(crate) fn share(&self, share: f64, reuses: u64) -> f64 {
        if self.is_exact() || reuses == 0 {
            return share;
        }
        let reuses = reuses as f64;
        ((share * (reuses + self.lacking) - self.lacking) / reuses).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn a_sample_of_all_changes_nothing() {
        let scale = Scale::new(1.0, 1_000, 1_000, 16);
        assert!(scale.is_exact());
        assert_eq!((scale.capacity(7), scale.distance(7), scale.plain(7)), (7, 7, 7));
        assert_eq!((scale.served(112), scale.share(0.9, 5).to_bits()), (112, 0.9_f64.to_bits()));
    }

    #[test]
    fn a_tenth_stands_for_ten_times_as_much() {
        // It should have 100, and lacks 10 uses of a block that is used often.
        let scale = Scale::new(0.1, 1_000, 90, 16);
        assert_eq!((scale.capacity(70), scale.distance(8), scale.plain(7)), (7, 71, 70));
        assert_eq!(scale.capacity(2), 1);
        assert_eq!((scale.served(0), scale.served(50 * 16)), (0, 600 * 16));
        // 45 of 60 is three quarters: 35 in the sample, and the 10 that it lacks.
        assert!((scale.share(0.75, 50) - 0.7).abs() < 1e-12);
    }
}
