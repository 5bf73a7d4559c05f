use std::collections::BTreeMap;
use std::sync::Arc;

use turnbench_model::Tokenizer;

/// Enough variety for answers; more would only make starting slower.
const WORDS_MAX: usize = 2048;
/// Fewer words than this and other texts are taken too.
const WORDS_MIN: usize = 16;

/// The tokens that answers are made of, and their text.
///
/// A word here keeps its id in any company: the text of a sequence of words is tokenized to that
/// sequence again. So a client that sends an answer back as text hits the cache with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Vocabulary {
    words: BTreeMap<u32, Word>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Word {
    /// At the start of a text.
    first: Box<str>,
    /// After other words.
    later: Box<str>,
}

impl Vocabulary {
    /// Finds words: a space and 2 to 12 lower-case ASCII letters. A tokenizer with too few of them
    /// gives any printable ASCII text that stays itself, and in the end any id that has text.
    pub(crate) fn find(tokenizer: &dyn Tokenizer) -> Self {
        let mut words = BTreeMap::new();
        for is_candidate in [is_word as fn(&str) -> bool, is_printable] {
            words = candidates(tokenizer, is_candidate, true);
            keep_stable(tokenizer, &mut words);
            if words.len() >= WORDS_MIN {
                return Self { words };
            }
        }
        if words.is_empty() {
            words = candidates(tokenizer, |word| !word.contains('\u{fffd}'), false);
        }
        Self { words }
    }

    /// The ids, ascending. Empty only where no id has a text of its own.
    pub(crate) fn ids(&self) -> Arc<[u32]> {
        self.words.keys().copied().collect()
    }

    /// The text of a token at `index` of an answer; empty for unknown ids.
    pub(crate) fn text(&self, id: u32, index: u32) -> &str {
        self.words.get(&id).map_or("", |word| if index == 0 { &word.first } else { &word.later })
    }
}

fn is_word(text: &str) -> bool {
    text.strip_prefix(' ').is_some_and(|word| {
        (2..=12).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Ids whose text after another token passes `accept`. The text after another one is what two of it
/// have more than one: some tokenizers drop the space at the start of a text.
/// `stable`: only those whose text alone is tokenized to themselves.
fn candidates(
    tokenizer: &dyn Tokenizer,
    accept: fn(&str) -> bool,
    stable: bool,
) -> BTreeMap<u32, Word> {
    let mut words = BTreeMap::new();
    for id in 0..tokenizer.vocab_size() {
        let Ok(first) = tokenizer.decode(&[id]) else { continue };
        let Ok(pair) = tokenizer.decode(&[id, id]) else { continue };
        let Some(later) = pair.strip_prefix(first.as_str()) else { continue };
        if later.is_empty() || !accept(later) {
            continue;
        }
        if stable && !tokenizer.encode(&first).is_ok_and(|ids| ids == [id]) {
            continue;
        }
        words.insert(id, Word { first: first.into(), later: later.into() });
        if words.len() == WORDS_MAX {
            break;
        }
    }
    words
}

/// Drops words until every sequence tried comes back as itself: all words in two orders, so that
/// each one is seen between different neighbours.
fn keep_stable(tokenizer: &dyn Tokenizer, words: &mut BTreeMap<u32, Word>) {
    for stride in [1, 7] {
        let ids: Vec<u32> = words.keys().copied().collect();
        let order: Vec<u32> =
            (0..stride).flat_map(|start| ids.iter().skip(start).step_by(stride)).copied().collect();
        for run in order.chunks(64) {
            if comes_back(tokenizer, words, run) {
                continue;
            }
            for pair in run.windows(2) {
                if !comes_back(tokenizer, words, pair) {
                    words.retain(|id, _| !pair.contains(id));
                }
            }
        }
    }
}

fn comes_back(tokenizer: &dyn Tokenizer, words: &BTreeMap<u32, Word>, ids: &[u32]) -> bool {
    let mut text = String::new();
    for id in ids {
        let Some(word) = words.get(id) else { return true };
        text.push_str(if text.is_empty() { &word.first } else { &word.later });
    }
    tokenizer.encode(&text).is_ok_and(|again| again == ids)
}

#[cfg(test)]
mod tests {
    use super::Vocabulary;
    use crate::words::WordTokenizer;
    use turnbench_model::{Tokenizer, TokenizerError};

    /// Only single bytes, of which the first three are letters: `abc`.
    struct Bytes;

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
            Ok(text.bytes().map(|byte| u32::from(byte) - 97).collect())
        }

        fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
            Ok(ids.iter().map(|&id| char::from(97 + id as u8)).collect())
        }

        fn vocab_size(&self) -> u32 {
            3
        }
    }

    /// Drops a space at the start, and adds one before tokenizing: as Llama 2 does.
    struct Dropping;

    impl Tokenizer for Dropping {
        fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
            WordTokenizer::new().encode(&format!(" {text}"))
        }

        fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
            let text = WordTokenizer::new().decode(ids)?;
            Ok(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        }

        fn vocab_size(&self) -> u32 {
            WordTokenizer::new().vocab_size()
        }
    }

    fn check(tokenizer: &dyn Tokenizer, count: usize) {
        let vocabulary = Vocabulary::find(tokenizer);
        let ids = vocabulary.ids();
        assert_eq!(ids.len(), count);
        let answer: Vec<u32> = ids.iter().rev().chain(ids.iter()).copied().collect();
        let text: String =
            (0..).zip(&answer).map(|(index, &id)| vocabulary.text(id, index)).collect();
        assert_eq!(tokenizer.encode(&text).unwrap(), answer);
        assert_eq!(tokenizer.decode(&answer).unwrap(), text);
    }

    #[test]
    fn answers_come_back_as_the_same_tokens() {
        check(&WordTokenizer::new(), 676);
        check(&Dropping, 676);
        check(&Bytes, 3);
    }

    #[test]
    fn an_unknown_id_has_no_text() {
        assert_eq!(Vocabulary::find(&WordTokenizer::new()).text(3, 0), "");
    }
}
