use turnbench_model::Tokenizer;

use crate::WorkloadError;

/// Bytes of the prefix that are tokenized again with each text: beyond this distance a tokenizer's
/// choice is not swayed by what follows.
const TAIL_BYTES: usize = 160;

/// Counts tokens of many short texts that share one long prefix, without tokenizing the whole
/// prefix for each.
///
/// The prefix is cut at a space some way before its end; its head is counted once. Whether
/// tokenizing the two parts apart gives the same ids as tokenizing them together is not taken on
/// trust: it is compared for the first and the last text, and where it does not hold (or the
/// prefix is short) every text is counted whole.
pub(super) struct PrefixCounter<'a> {
    prefix: &'a str,
    tokenizer: &'a dyn Tokenizer,
    /// Where the prefix is cut, and the tokens before the cut.
    cut: Option<(usize, u64)>,
}

impl<'a> PrefixCounter<'a> {
    pub(super) fn new(
        prefix: &'a str,
        texts: &[String],
        tokenizer: &'a dyn Tokenizer,
    ) -> Result<Self, WorkloadError> {
        let mut counter = Self { prefix, tokenizer, cut: None };
        let (Some(at), Some(first), Some(last)) = (cut_at(prefix), texts.first(), texts.last())
        else {
            return Ok(counter);
        };
        let (head, tail) = prefix.split_at(at);
        let head_ids = tokenizer.encode(head)?;
        for text in [first, last] {
            let whole = tokenizer.encode(&format!("{prefix}{text}"))?;
            let rest = tokenizer.encode(&format!("{tail}{text}"))?;
            if whole.strip_prefix(head_ids.as_slice()) != Some(&rest) {
                return Ok(counter);
            }
        }
        counter.cut = Some((at, head_ids.len() as u64));
        Ok(counter)
    }

    /// Tokens of the prefix and `text` together.
    pub(super) fn count(&self, text: &str) -> Result<u64, WorkloadError> {
        let (at, head) = self.cut.unwrap_or((0, 0));
        Ok(head + self.tokenizer.count(&format!("{}{text}", &self.prefix[at..]))?)
    }
}

/// The last place at least [`TAIL_BYTES`] before the end where a space stands between two letters.
fn cut_at(prefix: &str) -> Option<usize> {
    let bytes = prefix.as_bytes();
    let searched = bytes.get(..bytes.len().checked_sub(TAIL_BYTES)?)?;
    let at = searched.windows(3).rposition(|window| {
        window[0].is_ascii_alphabetic() && window[1] == b' ' && window[2].is_ascii_alphabetic()
    })?;
    Some(at + 1)
}
