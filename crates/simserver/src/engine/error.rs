/// Options that cannot work, or a request that can never run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// A count or rate outside its range.
    #[error("{option} is {value}; it must be from {min} to {max}")]
    OutOfRange {
        /// Name of the option, as in [`super::EngineOptions`].
        option: &'static str,
        /// The value seen.
        value: f64,
        /// The least allowed.
        min: f64,
        /// The most allowed.
        max: f64,
    },
    /// The longest allowed sequence does not fit into the cache, so it could never finish.
    #[error(
        "max_model_len is {max_model_len}; it must be at most {capacity_tokens}, which is all that \
         kv_blocks {kv_blocks} of block_size {block_size} hold (one block is reserved)\n\
         hint: raise kv_blocks or lower max_model_len"
    )]
    ModelLenOverCapacity {
        /// The longest allowed sequence, in tokens.
        max_model_len: u32,
        /// Blocks of the cache, the reserved one included.
        kv_blocks: u32,
        /// Tokens of a block.
        block_size: u32,
        /// What fits, in tokens.
        capacity_tokens: u64,
    },
    /// Without chunked prefill a whole prompt must fit into one step.
    #[error(
        "max_num_batched_tokens is {max_num_batched_tokens}; without chunked prefill it must be at \
         least max_model_len, {max_model_len}\n\
         hint: turn chunked prefill on or raise max_num_batched_tokens"
    )]
    BudgetBelowModelLen {
        /// Token budget of a step.
        max_num_batched_tokens: u32,
        /// The longest allowed sequence, in tokens.
        max_model_len: u32,
    },
    /// A step must have room for one token of every running request.
    #[error(
        "max_num_batched_tokens is {max_num_batched_tokens}; it must be at least max_num_seqs, \
         {max_num_seqs}\n\
         hint: raise max_num_batched_tokens or lower max_num_seqs"
    )]
    BudgetBelowSeqs {
        /// Token budget of a step.
        max_num_batched_tokens: u32,
        /// Most requests running at once.
        max_num_seqs: u32,
    },
    /// Tiers find blocks by the names that prefix caching gives.
    #[error("tiers need prefix caching\nhint: turn prefix caching on or leave the tiers out")]
    TiersWithoutPrefixCaching,
    /// Two tiers of one kind.
    #[error("tier {kind} is there twice\nhint: give each tier once, nearest first")]
    TierTwice {
        /// Its name.
        kind: &'static str,
    },
    /// A tier for no block at all, or for too many.
    #[error(
        "tier {kind} has {capacity_bytes} bytes, which is {blocks} blocks of {block_bytes} bytes; it \
         must hold from 1 to {blocks_max}\n\
         hint: change its size, block_size or kv_bytes_per_token"
    )]
    TierSize {
        /// Its name.
        kind: &'static str,
        /// Its size in bytes.
        capacity_bytes: u64,
        /// Whole blocks that fit.
        blocks: u64,
        /// Bytes of a block.
        block_bytes: u64,
        /// Most blocks.
        blocks_max: u32,
    },
    /// A request without prompt tokens.
    #[error("prompt has no tokens")]
    EmptyPrompt,
    /// A request that may not produce a token.
    #[error("max_tokens must be at least 1, got 0")]
    NoOutput,
    /// The prompt leaves no room for a single answer token.
    #[error("prompt has {prompt_tokens} tokens, max_model_len {max_model_len} allows one less")]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt_tokens: u64,
        /// The longest allowed sequence, in tokens.
        max_model_len: u32,
    },
}
