use rayon::prelude::*;
use turnbench_model::{Tokenizer, TokenizerError};

/// Texts are cut into parts of about this size, which are tokenized in parallel.
const PART_BYTES: usize = 128 * 1024;

/// What is tokenized around a cut to see whether the cut changes anything.
const WINDOW_BYTES: usize = 256;

/// How far after its aim a cut is searched for.
const SEARCH_BYTES: usize = 4096;

/// Token ids of a long text, the same as [`Tokenizer::encode`] gives, from parts in parallel.
///
/// Parts are cut before a space between two ASCII letters, where byte-level and word-level
/// tokenizers begin a new word whatever stands further away. A cut is used only if the
/// [`WINDOW_BYTES`] on each side of it give the same ids together and apart; a tokenizer that
/// fails this (one that marks the beginning of each text, say) gets the text whole.
pub(super) fn encode_long(
    text: &str,
    tokenizer: &dyn Tokenizer,
) -> Result<Vec<u32>, TokenizerError> {
    encode_in_parts(text, tokenizer, PART_BYTES)
}

fn encode_in_parts(
    text: &str,
    tokenizer: &dyn Tokenizer,
    part_bytes: usize,
) -> Result<Vec<u32>, TokenizerError> {
    let aims: Vec<usize> =
        (part_bytes..text.len().saturating_sub(part_bytes / 2)).step_by(part_bytes).collect();
    let cuts = aims
        .par_iter()
        .map(|&aim| harmless_cut(text, aim, tokenizer))
        .collect::<Result<Vec<_>, _>>()?;
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut start = 0;
    for cut in cuts.into_iter().flatten().filter(|&cut| cut < text.len()) {
        parts.push(&text[start..cut]);
        start = cut;
    }
    parts.push(&text[start..]);
    let ids = parts.par_iter().map(|part| tokenizer.encode(part)).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.concat())
}

/// A place soon after `aim` where the text can be cut without changing its tokens.
fn harmless_cut(
    text: &str,
    aim: usize,
    tokenizer: &dyn Tokenizer,
) -> Result<Option<usize>, TokenizerError> {
    let searched = &text.as_bytes()[aim..text.len().min(aim + SEARCH_BYTES)];
    let found = searched.windows(3).position(|window| {
        window[0].is_ascii_alphabetic() && window[1] == b' ' && window[2].is_ascii_alphabetic()
    });
    let Some(cut) = found.map(|offset| aim + offset + 1) else { return Ok(None) };
    let start = text.floor_char_boundary(cut.saturating_sub(WINDOW_BYTES));
    let end = text.ceil_char_boundary(text.len().min(cut + WINDOW_BYTES));
    let together = tokenizer.encode(&text[start..end])?;
    let left = tokenizer.encode(&text[start..cut])?;
    let right = tokenizer.encode(&text[cut..end])?;
    let same = together.strip_prefix(left.as_slice()) == Some(&right);
    Ok(same.then_some(cut))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use turnbench_model::Tokenizer;

    use super::encode_in_parts;
    use crate::{DecodeCleanup, HfTokenizer};

    #[test]
    fn parts_give_the_tokens_of_the_whole() {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
        let mut text = std::fs::read_to_string(testdata.join("text/tricky.txt")).unwrap();
        text.push_str(&std::fs::read_to_string(testdata.join("text/small.txt")).unwrap());
        for kind in ["bpe", "metaspace"] {
            let folder = testdata.join("tokenizer").join(kind);
            let tokenizer = HfTokenizer::from_directory(&folder, DecodeCleanup::Auto).unwrap();
            let whole = tokenizer.encode(&text).unwrap();
            for part_bytes in [700, 5_000, 1_000_000] {
                let parts = encode_in_parts(&text, &tokenizer, part_bytes).unwrap();
                assert!(parts == whole, "{kind} {part_bytes}");
            }
        }
        assert!(encode_in_parts("", &NoTokens, 10).unwrap().is_empty());
    }

    struct NoTokens;

    impl Tokenizer for NoTokens {
        fn encode(&self, _text: &str) -> Result<Vec<u32>, turnbench_model::TokenizerError> {
            Ok(Vec::new())
        }

        fn decode(&self, _ids: &[u32]) -> Result<String, turnbench_model::TokenizerError> {
            Ok(String::new())
        }

        fn vocab_size(&self) -> u32 {
            0
        }
    }
}
