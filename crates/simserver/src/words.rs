//! A tokenizer for tests: words with their leading space are tokens, as is every other byte.

use turnbench_model::{Tokenizer, TokenizerError};

/// Ids 0..256 are bytes, then one special token, then every `" xy"` of two lower-case letters.
#[derive(Debug)]
pub(crate) struct WordTokenizer {
    special: [String; 1],
}

const SPECIAL: &str = "<|eot|>";
const SPECIAL_ID: u32 = 256;
const WORDS: u32 = 257;

impl WordTokenizer {
    /// The only one there is.
    pub(crate) fn new() -> Self {
        Self { special: [SPECIAL.to_owned()] }
    }
}

fn word_id(bytes: &[u8]) -> Option<u32> {
    let [b' ', first @ b'a'..=b'z', second @ b'a'..=b'z', rest @ ..] = bytes else { return None };
    let ends = !rest.first().is_some_and(u8::is_ascii_lowercase);
    ends.then(|| WORDS + u32::from(first - b'a') * 26 + u32::from(second - b'a'))
}

impl Tokenizer for WordTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut rest = text.as_bytes();
        let mut ids = Vec::new();
        while let Some(&byte) = rest.first() {
            let (id, len) = if rest.starts_with(SPECIAL.as_bytes()) {
                (SPECIAL_ID, SPECIAL.len())
            } else if let Some(id) = word_id(rest) {
                (id, 3)
            } else {
                (u32::from(byte), 1)
            };
            ids.push(id);
            rest = &rest[len..];
        }
        Ok(ids)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let mut bytes = Vec::new();
        for &id in ids {
            match id {
                0..256 => bytes.push(id as u8),
                SPECIAL_ID => bytes.extend_from_slice(SPECIAL.as_bytes()),
                WORDS..933 => {
                    let word = id - WORDS;
                    bytes.extend([b' ', b'a' + (word / 26) as u8, b'a' + (word % 26) as u8]);
                }
                _ => return Err(TokenizerError { message: format!("unknown id {id}") }),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn vocab_size(&self) -> u32 {
        WORDS + 26 * 26
    }

    fn special_tokens(&self) -> &[String] {
        &self.special
    }
}
