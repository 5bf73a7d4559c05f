use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Makes ids that look random and are the same for the same seed and order of requests.
#[derive(Debug)]
pub(crate) struct IdSource {
    seed: u64,
    next: AtomicU64,
}

impl IdSource {
    /// Starts from the beginning.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }

    /// 16 hexadecimal digits for every word asked for.
    pub(crate) fn hex(&self, words: usize) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut out = String::with_capacity(16 * words);
        for word in 0..words as u64 {
            let hash = xxh3_64_with_seed(&number.to_le_bytes(), self.seed ^ (word << 32));
            let _ = write!(out, "{hash:016x}");
        }
        out
    }
}
