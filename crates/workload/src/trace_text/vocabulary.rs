use std::collections::BTreeSet;

use turnbench_model::{Tokenizer, TokenizerError};

use super::TraceTextError;
use super::random::SplitMix64;
use crate::WorkloadError;

/// Fewest words with which text is made.
const WORDS_MIN: usize = 32;

/// Most words that are looked for.
const WORDS_MAX: usize = 1024;

/// Letters of a word. Longer ones only make the text longer.
const LETTERS_MAX: usize = 8;

/// Ids whose words are tried at once.
const BATCH_IDS: u32 = 512;

/// Random orders of all words that must come back from the tokenizer unchanged.
const ORDERS: u64 = 8;

/// Most words that are given up because of their neighbours.
const DROPPED_MAX: usize = 128;

/// Words that are one token each, the same wherever they stand among one another.
#[derive(Debug)]
pub(super) struct Vocabulary {
    words: Vec<Word>,
    /// Whether a text begins with a blank: in byte-level vocabularies the word after a blank is
    /// another token than the word alone.
    leading_blank: bool,
}

#[derive(Clone, Debug)]
struct Word {
    text: String,
    id: u32,
}

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    /// Its tokens.
    pub(super) ids: Vec<u32>,
}

impl Vocabulary {
    /// Looks through the tokenizer's vocabulary, most frequent tokens first as far as ids are in
    /// that order.
    ///
    /// Words that are one token without a blank before them too are preferred, so that a chat
    /// template that trims messages changes no lengths.
    pub(super) fn find(tokenizer: &dyn Tokenizer) -> Result<Self, WorkloadError> {
        let candidates = candidates(tokenizer);
        let mut found = Self { words: Vec::new(), leading_blank: false };
        found.leading_blank = prefers_blank(&candidates, tokenizer)?;
        let mut known = BTreeSet::new();
        for batch in candidates.chunks(BATCH_IDS as usize) {
            found.add_stable(batch, &mut known, tokenizer)?;
            if found.words.len() >= 2 * WORDS_MAX {
                break;
            }
        }
        found.prefer_trimmable(tokenizer)?;
        found.words.truncate(WORDS_MAX);
        found.drop_unsteady(tokenizer)?;
        if found.words.len() < WORDS_MIN {
            let found = found.words.len();
            return Err(TraceTextError::TooFewWords { found, needed: WORDS_MIN }.into());
        }
        Ok(found)
    }

    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Adds a word (from 0) to a text.
    pub(super) fn push(&self, text: &mut Text, word: usize) {
        let word = &self.words[word];
        if self.leading_blank || !text.text.is_empty() {
            text.text.push(' ');
        }
        text.text.push_str(&word.text);
        text.ids.push(word.id);
    }

    /// Adds those of `words` that are one token, at the beginning as in the middle.
    fn add_stable(
        &mut self,
        words: &[String],
        known: &mut BTreeSet<u32>,
        tokenizer: &dyn Tokenizer,
    ) -> Result<(), TokenizerError> {
        let twice = joined(words.iter().chain(words), self.leading_blank);
        let ids = tokenizer.encode(&twice)?;
        if ids.len() == 2 * words.len() && ids[..words.len()] == ids[words.len()..] {
            for (text, id) in words.iter().zip(ids) {
                if known.insert(id) {
                    self.words.push(Word { text: text.clone(), id });
                }
            }
        } else if words.len() > 1 {
            let (left, right) = words.split_at(words.len() / 2);
            self.add_stable(left, known, tokenizer)?;
            self.add_stable(right, known, tokenizer)?;
        }
        Ok(())
    }

    /// Keeps, where there are enough, the words that are one token without a blank before them.
    fn prefer_trimmable(&mut self, tokenizer: &dyn Tokenizer) -> Result<(), TokenizerError> {
        const ENOUGH: usize = WORDS_MAX / 4;
        if !self.leading_blank {
            return Ok(());
        }
        let mut trimmable = Vec::new();
        for word in &self.words {
            if trimmable.len() < WORDS_MAX && tokenizer.count(&word.text)? == 1 {
                trimmable.push(word.clone());
            }
        }
        if trimmable.len() >= ENOUGH {
            self.words = trimmable;
        }
        Ok(())
    }

    /// Gives up words until all of them, in several random orders, come back unchanged.
    fn drop_unsteady(&mut self, tokenizer: &dyn Tokenizer) -> Result<(), TokenizerError> {
        let (mut order, mut dropped) = (0, 0);
        while order < ORDERS && !self.words.is_empty() {
            let mut places: Vec<usize> = (0..self.words.len()).collect();
            SplitMix64::new(order).shuffle(&mut places);
            let mut text = Text::default();
            for &place in &places {
                self.push(&mut text, place);
            }
            let ids = tokenizer.encode(&text.text)?;
            if ids == text.ids {
                order += 1;
                continue;
            }
            if dropped == DROPPED_MAX {
                self.words.clear();
                break;
            }
            let same = ids.iter().zip(&text.ids).take_while(|(a, b)| a == b).count();
            self.words.remove(places[same.min(places.len() - 1)]);
            dropped += 1;
        }
        Ok(())
    }
}

/// Lower-case words of the vocabulary, in the order of their ids. Where tokens show whether a blank
/// belongs to them, only those with one.
fn candidates(tokenizer: &dyn Tokenizer) -> Vec<String> {
    const ENOUGH: usize = 8 * WORDS_MAX;
    let (mut after_blank, mut other) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for id in 0..tokenizer.vocab_size() {
        let Some(text) = token_text(tokenizer, id) else { continue };
        let word = text.strip_prefix(' ').unwrap_or(&text);
        let is_word = (1..=LETTERS_MAX).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_word || !seen.insert(text.clone()) {
            continue;
        }
        let list = if word.len() < text.len() { &mut after_blank } else { &mut other };
        list.push(word.to_owned());
        if after_blank.len() + other.len() >= ENOUGH {
            break;
        }
    }
    if after_blank.len() >= WORDS_MIN { after_blank } else { other }
}

/// The text of one token; `None` where it is no text by itself.
fn token_text(tokenizer: &dyn Tokenizer, id: u32) -> Option<String> {
    match tokenizer.token_bytes(id) {
        Some(bytes) => String::from_utf8(bytes).ok(),
        None => tokenizer.decode(&[id]).ok(),
    }
}

/// Whether more words are the same token at the beginning of a text and within it when the text
/// begins with a blank.
fn prefers_blank(words: &[String], tokenizer: &dyn Tokenizer) -> Result<bool, TokenizerError> {
    const TRIED: usize = 64;
    let (mut with_blank, mut without) = (0, 0);
    for word in words.iter().take(TRIED) {
        for (blank, count) in [(true, &mut with_blank), (false, &mut without)] {
            let ids = tokenizer.encode(&joined([word, word], blank))?;
            *count += u32::from(ids.len() == 2 && ids[0] == ids[1]);
        }
    }
    Ok(with_blank > without)
}

fn joined<'a>(words: impl IntoIterator<Item = &'a String>, leading_blank: bool) -> String {
    let mut text = String::new();
    for word in words {
        if leading_blank || !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnbench_model::{Tokenizer, TokenizerError};

    use super::super::tests::tokenizers;
    use super::{Text, Vocabulary, WORDS_MIN, candidates};
    use crate::{DecodeCleanup, HfTokenizer, WorkloadError};

    #[test]
    fn every_kind_of_vocabulary_has_words_enough() {
        for (name, tokenizer) in tokenizers() {
            let vocabulary = Vocabulary::find(&*tokenizer).unwrap();
            let count = vocabulary.len();
            assert!(count >= 256, "{name}: {count} of {}", candidates(&*tokenizer).len());
            let mut text = Text::default();
            for word in (0..count).rev().chain(0..count) {
                vocabulary.push(&mut text, word);
            }
            assert_eq!(tokenizer.encode(&text.text).unwrap(), text.ids, "{name}");
        }
    }

    #[test]
    fn trimming_a_text_keeps_its_length() {
        for (name, tokenizer) in tokenizers() {
            let vocabulary = Vocabulary::find(&*tokenizer).unwrap();
            for word in 0..vocabulary.len() {
                let mut text = Text::default();
                vocabulary.push(&mut text, word);
                vocabulary.push(&mut text, 0);
                assert_eq!(tokenizer.count(text.text.trim()).unwrap(), 2, "{name} {:?}", text.text);
            }
        }
    }

    /// 500 words, each with `before` before it.
    fn words(before: &str) -> impl Iterator<Item = String> + '_ {
        let letter = |place: usize| char::from(b'a' + (place % 26) as u8);
        (0..500).map(move |n| format!("{before}{}{}{}", letter(n), letter(n / 26), letter(n)))
    }

    fn load(json: &serde_json::Value) -> HfTokenizer {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
        HfTokenizer::from_directory(folder.path(), DecodeCleanup::Auto).unwrap()
    }

    #[test]
    fn word_pieces_and_unigrams_have_words_too() {
        let whole: serde_json::Map<_, _> =
            words("").chain(["[UNK]".to_owned()]).zip((0..).map(Into::into)).collect();
        let word_piece = json!({
            "version": "1.0", "added_tokens": [],
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": whole,
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}});
        let scored: Vec<_> = ["<unk>", "\u{2581}", "\u{2581}\u{2581}"]
            .map(str::to_owned)
            .into_iter()
            .chain(words("\u{2581}"))
            .chain(words(""))
            .map(|word| json!([word, -1.0]))
            .collect();
        let unigram = |normalizer| {
            json!({
                "version": "1.0", "added_tokens": [], "normalizer": normalizer,
                "model": {"type": "Unigram", "unk_id": 0, "vocab": scored,
                    "byte_fallback": false},
                "decoder": {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}})
        };
        let blanks = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let prefix = json!({"type": "Prepend", "prepend": "\u{2581}"});
        // With the blank that Llama 2 puts before a text, and without one, as Gemma does.
        let both = json!({"type": "Sequence", "normalizers": [prefix, blanks]});
        for (json, leading_blank) in
            [(word_piece, false), (unigram(both), false), (unigram(blanks), true)]
        {
            let tokenizer = load(&json);
            let found = Vocabulary::find(&tokenizer).unwrap();
            assert_eq!((found.len(), found.leading_blank), (500, leading_blank));
        }
    }

    /// Takes texts apart into letters.
    struct Letters;

    impl Tokenizer for Letters {
        fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
            Ok(text.bytes().map(u32::from).collect())
        }

        fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
            Ok(ids.iter().filter_map(|&id| char::from_u32(id)).collect())
        }

        fn vocab_size(&self) -> u32 {
            128
        }
    }

    #[test]
    fn a_vocabulary_without_words_is_refused() {
        let error = Vocabulary::find(&Letters).map(|found| found.len()).unwrap_err();
        assert!(matches!(error, WorkloadError::TraceText(_)));
        let start = "the tokenizer has 0 lower-case words that stay one token each";
        assert!(error.to_string().starts_with(start), "{error}");
        assert!(error.to_string().contains(&format!("at least {WORDS_MIN}")), "{error}");
    }
}
