use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use turnbench_model::{Tokenizer, TokenizerError};

use crate::memo::Memo;

/// Texts of several pieces that are also tokenized as a whole, to see that the ids are the same.
const CHECKED_TEXTS: u32 = 8;

/// A tokenizer that remembers the ids of texts seen lately, and takes a rendered prompt apart where its
/// ids don't tell: around special tokens, which a tokenizer looks for before it does anything else.
///
/// Some tokenizers treat the beginning of a text in a way of their own (SentencePiece's leading
/// blank). The first texts are therefore tokenized in both ways, and if the ids ever differ, all later
/// ones as a whole.
#[derive(Debug)]
pub struct PieceTokenizer<T> {
    tokenizer: T,
    /// `None`: the tokenizer names no special token.
    special: Option<AhoCorasick>,
    memo: Mutex<Memo>,
    checks_left: AtomicU32,
    must_stay_whole: AtomicBool,
}

impl<T: Deref<Target: Tokenizer>> PieceTokenizer<T> {
    /// Remembers about `memo_ids_max` ids, of 4 bytes each.
    pub fn new(tokenizer: T, memo_ids_max: usize) -> Self {
        let special = tokenizer.special_tokens();
        let special = (!special.is_empty()).then(|| {
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(special).ok()
        });
        Self {
            special: special.flatten(),
            tokenizer,
            memo: Mutex::new(Memo::new(memo_ids_max)),
            checks_left: AtomicU32::new(CHECKED_TEXTS),
            must_stay_whole: AtomicBool::new(false),
        }
    }

    /// The tokenizer itself.
    pub fn tokenizer(&self) -> &T::Target {
        &self.tokenizer
    }

    /// Cuts a text before and after each special token, if that leaves its ids as they are.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn pieces<'t>(&self, text: &'t str) -> Result<Vec<&'t str>, TokenizerError> {
        let pieces = self.cut(text);
        if pieces.len() < 2 || self.must_stay_whole.load(Ordering::Relaxed) {
            return Ok(vec![text]);
        }
        let checks_left = &self.checks_left;
        let one_less = |left: u32| left.checked_sub(1);
        if checks_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
            && self.tokenizer.encode(text)? != self.encode_pieces(&pieces)?
        {
            self.must_stay_whole.store(true, Ordering::Relaxed);
            return Ok(vec![text]);
        }
        Ok(pieces)
    }

    fn cut<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut pieces = Vec::new();
        let mut done = 0;
        for found in self.special.iter().flat_map(|special| special.find_iter(text)) {
            pieces.extend([&text[done..found.start()], &text[found.start()..found.end()]]);
            done = found.end();
        }
        pieces.push(&text[done..]);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// Ids of a whole text.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_pieces(&self.pieces(text)?)
    }

    /// Ids of pieces that are tokenized apart, one after another.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_pieces(&self, pieces: &[impl AsRef<str>]) -> Result<Vec<u32>, TokenizerError> {
        let mut all = Vec::new();
        for piece in pieces {
            all.extend_from_slice(&self.encode_piece(piece.as_ref())?);
        }
        Ok(all)
    }

    /// Bytes of those pieces whose ids are not remembered.
    pub fn unknown_bytes(&self, pieces: &[impl AsRef<str>]) -> usize {
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = pieces.iter().map(AsRef::as_ref);
        pieces.filter(|piece| memo.find(piece).is_none()).map(str::len).sum()
    }

    fn encode_piece(&self, piece: &str) -> Result<Arc<[u32]>, TokenizerError> {
        let known = self.memo.lock().unwrap_or_else(PoisonError::into_inner).find(piece);
        if let Some(ids) = known {
            return Ok(ids);
        }
        let ids: Arc<[u32]> = self.tokenizer.encode(piece)?.into();
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        memo.insert(piece, Arc::clone(&ids));
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use turnbench_model::{Tokenizer, TokenizerError};

    use super::PieceTokenizer;

    /// A token for each byte, and one for each special token; `marks_start` puts a token of its own
    /// before every text.
    struct Bytes {
        special: Vec<String>,
        marks_start: bool,
        encoded: AtomicUsize,
    }

    impl Bytes {
        fn new(special: &[&str], marks_start: bool) -> Self {
            let special = special.iter().map(|&token| token.to_owned()).collect();
            Self { special, marks_start, encoded: AtomicUsize::new(0) }
        }
    }

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
            self.encoded.fetch_add(text.len(), Ordering::Relaxed);
            let mut ids = Vec::from_iter(self.marks_start.then_some(999));
            let mut rest = text;
            while let Some(first) = rest.bytes().next() {
                let special = self.special.iter().position(|token| rest.starts_with(&**token));
                let (id, length) = special
                    .map_or((u32::from(first), 1), |at| (1000 + at as u32, self.special[at].len()));
                ids.push(id);
                rest = &rest[length..];
            }
            Ok(ids)
        }

        fn decode(&self, _ids: &[u32]) -> Result<String, TokenizerError> {
            Ok(String::new())
        }

        fn vocab_size(&self) -> u32 {
            2000
        }

        fn special_tokens(&self) -> &[String] {
            &self.special
        }
    }

    #[test]
    fn a_text_is_cut_at_special_tokens_only() {
        let pieces =
            PieceTokenizer::new(Box::new(Bytes::new(&["<|a|>", "<|a|>b", "[X]"], false)), 1000);
        assert_eq!(pieces.cut("x<|a|>y<|no|>[X]"), ["x", "<|a|>", "y<|no|>", "[X]"]);
        assert_eq!(pieces.cut("<|a|>b<|a|>"), ["<|a|>b", "<|a|>"], "the longest one counts");
        assert!(pieces.cut("").is_empty());
        assert_eq!(
            PieceTokenizer::new(Box::new(Bytes::new(&[], false)), 9).cut("<|a|>"),
            ["<|a|>"]
        );
    }

    #[test]
    fn a_history_is_tokenized_once() {
        let pieces = PieceTokenizer::new(Box::new(Bytes::new(&["|"], false)), 10_000);
        let mut text = String::new();
        for turn in 0..30 {
            text.extend(["turn ", &turn.to_string(), " says something|"]);
            let ids = pieces.encode_text(&text).unwrap();
            assert_eq!(ids, Bytes::new(&["|"], false).encode(&text).unwrap());
        }
        let checks: usize = (0..8).map(|turn| "turn 0 says something|".len() * (turn + 1)).sum();
        let encoded = pieces.tokenizer().encoded.load(Ordering::Relaxed);
        assert!(encoded <= checks + text.len(), "{encoded} bytes");
    }

    #[test]
    fn a_tokenizer_with_a_way_of_its_own_for_beginnings_gets_whole_texts() {
        let pieces = PieceTokenizer::new(Box::new(Bytes::new(&["|"], true)), 1000);
        for text in ["a|b", "a|b|c", "d"] {
            let whole = Bytes::new(&["|"], true).encode(text).unwrap();
            assert_eq!(pieces.encode_text(text).unwrap(), whole);
        }
    }

    #[test]
    fn what_is_not_remembered_yet_is_told() {
        let pieces = PieceTokenizer::new(Box::new(Bytes::new(&[], false)), 1000);
        assert_eq!(pieces.unknown_bytes(&["ab", "cde"]), 5);
        pieces.encode_pieces(&["ab"]).unwrap();
        assert_eq!(pieces.unknown_bytes(&["ab", "cde"]), 3);
    }
}
