use std::path::Path;

use tokenizers::{AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessor};
use turnbench_model::{Tokenizer, TokenizerError};

use super::cleanup::clean_up;
use super::{DecodeCleanup, LoadError, byte_level, read_config, words};

/// A tokenizer of the Hugging Face tokenizers library (`tokenizer.json`).
///
/// Truncation and padding that the file sets do not apply. Strings of special tokens within a text
/// are encoded as these tokens.
#[derive(Debug)]
pub struct HfTokenizer {
    inner: tokenizers::Tokenizer,
    clean_up: bool,
    /// Whether decoding is nothing but putting the bytes of tokens together.
    is_byte_level: bool,
    /// Whether the vocabulary has tokens of several words.
    joins_words: bool,
    /// Added tokens, which are found in a text before anything else happens to it, that a cut
    /// between words could break.
    unbroken: Vec<String>,
    /// Added tokens that are found as they are spelled, and take no text around them along.
    special: Vec<String>,
    vocab_size: u32,
}

impl HfTokenizer {
    /// Loads `tokenizer.json` of a directory, with `tokenizer_config.json` where there is one.
    ///
    /// # Errors
    /// When the directory or the file is missing or malformed.
    pub fn from_directory(directory: &Path, cleanup: DecodeCleanup) -> Result<Self, LoadError> {
        if !directory.is_dir() {
            return Err(LoadError::NoDirectory { path: directory.to_owned() });
        }
        let path = directory.join("tokenizer.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LoadError::NoTokenizerFile { directory: directory.to_owned() });
            }
            Err(source) => return Err(LoadError::Read { path, source }),
        };
        let malformed = |source| LoadError::MalformedTokenizer { path: path.clone(), source };
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(malformed)?;
        inner.with_truncation(None).map_err(malformed)?;
        inner.with_padding(None);
        let is_bpe = matches!(inner.get_model(), ModelWrapper::BPE(_));
        let clean_up = cleanup.applies(&read_config(directory)?, is_bpe);
        let is_byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        let vocab = inner.get_vocab(true);
        let vocab_size = vocab.values().max().map_or(0, |id| id.saturating_add(1));
        let added = inner.get_added_tokens_decoder();
        let mut own = vocab.iter().filter(|(_, id)| !added.contains_key(id));
        let joins_words = own.any(|(token, _)| joins_words(token));
        let alone = |token: &&AddedToken| {
            !(token.lstrip || token.rstrip || token.single_word || token.normalized)
        };
        let special = added.values().filter(alone).map(|token| token.content.clone()).collect();
        let added = added.into_values().map(|token| token.content);
        let unbroken = added.filter(|content| !stands_apart(content)).collect();
        Ok(Self { inner, clean_up, is_byte_level, joins_words, unbroken, special, vocab_size })
    }
}

impl Tokenizer for HfTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, false).map_err(failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let text = self.inner.decode(ids, false).map_err(failed)?;
        Ok(if self.clean_up { clean_up(&text) } else { text })
    }

    fn count(&self, text: &str) -> Result<u64, TokenizerError> {
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.len() as u64)
    }

    fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        if !self.is_byte_level || self.clean_up {
            return None;
        }
        Some(byte_level::token_bytes(&self.inner.id_to_token(id)?))
    }

    fn takes_words_apart(&self, text: &str) -> bool {
        // Added tokens may be looked for in the normalized text, which is not at hand.
        let normalizes = self.inner.get_normalizer().is_some_and(|normalizer| {
            !matches!(normalizer, NormalizerWrapper::Sequence(all) if all.as_ref().is_empty())
        });
        !self.joins_words
            && (self.unbroken.is_empty() || !normalizes)
            && !self.unbroken.iter().any(|token| text.contains(token.as_str()))
    }

    fn special_tokens(&self) -> &[String] {
        &self.special
    }

    fn special_tokens_count(&self) -> u64 {
        self.inner.get_post_processor().map_or(0, |post| post.added_tokens(false)) as u64
    }
}

/// Whether a token has a place inside at which words are cut apart. Without such tokens nothing is
/// merged across a cut.
fn joins_words(token: &str) -> bool {
    // Only a blank or a line feed inside, spelled so, makes such a place.
    let has_place = token.chars().skip(1).any(|c| matches!(c, '\u{120}' | '\u{10a}' | ' ' | '\n'));
    has_place && {
        let bytes = byte_level::token_bytes(token);
        (1..bytes.len()).any(|at| words::cut(&bytes, at).is_some())
    }
}

/// Whether no cut between words can fall into an added token or next to it: it has no such place
/// inside, and neither begins nor ends with a letter.
fn stands_apart(content: &str) -> bool {
    let letter_at = |found: Option<&u8>| found.is_some_and(u8::is_ascii_alphabetic);
    let bytes = content.as_bytes();
    let is_cut = (1..bytes.len()).any(|at| words::cut(bytes, at).is_some());
    !is_cut && !letter_at(bytes.first()) && !letter_at(bytes.last())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: tokenizers::Error) -> TokenizerError {
    TokenizerError { message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use turnbench_model::Tokenizer;

    use super::{HfTokenizer, joins_words};
    use crate::{DecodeCleanup, LoadError};

    fn folder(kind: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokenizer").join(kind)
    }

    fn load(kind: &str) -> HfTokenizer {
        HfTokenizer::from_directory(&folder(kind), DecodeCleanup::Auto).unwrap()
    }

    #[test]
    fn text_survives_a_round_trip_through_bytes_and_through_the_decoder() {
        let text = "Sir Walter Elliot, of Kellynch Hall — naïve 漢字 🙂 <|end_of_text|>\n\n  x";
        let bpe = load("bpe");
        let ids = bpe.encode(text).unwrap();
        assert_eq!(bpe.decode(&ids).unwrap(), text);
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| bpe.token_bytes(id).unwrap()).collect();
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(bpe.count(text).unwrap(), ids.len() as u64);
        let metaspace = load("metaspace");
        assert_eq!(metaspace.token_bytes(5), None);
        assert!(!metaspace.encode("Sir Walter").unwrap().is_empty());
    }

    #[test]
    fn special_tokens_around_a_text_are_counted_and_left_out() {
        for kind in ["bpe", "bpe-cleanup", "metaspace"] {
            let tokenizer = load(kind);
            assert_eq!(tokenizer.special_tokens_count(), 1, "{kind}");
            assert!(tokenizer.encode("").unwrap().is_empty(), "{kind}");
        }
    }

    #[test]
    fn missing_and_malformed_files_are_told_apart() {
        let error =
            |path: &Path| HfTokenizer::from_directory(path, DecodeCleanup::Auto).unwrap_err();
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(error(&empty.path().join("none")), LoadError::NoDirectory { .. }));
        assert!(matches!(error(empty.path()), LoadError::NoTokenizerFile { .. }));
        std::fs::write(empty.path().join("tokenizer.json"), "{}").unwrap();
        assert!(matches!(error(empty.path()), LoadError::MalformedTokenizer { .. }));
    }

    #[test]
    fn tokens_of_several_words_forbid_taking_words_apart() {
        for token in ["\u{120}of\u{120}the", "of\u{120}the", ",\u{120}and", "a b"] {
            assert!(joins_words(token), "{token}");
        }
        for token in ["\u{120}the", "the", "\u{120}\u{120}", ".\u{10a}\u{10a}", "\u{120}=\u{120}"] {
            assert!(!joins_words(token), "{token}");
        }
    }
}
