use std::collections::BTreeSet;

use crate::{Mt19937, RandomError};

/// CPython's `random` module (`random.seed(n)` with an integer, and the functions beside it);
/// the same in CPython 3.9 to 3.13.
#[derive(Clone, Debug)]
pub struct PythonStream {
    mt: Mt19937,
}

impl PythonStream {
    /// `random.seed(seed)`. Python seeds with the magnitude: `-n` gives the stream of `n`.
    pub fn new(seed: impl Into<i128>) -> Self {
        let magnitude = seed.into().unsigned_abs();
        let mut words = Vec::with_capacity(4);
        let mut rest = magnitude;
        while rest > 0 {
            words.push(rest as u32);
            rest >>= 32;
        }
        Self::from_words(&words)
    }

    /// `random.seed` of a magnitude of any size, given as 32-bit words, lowest first, without zero
    /// words at the end; no words mean 0.
    pub fn from_words(words: &[u32]) -> Self {
        Self { mt: Mt19937::from_key(words) }
    }

    /// `random.random()`: uniform in [0, 1).
    pub fn random(&mut self) -> f64 {
        self.mt.next_f64()
    }

    /// `random.uniform(a, b)`.
    pub fn uniform(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.random()
    }

    /// `random.getrandbits(bits)`, of at most 128 bits; 0 bits draw nothing.
    pub fn getrandbits(&mut self, bits: u32) -> u128 {
        let bits = bits.min(128);
        let mut value = 0;
        let mut drawn = 0;
        while drawn < bits {
            let wanted = (bits - drawn).min(32);
            let word = self.mt.next_u32() >> (32 - wanted);
            value |= u128::from(word) << drawn;
            drawn += 32;
        }
        value
    }

    /// `random._randbelow(n)`: uniform in 0..n by rejection; `n = 0` gives 0 and draws nothing.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let bits = u64::BITS - n.leading_zeros();
        loop {
            let value = self.getrandbits(bits) as u64;
            if value < n {
                return value;
            }
        }
    }

    /// `random.choice(items)`; `None` where Python raises because there is nothing to choose from.
    pub fn choice<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64) as usize;
        items.get(index)
    }

    /// `random.shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// `random.sample(range(population), count)`: distinct indices in drawn order.
    ///
    /// # Errors
    /// [`RandomError::SampleLargerThanPopulation`].
    pub fn sample(&mut self, population: usize, count: usize) -> Result<Vec<usize>, RandomError> {
        if count > population {
            return Err(RandomError::SampleLargerThanPopulation { population, count });
        }
        if population <= pool_limit(count) {
            return Ok(self.sample_by_pool(population, count));
        }
        let mut seen = BTreeSet::new();
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let index = self.below(population as u64) as usize;
            if seen.insert(index) {
                drawn.push(index);
            }
        }
        Ok(drawn)
    }

    fn sample_by_pool(&mut self, population: usize, count: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..population).collect();
        let mut drawn = Vec::with_capacity(count);
        for left in (population - count + 1..=population).rev() {
            let index = self.below(left as u64) as usize;
            drawn.push(pool[index]);
            pool[index] = pool[left - 1];
        }
        drawn
    }
}

/// The population up to which Python samples from a list rather than with a set of seen indices.
fn pool_limit(count: usize) -> usize {
    let mut limit = 21;
    if count > 5 {
        let mut power = 1;
        while power < count.saturating_mul(3) {
            power *= 4;
        }
        limit += power;
    }
    limit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PythonStream;

    #[test]
    fn the_sign_of_a_seed_does_not_matter() {
        assert_eq!(PythonStream::new(-7).random(), PythonStream::new(7).random());
        assert_eq!(PythonStream::new(0).random(), PythonStream::from_words(&[0]).random());
    }

    #[test]
    fn nothing_can_be_chosen_from_nothing() {
        assert_eq!(PythonStream::new(0).choice::<u8>(&[]), None);
        assert!(PythonStream::new(0).sample(2, 3).is_err());
    }

    proptest! {
        #[test]
        fn samples_are_distinct_and_in_range(seed in any::<u64>(), population in 0usize..400) {
            let count = population / 3;
            let mut sample = PythonStream::new(seed).sample(population, count).unwrap();
            sample.sort_unstable();
            sample.dedup();
            prop_assert_eq!(sample.len(), count);
            prop_assert!(sample.iter().all(|&index| index < population));
        }
    }
}
