use sha2::{Digest, Sha256};

use super::random::{SplitMix64, mix};
use super::vocabulary::{Text, Vocabulary};

/// Makes runs of words: the same one for the same name, whatever stands around it.
#[derive(Debug)]
pub(super) struct Runs {
    vocabulary: Vocabulary,
    seed: u64,
    /// Words that spell any 64-bit number.
    digits: u32,
}

/// What a run without a block name is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Prompt tokens that no block name covers.
    Prompt = 0,
    /// The answer.
    Answer = 1,
}

impl Runs {
    pub(super) fn new(vocabulary: Vocabulary, seed: u64) -> Self {
        let (base, mut digits, mut reach) = (vocabulary.len() as u128, 0, 1_u128);
        while reach <= u128::from(u64::MAX) {
            reach *= base;
            digits += 1;
        }
        Self { vocabulary, seed: mix(seed), digits }
    }

    /// Highest name of a block of this size.
    pub(super) fn id_max(&self, block_size: u32) -> u64 {
        if block_size >= self.digits {
            return u64::MAX;
        }
        // Fits: it has fewer digits than the highest number.
        (self.vocabulary.len() as u64).pow(block_size) - 1
    }

    /// The first `tokens` tokens of the block `id`, which [`Runs::id_max`] allows.
    ///
    /// The name's digits come first, lowest first, so that different blocks differ for certain and
    /// most of them in their first word. Of fewer tokens than there are digits the beginning alone
    /// is there, which blocks may have in common.
    pub(super) fn push_block(&self, text: &mut Text, id: u64, tokens: u32, block_size: u32) {
        let base = self.vocabulary.len() as u64;
        let is_spelled = block_size < self.digits;
        let mut number = if is_spelled { id } else { mix(id.wrapping_add(self.seed)) };
        let digits = self.digits.min(tokens);
        for _ in 0..digits {
            self.vocabulary.push(text, (number % base) as usize);
            number /= base;
        }
        let random = SplitMix64::new(mix(id) ^ self.seed);
        self.push_random(text, random, tokens - digits);
    }

    /// A run that no other turn has.
    pub(super) fn push_unique(
        &self,
        text: &mut Text,
        (conversation, turn): (&str, usize),
        part: Part,
        tokens: u32,
    ) {
        let mut hasher = Sha256::new();
        hasher.update(conversation.as_bytes());
        hasher.update((turn as u64).to_le_bytes());
        hasher.update([part as u8]);
        let start = hasher.finalize()[..8].iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
        self.push_random(text, SplitMix64::new(start ^ self.seed), tokens);
    }

    fn push_random(&self, text: &mut Text, mut random: SplitMix64, tokens: u32) {
        for _ in 0..tokens {
            let word = random.below(self.vocabulary.len());
            self.vocabulary.push(text, word);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::tokenizers;
    use super::super::vocabulary::{Text, Vocabulary};
    use super::Runs;

    #[test]
    fn different_ids_differ_in_the_smallest_block_that_holds_them() {
        for (name, tokenizer) in tokenizers() {
            let runs = Runs::new(Vocabulary::find(&*tokenizer).unwrap(), 5);
            for block_size in [1, 2, 3, 8, 16] {
                let max = runs.id_max(block_size);
                let ids = [0, 1, 2, 3, max / 2, max - 1, max];
                let blocks: BTreeSet<Vec<u32>> = ids
                    .iter()
                    .map(|&id| {
                        let mut text = Text::default();
                        runs.push_block(&mut text, id, block_size, block_size);
                        assert_eq!(text.ids.len(), block_size as usize);
                        text.ids
                    })
                    .collect();
                assert_eq!(blocks.len(), ids.len(), "{name}, {block_size}");
            }
            assert_eq!(runs.id_max(16), u64::MAX, "{name}");
        }
    }

    #[test]
    fn a_shorter_block_is_the_beginning_of_the_whole_one() {
        let (_, tokenizer) = tokenizers().remove(0);
        let runs = Runs::new(Vocabulary::find(&*tokenizer).unwrap(), 5);
        let block = |tokens| {
            let mut text = Text::default();
            runs.push_block(&mut text, 77, tokens, 64);
            text.ids
        };
        let whole = block(64);
        for tokens in [0, 1, 5, 63] {
            assert_eq!(block(tokens), whole[..tokens as usize]);
        }
    }
}
