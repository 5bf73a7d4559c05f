use tiktoken_rs::CoreBPE;
use turnbench_model::{Tokenizer, TokenizerError};

use super::LoadError;

/// A vocabulary inside the binary: no download, no file.
pub struct BuiltinTokenizer {
    bpe: &'static CoreBPE,
    vocab_size: u32,
}

impl std::fmt::Debug for BuiltinTokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BuiltinTokenizer")
            .field("vocab_size", &self.vocab_size)
            .finish_non_exhaustive()
    }
}

impl BuiltinTokenizer {
    /// The names that [`BuiltinTokenizer::new`] knows.
    pub const NAMES: [&'static str; 2] = ["o200k_base", "cl100k_base"];

    /// OpenAI's `o200k_base` or `cl100k_base`. Building one takes about 0.1 to 0.3 s, once in a
    /// process.
    ///
    /// # Errors
    /// [`LoadError::UnknownBuiltin`].
    pub fn new(name: &str) -> Result<Self, LoadError> {
        // One more than the highest id, which is that of `<|endofprompt|>`.
        match name {
            "o200k_base" => {
                Ok(Self { bpe: tiktoken_rs::o200k_base_singleton(), vocab_size: 200_019 })
            }
            "cl100k_base" => {
                Ok(Self { bpe: tiktoken_rs::cl100k_base_singleton(), vocab_size: 100_277 })
            }
            _ => Err(LoadError::UnknownBuiltin { given: name.to_owned() }),
        }
    }

    fn bytes(&self, ids: &[u32]) -> Option<Vec<u8>> {
        self.bpe.decode_bytes(ids).ok()
    }
}

impl Tokenizer for BuiltinTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.bpe.encode_ordinary(text))
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let bytes = self.bytes(ids).ok_or_else(|| TokenizerError {
            message: format!(
                "a token id is unknown, allowed is 0 to {}, less a few gaps",
                self.vocab_size - 1
            ),
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.bytes(&[id])
    }

    fn takes_words_apart(&self, _text: &str) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::Tokenizer;

    use super::BuiltinTokenizer;

    #[test]
    fn text_survives_a_round_trip() {
        for name in BuiltinTokenizer::NAMES {
            let tokenizer = BuiltinTokenizer::new(name).unwrap();
            let text = "Sir Walter Elliot — 漢字 🙂 <|endoftext|>\n";
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
            assert!(ids.iter().all(|&id| id < tokenizer.vocab_size()));
            assert!(tokenizer.token_bytes(tokenizer.vocab_size() - 1).is_some());
            assert!(tokenizer.decode(&[tokenizer.vocab_size()]).is_err());
        }
    }

    #[test]
    fn half_a_character_decodes_to_the_replacement_character() {
        let tokenizer = BuiltinTokenizer::new("cl100k_base").unwrap();
        let ids = tokenizer.encode("🙂").unwrap();
        assert!(ids.len() > 1);
        assert_eq!(tokenizer.decode(&ids[..1]).unwrap(), "\u{fffd}");
    }

    #[test]
    fn the_allowed_names_are_listed() {
        let error = BuiltinTokenizer::new("gpt2").unwrap_err().to_string();
        let expect = "\"builtin:gpt2\" is no tokenizer, allowed is builtin:o200k_base or \
                      builtin:cl100k_base";
        assert_eq!(error, expect);
    }
}
