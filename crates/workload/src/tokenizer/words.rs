use std::hash::BuildHasherDefault;
use std::ops::Range;

use rayon::prelude::*;
use rustc_hash::FxHasher;
use turnbench_model::{Tokenizer, TokenizerError};

/// Texts with fewer bytes are not worth learning words from.
const TEXTS_BYTES_MIN: usize = 64 * 1024;

/// What is tokenized on each side of a place between words to see whether a cut there changes
/// anything. No rule of a tokenizer for where words end looks further.
const WINDOW_BYTES: usize = 128;

/// Words that are tokenized by one task.
const BATCH_WORDS: usize = 1024;

#[allow(clippy::disallowed_types, reason = "looked up only, never iterated")]
type WordMap<'a> = std::collections::HashMap<&'a str, u32, BuildHasherDefault<FxHasher>>;

/// The ids of each of several texts.
type TextIds = Vec<Vec<u32>>;

/// A tokenizer that has seen the words of some texts: it tokenizes these texts, and others of much
/// the same words, by looking the words up.
///
/// Gives the ids that the tokenizer below gives. That its words may be taken apart is not taken on
/// trust: for each kind of place where texts are cut, the first and the last such place in each
/// text are tried, and if any of them matters, nothing is cut.
pub(crate) struct WordTokenizer<'a> {
    inner: &'a dyn Tokenizer,
    /// Index of each known word.
    words: WordMap<'a>,
    /// Where the ids of each word are.
    places: Vec<Range<u32>>,
    ids: Vec<u32>,
}

impl<'a> WordTokenizer<'a> {
    /// Learns the words of `texts` and gives the ids of each text. `None`: they are short, or can't
    /// be cut, and nothing was learned.
    pub(crate) fn learn(
        texts: &[&'a str],
        inner: &'a dyn Tokenizer,
    ) -> Result<(Self, Option<TextIds>), TokenizerError> {
        let mut learned =
            Self { inner, words: WordMap::default(), places: Vec::new(), ids: Vec::new() };
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        if bytes < TEXTS_BYTES_MIN || !texts.iter().all(|text| inner.takes_words_apart(text)) {
            return Ok((learned, None));
        }
        let mut distinct = Vec::new();
        let (mut sequences, mut cuts) = (Vec::with_capacity(texts.len()), Vec::new());
        for text in texts {
            let (sequence, tried) = learned.collect(text, &mut distinct);
            sequences.push(sequence);
            cuts.extend(tried.into_iter().map(|at| (*text, at)));
        }
        if !are_harmless(&cuts, inner)? {
            learned.words.clear();
            return Ok((learned, None));
        }
        learned.tokenize(&distinct)?;
        let gather = |sequence: &Vec<u32>| {
            let mut ids = Vec::with_capacity(2 * sequence.len());
            for place in sequence.iter().filter_map(|&word| learned.places.get(word as usize)) {
                ids.extend_from_slice(&learned.ids[place.start as usize..place.end as usize]);
            }
            ids
        };
        let ids = sequences.par_iter().map(gather).collect();
        Ok((learned, Some(ids)))
    }

    /// The indices of a text's words, with new ones added to `distinct`; and the first and the
    /// last place of each kind of cut.
    fn collect(&mut self, text: &'a str, distinct: &mut Vec<&'a str>) -> (Vec<u32>, Vec<usize>) {
        let mut places: [Option<[usize; 2]>; CUT_KINDS] = [None; CUT_KINDS];
        let mut sequence = Vec::with_capacity(text.len() / 4);
        let mut words = Words::of(text);
        while let Some(word) = words.next() {
            sequence.push(*self.words.entry(word).or_insert_with(|| {
                distinct.push(word);
                distinct.len() as u32 - 1
            }));
            if let Some(Cut(kind)) = words.cut {
                let at = text.len() - words.rest.len();
                places[kind].get_or_insert([at; 2])[1] = at;
            }
        }
        (sequence, places.into_iter().flatten().flatten().collect())
    }

    fn tokenize(&mut self, distinct: &[&str]) -> Result<(), TokenizerError> {
        let batches = distinct
            .par_chunks(BATCH_WORDS)
            .map(|batch| batch.iter().map(|word| self.inner.encode(word)).collect())
            .collect::<Result<Vec<Vec<Vec<u32>>>, _>>()?;
        for ids in batches.into_iter().flatten() {
            let start = self.ids.len() as u32;
            self.ids.extend_from_slice(&ids);
            self.places.push(start..self.ids.len() as u32);
        }
        Ok(())
    }

    fn known(&self, word: &str) -> Option<&[u32]> {
        let place = self.places.get(*self.words.get(word)? as usize)?;
        self.ids.get(place.start as usize..place.end as usize)
    }
}

impl Tokenizer for WordTokenizer<'_> {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if self.words.is_empty() {
            return self.inner.encode(text);
        }
        let mut ids = Vec::with_capacity(text.len() / 3);
        for word in Words::of(text) {
            match self.known(word) {
                Some(known) => ids.extend_from_slice(known),
                None => ids.extend(self.inner.encode(word)?),
            }
        }
        Ok(ids)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids)
    }

    fn count(&self, text: &str) -> Result<u64, TokenizerError> {
        if self.words.is_empty() {
            return self.inner.count(text);
        }
        let count = |word| {
            self.known(word).map_or_else(|| self.inner.count(word), |ids| Ok(ids.len() as u64))
        };
        Words::of(text).map(count).sum()
    }

    fn vocab_size(&self) -> u32 {
        self.inner.vocab_size()
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.inner.token_bytes(id)
    }

    fn special_tokens_count(&self) -> u64 {
        self.inner.special_tokens_count()
    }
}

/// A kind of place between words, by what stands before it (all letters are alike) and after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cut(usize);

/// How many kinds there are.
const CUT_KINDS: usize = 64;

/// Marks that end a word.
const MARKS: &[u8] = b",.;:!?";

/// What [`Cut`] counts as standing before a place: a letter, or one of [`MARKS`].
fn ending(byte: u8) -> Option<usize> {
    if byte.is_ascii_alphabetic() { Some(0) } else { mark(byte).map(|index| index + 1) }
}

fn mark(byte: u8) -> Option<usize> {
    MARKS.iter().position(|&mark| mark == byte)
}

/// The kind of the place before byte `at`, if texts are cut there: between a word or mark and a
/// space with a letter, between a line's end and a letter, or between a letter and a mark.
///
/// Only ASCII letters and the commonest marks count, and only single spaces and line ends, since
/// tokenizers differ in how they share out a run of them.
pub(super) fn cut(text: &[u8], at: usize) -> Option<Cut> {
    let (&before, &after) = (text.get(at.checked_sub(1)?)?, text.get(at)?);
    if after.is_ascii_alphabetic() {
        // NOTE(perf): three of four bytes of a text end here.
        if before != b'\n' {
            return None;
        }
        return ending(*text.get(at.checked_sub(2)?)?).map(|ended| Cut(8 * ended + 7));
    }
    if after == b' ' {
        let is_word = text.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
        return ending(before).filter(|_| is_word).map(|ended| Cut(8 * ended + 6));
    }
    mark(after).filter(|_| before.is_ascii_alphabetic()).map(Cut)
}

/// The pieces of a text between all its cuts.
struct Words<'a> {
    /// A cut depends on what was before.
    text: &'a str,
    rest: &'a str,
    /// What ended the last piece, if it was a cut.
    cut: Option<Cut>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, rest: text, cut: None }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.text.len() - self.rest.len();
        let bytes = self.text.as_bytes();
        let found = (start + 1..bytes.len()).find_map(|at| Some((at, cut(bytes, at)?)));
        let end = found.map_or(bytes.len(), |(at, _)| at);
        self.cut = found.map(|(_, kind)| kind);
        let (word, rest) = self.rest.split_at(end - start);
        self.rest = rest;
        Some(word)
    }
}

/// Whether texts can be cut at all these places without changing ids.
fn are_harmless(cuts: &[(&str, usize)], tokenizer: &dyn Tokenizer) -> Result<bool, TokenizerError> {
    let harmless = cuts
        .par_iter()
        .map(|&(text, at)| is_harmless(text, at, tokenizer))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(harmless.into_iter().all(|harmless| harmless))
}

fn is_harmless(text: &str, at: usize, tokenizer: &dyn Tokenizer) -> Result<bool, TokenizerError> {
    let start = text.floor_char_boundary(at.saturating_sub(WINDOW_BYTES));
    let end = text.ceil_char_boundary(text.len().min(at + WINDOW_BYTES));
    let together = tokenizer.encode(&text[start..end])?;
    let left = tokenizer.encode(&text[start..at])?;
    let right = tokenizer.encode(&text[at..end])?;
    Ok(together.strip_prefix(left.as_slice()) == Some(&right))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use turnbench_model::Tokenizer;

    use super::{TEXTS_BYTES_MIN, WordTokenizer, Words};
    use crate::{BuiltinTokenizer, DecodeCleanup, HfTokenizer};

    fn load(kind: &str) -> HfTokenizer {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokenizer").join(kind);
        HfTokenizer::from_directory(&folder, DecodeCleanup::Auto).unwrap()
    }

    fn text(name: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/text");
        std::fs::read_to_string(folder.join(name)).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn texts_are_cut_between_words_and_before_marks_only() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(Words::of(text).collect::<Vec<_>>(), expect, "{text:?}");
        };
        check("", &[]);
        check("one two", &["one", " two"]);
        check("one, two; end.", &["one", ",", " two", ";", " end", "."]);
        check("a line\nbroken,\nand on", &["a", " line\n", "broken", ",\n", "and", " on"]);
        check("two  spaces\n\ntwo lines", &["two  spaces\n\ntwo", " lines"]);
        check("it's 3.5 \u{e9}t\u{e9} (so)", &["it's 3.5 \u{e9}t\u{e9} (so)"]);
        check("\nx", &["\nx"]);
    }

    #[test]
    fn words_give_the_tokens_of_the_whole() {
        let long = text("small.txt").repeat(20) + &text("tricky.txt");
        assert!(long.len() >= TEXTS_BYTES_MIN);
        let builtin = BuiltinTokenizer::new("o200k_base").unwrap();
        let (bpe, metaspace) = (load("bpe"), load("metaspace"));
        let all: [(&dyn Tokenizer, bool); 3] =
            [(&bpe, true), (&builtin, true), (&metaspace, false)];
        for (tokenizer, apart) in all {
            let (learned, ids) = WordTokenizer::learn(&[&long, "more"], tokenizer).unwrap();
            assert_eq!(ids.is_some(), apart);
            let whole = tokenizer.encode(&long).unwrap();
            assert!(
                ids.is_none_or(|ids| ids == [whole.clone(), tokenizer.encode("more").unwrap()])
            );
            assert!(learned.encode(&long).unwrap() == whole);
            let other = "Words: known and unheard-of, \nmixed.";
            assert_eq!(learned.encode(other).unwrap(), tokenizer.encode(other).unwrap());
            assert_eq!(learned.count(other).unwrap(), tokenizer.count(other).unwrap());
        }
    }

    #[test]
    fn a_text_with_a_token_of_several_words_is_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokenizer/bpe");
        let json = std::fs::read_to_string(source.join("tokenizer.json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut added = json["added_tokens"][0].clone();
        added["id"] = 4_099.into();
        added["content"] = "by the way".into();
        json["added_tokens"].as_array_mut().unwrap().push(added);
        std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
        let tokenizer = HfTokenizer::from_directory(folder.path(), DecodeCleanup::Auto).unwrap();
        assert!(tokenizer.takes_words_apart("on the way"));
        assert!(!tokenizer.takes_words_apart("And, by the way, "));
        let long = "And, by the way, so on. ".repeat(TEXTS_BYTES_MIN / 20);
        let (learned, ids) = WordTokenizer::learn(&[&long], &tokenizer).unwrap();
        assert!(ids.is_none() && learned.words.is_empty());
        assert!(learned.encode(&long).unwrap().contains(&(tokenizer.vocab_size() - 1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_of_words_marks_and_spaces_gives_the_same_tokens(
            parts in proptest::collection::vec("[a-cA-C]{1,3}|[,.;:!?]|[ \n]{1,3}|[0-9'\"(\u{e9}-]", 0..60)
        ) {
            thread_local! {
                static BPE: HfTokenizer = load("bpe");
            }
            BPE.with(|bpe| {
                let text = parts.concat();
                let ids: Vec<u32> =
                    Words::of(&text).flat_map(|word| bpe.encode(word).unwrap()).collect();
                assert_eq!(ids, bpe.encode(&text).unwrap(), "{text:?}");
            });
        }
    }
}
