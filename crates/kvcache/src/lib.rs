//! The KV cache of an inference server, without the tensors: block names, the pool of blocks with
//! its eviction order, the table of blocks of one sequence; and what caches of other sizes, kinds and
//! depths would make of the same accesses.
//!
//! Floor 1: no clock, no I/O, no randomness. The rules of [`KvCache`] are those of vLLM's V1 prefix cache
//! (0.32), as recordings of a real server establish them; it knows nothing of requests or scheduling.
//!
//! ```
//! use turnbench_kvcache::{KvCache, KvCacheOptions};
//!
//! let options = KvCacheOptions { block_size: 4, block_count: 8, prefix_caching: true };
//! let mut cache = KvCache::new(options);
//! let prompt: Vec<u32> = (0..9).collect();
//!
//! let mut first = cache.table(None);
//! first.push_all(&prompt);
//! assert!(cache.admit(&mut first, 0) && cache.grow(&mut first, 9));
//! cache.release(&mut first);
//!
//! let mut second = cache.table(None);
//! second.push_all(&prompt);
//! assert_eq!(cache.hit_blocks(&second), 2); // 8 of 9 tokens
//! ```

mod cache;
mod event;
mod hash;
mod key_map;
mod kv_shape;
mod policy;
mod pool;
mod replay;
mod table;

pub use cache::{KvCache, KvCacheOptions};
pub use event::KvEvent;
pub use hash::BlockHash;
pub use kv_shape::{KvDtype, KvShape, KvShapeError};
pub use policy::{EvictionPolicy, Fifo, Lru, RecencyList, S3Fifo, S3FifoOptions};
pub use pool::{BlockId, BlockPool};
pub use replay::{
    CacheRequest, Estimate, Inclusion, MissCurve, RequestReuse, Reuse, SampledCurve,
    StackDistances, Thinned, Tiers, found_tokens, found_tokens_by_tier, looked_up, reuse,
    thinned_error,
};
pub use table::BlockTable;
