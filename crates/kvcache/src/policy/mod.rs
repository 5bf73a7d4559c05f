//! Which block goes when the cache is full: one policy a file.

mod fifo;
mod lru;
mod recency;
mod s3_fifo;

pub use fifo::Fifo;
pub use lru::Lru;
pub use recency::RecencyList;
pub use s3_fifo::{S3Fifo, S3FifoOptions};

/// A cache of blocks of one size, with a rule for what to evict.
pub trait EvictionPolicy {
    /// Whether the block is there. Changes nothing.
    fn contains(&self, block: u64) -> bool;

    /// An access: whether the block is there. It is afterwards, unless the policy will not have it.
    fn access(&mut self, block: u64) -> bool;
}
