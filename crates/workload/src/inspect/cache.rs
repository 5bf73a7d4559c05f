use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use rustc_hash::FxHasher;
use turnbench_kvcache::BlockHash;

use crate::prompts::{Chain, Lengths};

#[allow(clippy::disallowed_types, reason = "asked for members and their number, never iterated")]
type BlockSet = HashSet<BlockHash, BuildHasherDefault<FxHasher>>;

/// A prefix cache that never evicts: 16 bytes for each distinct block.
#[derive(Debug, Default)]
pub(super) struct EndlessCache {
    /// Blocks of prompts.
    prompts: BlockSet,
    /// Blocks of answers that were in no prompt at the time.
    answers: BlockSet,
    /// Partial last blocks of prompts.
    tails: BlockSet,
    tail_tokens: u64,
}

/// How far the blocks of a chain are known to be in a cache, because an earlier request of the
/// same chain put them there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    prompts: usize,
    cached: usize,
}

impl EndlessCache {
    /// Tokens of the prompt, which is the beginning of `chain`, that are in the cache; then the
    /// prompt and its answer are.
    pub(super) fn request(&mut self, chain: &Chain, known: &mut Known, lengths: Lengths) -> u64 {
        let blocks = |tokens: u64| {
            let blocks = tokens / u64::from(chain.block_size);
            usize::try_from(blocks).unwrap_or(usize::MAX).min(chain.blocks.len())
        };
        // vLLM computes the last token of a prompt in any case.
        let usable = blocks(lengths.prompt.saturating_sub(1));
        let mut hit = known.cached.min(usable);
        while hit < usable && self.contains(chain.blocks[hit]) {
            hit += 1;
        }
        let in_prompt = blocks(lengths.prompt);
        let cached = blocks(lengths.prompt + lengths.answer);
        self.prompts.extend(chain.blocks[..in_prompt].iter().skip(known.prompts));
        for &block in chain.blocks[..cached].iter().skip(known.cached.max(in_prompt)) {
            self.answers.insert(block);
        }
        known.prompts = known.prompts.max(in_prompt);
        known.cached = known.cached.max(cached);
        hit as u64 * u64::from(chain.block_size)
    }

    /// Takes in the partial last block of a prompt.
    pub(super) fn tail(&mut self, name: BlockHash, tokens: u64) {
        if self.tails.insert(name) {
            self.tail_tokens += tokens;
        }
    }

    /// Takes in prompt tokens of which nothing is known but that they are there.
    pub(super) fn unnamed(&mut self, tokens: u64) {
        self.tail_tokens += tokens;
    }

    /// Tokens in distinct blocks of prompts.
    pub(super) fn distinct_tokens(&self, block_size: u32) -> u64 {
        self.prompts.len() as u64 * u64::from(block_size) + self.tail_tokens
    }

    fn contains(&self, block: BlockHash) -> bool {
        self.prompts.contains(&block) || self.answers.contains(&block)
    }
}
