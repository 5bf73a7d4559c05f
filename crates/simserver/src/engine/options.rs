use super::EngineError;

/// Size, limits and speed of the simulated engine. The defaults are a small GPU-like server.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineOptions {
    /// Tokens of a KV block.
    pub block_size: u32,
    /// Blocks of the cache. One is reserved, as in vLLM.
    pub kv_blocks: u32,
    /// Token budget of a step.
    pub max_num_batched_tokens: u32,
    /// Most requests running at once.
    pub max_num_seqs: u32,
    /// Longest sequence, prompt and answer together, in tokens.
    pub max_model_len: u32,
    /// Prompt tokens computed per second.
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
        }
    }
}

impl EngineOptions {
    /// Checks that every request the options allow can finish.
    ///
    /// # Errors
    /// Names the first option that cannot work.
    pub fn validate(&self) -> Result<(), EngineError> {
        for (option, value) in [
            ("block_size", f64::from(self.block_size)),
            ("kv_blocks", f64::from(self.kv_blocks)),
            ("max_num_batched_tokens", f64::from(self.max_num_batched_tokens)),
            ("max_num_seqs", f64::from(self.max_num_seqs)),
            ("max_model_len", f64::from(self.max_model_len)),
            ("prefill_tokens_per_sec", self.prefill_tokens_per_sec),
        ] {
            if value.is_nan() || value <= 0.0 {
                return Err(EngineError::NotPositive { option, value });
            }
        }
        let capacity_tokens = u64::from(self.kv_blocks - 1) * u64::from(self.block_size);
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{EngineError, EngineOptions};

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
        check(|options| options.block_size = 0, "block_size is 0");
        check(|options| options.prefill_tokens_per_sec = f64::NAN, "prefill_tokens_per_sec is NaN");
        check(|options| options.max_num_seqs = 2049, "below max_num_seqs 2049");
        check(|options| options.chunked_prefill = false, "chunked prefill is off");
    }

    #[test]
    fn the_reserved_block_is_not_capacity() {
        check(|options| (options.max_model_len, options.kv_blocks) = (32, 3), "");
        check(|options| (options.max_model_len, options.kv_blocks) = (33, 3), "at most 32");
        check(|options| (options.max_model_len, options.kv_blocks) = (1, 1), "at most 0");
        assert_eq!(
            EngineOptions { max_model_len: 0, ..EngineOptions::default() }.validate(),
            Err(EngineError::NotPositive { option: "max_model_len", value: 0.0 })
        );
    }
}
