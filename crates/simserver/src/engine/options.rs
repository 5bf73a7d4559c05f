use turnbench_model::Nanos;

use super::{EngineError, TierOptions};

/// Most blocks of a cache: each costs about 100 bytes of memory.
const KV_BLOCKS_MAX: u32 = 1 << 24;
/// Most tokens of a block; real servers use 16 to 256.
const BLOCK_SIZE_MAX: u32 = 1 << 16;
/// Most prompt tokens computed per second: a nanosecond each.
const PREFILL_RATE_MAX: f64 = 1e9;

/// Most bytes of KV entries a token; the largest models have a few million.
const KV_BYTES_PER_TOKEN_MAX: u32 = 1 << 30;
/// Most bytes a tier moves in a second.
const TIER_RATE_MAX: f64 = 1e15;
/// Longest latency of a tier.
const TIER_LATENCY_MAX: Nanos = Nanos(60_000_000_000);

/// Size, limits and speed of the simulated engine. The defaults are a small GPU-like server.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineOptions {
    /// Tokens of a KV block, 1 to 65,536.
    pub block_size: u32,
    /// Blocks of the cache, 2 to 16,777,216. One is reserved, as in vLLM.
    pub kv_blocks: u32,
    /// Token budget of a step.
    pub max_num_batched_tokens: u32,
    /// Most requests running at once.
    pub max_num_seqs: u32,
    /// Longest sequence, prompt and answer together, in tokens.
    pub max_model_len: u32,
    /// Prompt tokens computed per second, 1 to 1e9.
    pub prefill_tokens_per_sec: f64,
    /// Cost of a step with at least one decoding request, in nanoseconds.
    pub decode_ns: u64,
    /// Added cost of every decoding request in a step, in nanoseconds.
    pub decode_ns_per_seq: u64,
    /// Reuse the blocks of earlier requests.
    pub prefix_caching: bool,
    /// Spread a prompt over several steps where the budget asks for it.
    pub chunked_prefill: bool,
    /// Keep a log of cache events for [`super::Engine::drain_kv_events`]. It grows until drained.
    pub record_kv_events: bool,
    /// Bytes of the keys and values of one token, 1 to 1,073,741,824: what tiers are measured in.
    pub kv_bytes_per_token: u32,
    /// What keeps KV blocks behind the device, nearest first; each kind at most once.
    pub tiers: Vec<TierOptions>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            block_size: 16,
            kv_blocks: 8192,
            max_num_batched_tokens: 2048,
            max_num_seqs: 256,
            max_model_len: 32_768,
            prefill_tokens_per_sec: 20_000.0,
            decode_ns: 8_000_000,
            decode_ns_per_seq: 50_000,
            prefix_caching: true,
            chunked_prefill: true,
            record_kv_events: false,
            // Llama 3.1 8B in bf16: keys and values, 32 layers, 8 heads of 128, 2 bytes each.
            kv_bytes_per_token: 131_072,
            tiers: Vec::new(),
        }
    }
}

impl EngineOptions {
    /// Tokens that fit into the cache at once: the longest `max_model_len` that works.
    pub fn capacity_tokens(&self) -> u64 {
        u64::from(self.kv_blocks.saturating_sub(1)) * u64::from(self.block_size)
    }

    /// Bytes of the keys and values of a block.
    pub fn block_bytes(&self) -> u64 {
        u64::from(self.block_size) * u64::from(self.kv_bytes_per_token)
    }

    /// Whole blocks that a tier holds.
    pub fn tier_blocks(&self, tier: &TierOptions) -> u64 {
        tier.capacity_bytes / self.block_bytes().max(1)
    }

    /// Checks that every request the options allow can finish.
    ///
    /// # Errors
    /// Names the first option that cannot work.
    pub fn validate(&self) -> Result<(), EngineError> {
        let any = u32::MAX;
        for (option, value, min, max) in [
            ("block_size", self.block_size, 1, BLOCK_SIZE_MAX),
            ("kv_blocks", self.kv_blocks, 2, KV_BLOCKS_MAX),
            ("max_num_batched_tokens", self.max_num_batched_tokens, 1, any),
            ("max_num_seqs", self.max_num_seqs, 1, any),
            ("max_model_len", self.max_model_len, 1, any),
            ("kv_bytes_per_token", self.kv_bytes_per_token, 1, KV_BYTES_PER_TOKEN_MAX),
        ] {
            check_range(option, f64::from(value), f64::from(min), f64::from(max))?;
        }
        let rate = self.prefill_tokens_per_sec;
        check_range("prefill_tokens_per_sec", rate, 1.0, PREFILL_RATE_MAX)?;
        let capacity_tokens = self.capacity_tokens();
        if u64::from(self.max_model_len) > capacity_tokens {
            return Err(EngineError::ModelLenOverCapacity {
                max_model_len: self.max_model_len,
                kv_blocks: self.kv_blocks,
                block_size: self.block_size,
                capacity_tokens,
            });
        }
        if self.max_num_batched_tokens < self.max_num_seqs {
            return Err(EngineError::BudgetBelowSeqs {
                max_num_batched_tokens: self.max_num_batched_tokens,
                max_num_seqs: self.max_num_seqs,
            });
        }
        if !self.chunked_prefill && self.max_num_batched_tokens < self.max_model_len {
            return Err(EngineError::BudgetBelowModelLen {
                max_num_batched_tokens: self.max_num_batched_tokens,
                max_model_len: self.max_model_len,
            });
        }
        self.validate_tiers()
    }

    fn validate_tiers(&self) -> Result<(), EngineError> {
        if !self.tiers.is_empty() && !self.prefix_caching {
            return Err(EngineError::TiersWithoutPrefixCaching);
        }
        for (place, tier) in self.tiers.iter().enumerate() {
            let kind = tier.kind.name();
            if self.tiers[..place].iter().any(|other| other.kind == tier.kind) {
                return Err(EngineError::TierTwice { kind });
            }
            let blocks = self.tier_blocks(tier);
            if blocks == 0 || blocks > u64::from(KV_BLOCKS_MAX) {
                return Err(EngineError::TierSize {
                    kind,
                    capacity_bytes: tier.capacity_bytes,
                    blocks,
                    block_bytes: self.block_bytes(),
                    blocks_max: KV_BLOCKS_MAX,
                });
            }
            for (option, rate) in [
                ("load_bytes_per_sec", tier.load_bytes_per_sec),
                ("store_bytes_per_sec", tier.store_bytes_per_sec),
            ] {
                check_range(option, rate, 1.0, TIER_RATE_MAX)?;
            }
            let (latency, most) = (tier.latency, TIER_LATENCY_MAX);
            check_range("latency_ns", latency.0 as f64, 0.0, most.0 as f64)?;
        }
        Ok(())
    }
}

fn check_range(option: &'static str, value: f64, min: f64, max: f64) -> Result<(), EngineError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(EngineError::OutOfRange { option, value, min, max })
}

#[cfg(test)]
mod tests {
    use super::{EngineOptions, TierOptions};
    use crate::engine::TierKind;

    fn check(change: impl FnOnce(&mut EngineOptions), expect: &str) {
        let mut options = EngineOptions::default();
        change(&mut options);
        let message = options.validate().err().map_or_else(String::new, |error| error.to_string());
        assert!(
            if expect.is_empty() { message.is_empty() } else { message.contains(expect) },
            "{message:?} should contain {expect:?}"
        );
    }

    #[test]
    fn options_that_cannot_work_are_named() {
        check(|_| (), "");
        check(|options| options.block_size = 0, "block_size is 0; it must be from 1 to 65536");
        check(
            |options| options.kv_blocks = u32::MAX,
            "kv_blocks is 4294967295; it must be from 2 to 16777216",
        );
        check(
            |options| options.prefill_tokens_per_sec = f64::NAN,
            "prefill_tokens_per_sec is NaN; it must be from 1 to 1000000000",
        );
        check(
            |options| options.max_model_len = 0,
            "max_model_len is 0; it must be from 1 to 4294967295",
        );
        check(
            |options| options.max_num_seqs = 2049,
            "max_num_batched_tokens is 2048; it must be at least max_num_seqs, 2049\nhint: ",
        );
        check(
            |options| options.chunked_prefill = false,
            "max_num_batched_tokens is 2048; without chunked prefill it must be at least \
             max_model_len, 32768\nhint: ",
        );
    }

    #[test]
    fn tiers_hold_whole_blocks_at_least_one_and_are_there_once() {
        let host = |bytes| TierOptions::new(TierKind::Host, bytes, 1e9);
        let block = EngineOptions::default().block_bytes();
        assert_eq!(block, 2 << 20);
        assert_eq!(EngineOptions::default().tier_blocks(&host(3 * block - 1)), 2);
        check(|options| options.tiers = vec![host(block)], "");
        check(
            |options| options.tiers = vec![host(block - 1)],
            "tier host has 2097151 bytes, which is 0 blocks of 2097152 bytes; it must hold from 1 to \
             16777216\nhint: ",
        );
        check(|options| options.tiers = vec![host(u64::MAX)], "it must hold from 1 to 16777216");
        check(|options| options.tiers = vec![host(block), host(block)], "tier host is there twice");
        check(
            |options| (options.tiers, options.prefix_caching) = (vec![host(block)], false),
            "tiers need prefix caching",
        );
        check(
            |options| {
                let fast = TierOptions { store_bytes_per_sec: f64::INFINITY, ..host(block) };
                options.tiers = vec![fast];
            },
            "store_bytes_per_sec is inf; it must be from 1 to 1000000000000000",
        );
        check(
            |options| options.kv_bytes_per_token = 0,
            "kv_bytes_per_token is 0; it must be from 1",
        );
    }

    #[test]
    fn the_reserved_block_is_not_capacity() {
        check(|options| (options.max_model_len, options.kv_blocks) = (32, 3), "");
        check(
            |options| (options.max_model_len, options.kv_blocks) = (33, 3),
            "max_model_len is 33; it must be at most 32, which is all that kv_blocks 3 of \
             block_size 16 hold (one block is reserved)\nhint: ",
        );
        assert_eq!(EngineOptions { kv_blocks: 0, ..EngineOptions::default() }.capacity_tokens(), 0);
    }
}
