use std::ops::Range;

use turnbench_model::Tokenizer;

use crate::WorkloadError;

/// A tokenized text of which pieces are turned back into text.
pub(super) struct Pieces<'a> {
    tokens: &'a [u32],
    tokenizer: &'a dyn Tokenizer,
    /// The bytes of all tokens, where decoding is nothing but putting them together.
    bytes: Option<TokenBytes>,
}

struct TokenBytes {
    bytes: Vec<u8>,
    /// Where each token begins; one more than there are tokens.
    starts: Vec<usize>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(tokens: &'a [u32], tokenizer: &'a dyn Tokenizer) -> Self {
        Self { tokens, tokenizer, bytes: TokenBytes::of(tokens, tokenizer) }
    }

    /// About how many bytes the text of the tokens in `place` has; exact where the bytes are known.
    pub(super) fn bytes(&self, place: &Range<usize>) -> usize {
        match &self.bytes {
            Some(_) if place.is_empty() => 0,
            Some(bytes) => bytes.piece(place).len(),
            None => 4 * place.len(),
        }
    }

    /// The text of the tokens in `place`, which lies within the text.
    pub(super) fn text(&self, place: Range<usize>) -> Result<String, WorkloadError> {
        let mut text = String::new();
        self.push_text(place, &mut text)?;
        Ok(text)
    }

    /// Appends the text of the tokens in `place`, which lies within the text.
    pub(super) fn push_text(
        &self,
        place: Range<usize>,
        text: &mut String,
    ) -> Result<(), WorkloadError> {
        match &self.bytes {
            Some(bytes) => text.push_str(&String::from_utf8_lossy(bytes.piece(&place))),
            None => text.push_str(&self.tokenizer.decode(&self.tokens[place])?),
        }
        Ok(())
    }
}

impl TokenBytes {
    fn of(tokens: &[u32], tokenizer: &dyn Tokenizer) -> Option<Self> {
        // A tokenizer that gives no bytes may not know its vocabulary's size either.
        tokenizer.token_bytes(*tokens.first()?)?;
        // NOTE(perf): asked for once per id, not per token: a text repeats few thousand ids.
        let mut known: Vec<Option<Vec<u8>>> = vec![None; tokenizer.vocab_size() as usize];
        let mut bytes = Vec::new();
        let mut starts = Vec::with_capacity(tokens.len() + 1);
        for &id in tokens {
            starts.push(bytes.len());
            let slot = known.get_mut(id as usize)?;
            if slot.is_none() {
                *slot = Some(tokenizer.token_bytes(id)?);
            }
            bytes.extend_from_slice(slot.as_deref()?);
        }
        starts.push(bytes.len());
        Some(Self { bytes, starts })
    }

    fn piece(&self, place: &Range<usize>) -> &[u8] {
        &self.bytes[self.starts[place.start]..self.starts[place.end]]
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Tokenizer, TokenizerError};

    use super::Pieces;

    /// As a server's tokenizer: texts only, and ids without a known bound.
    struct Texts;

    impl Tokenizer for Texts {
        fn encode(&self, _text: &str) -> Result<Vec<u32>, TokenizerError> {
            Ok(Vec::new())
        }

        fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
            Ok(format!("{ids:?}"))
        }

        fn vocab_size(&self) -> u32 {
            u32::MAX
        }
    }

    #[test]
    fn a_tokenizer_without_bytes_and_bounds_decodes_each_piece() {
        let tokens = [3, u32::MAX - 1, 5];
        let pieces = Pieces::new(&tokens, &Texts);
        assert_eq!(pieces.text(1..3).unwrap(), "[4294967294, 5]");
    }
}
