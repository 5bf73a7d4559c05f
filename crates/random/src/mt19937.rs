const STATE_WORDS: usize = 624;
const SHIFT_WORDS: usize = 397;

/// The Mersenne Twister of Matsumoto and Nishimura (1998), 32-bit words, as numpy and CPython use it.
#[derive(Clone, Debug)]
pub struct Mt19937 {
    state: [u32; STATE_WORDS],
    /// Words of `state` already drawn.
    position: usize,
}

impl Mt19937 {
    /// numpy's legacy seeding (`init_genrand`).
    pub fn from_seed(seed: u32) -> Self {
        let mut state = [0; STATE_WORDS];
        let mut word = seed;
        for (index, slot) in (0u32..).zip(&mut state) {
            if index > 0 {
                word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(index);
            }
            *slot = word;
        }
        Self { state, position: STATE_WORDS }
    }

    /// `init_by_array` with the words of `key`; an empty key counts as one zero word.
    pub fn from_key(key: &[u32]) -> Self {
        let key = if key.is_empty() { &[0] } else { key };
        let mut mt = Self::from_seed(19_650_218);
        let state = &mut mt.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..STATE_WORDS.max(key.len()) {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ previous.wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            i = next_index(state, i);
            j = (j + 1) % key.len();
        }
        for _ in 1..STATE_WORDS {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ previous.wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i = next_index(state, i);
        }
        state[0] = 0x8000_0000;
        mt
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.position >= STATE_WORDS {
            self.refill();
        }
        let mut word = self.state[self.position];
        self.position += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// The next double in [0, 1), of 53 random bits (two words).
    pub fn next_f64(&mut self) -> f64 {
        let high = f64::from(self.next_u32() >> 5);
        let low = f64::from(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    fn refill(&mut self) {
        for i in 0..STATE_WORDS {
            let joined =
                (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE_WORDS] & 0x7fff_ffff);
            let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[i] = self.state[(i + SHIFT_WORDS) % STATE_WORDS] ^ (joined >> 1) ^ twist;
        }
        self.position = 0;
    }
}

fn next_index(state: &mut [u32; STATE_WORDS], index: usize) -> usize {
    if index + 1 < STATE_WORDS {
        return index + 1;
    }
    state[0] = state[STATE_WORDS - 1];
    1
}
