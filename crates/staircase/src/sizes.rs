use crate::line::Line;

/// Tokens a word where nothing is known yet.
const TOKENS_PER_WORD: f64 = 1.1;
/// Prompts that the relation is taken from: the latest ones.
const PAIRS_MAX: usize = 40;

/// How many tokens the server makes of a prompt of so many words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// (words, tokens)
    pairs: Vec<(f64, f64)>,
}

impl Sizes {
    /// A prompt was counted.
    pub(crate) fn learn(&mut self, words: u32, tokens: u32) {
        if self.pairs.len() == PAIRS_MAX {
            // The first ones are the most different in length.
            self.pairs.remove(PAIRS_MAX / 2);
        }
        self.pairs.push((f64::from(words), f64::from(tokens)));
    }

    /// Words for a prompt of about so many tokens.
    pub(crate) fn words(&self, tokens: u32) -> u32 {
        let line = Line::through(&self.pairs).filter(|line| line.slope.value > 0.0);
        let words = line.map_or(f64::from(tokens) / TOKENS_PER_WORD, |line| {
            (f64::from(tokens) - line.intercept) / line.slope.value
        });
        words.round().max(0.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Sizes;

    #[test]
    fn lengths_are_met_once_two_are_known() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.words(110), 100);
        for words in [60, 400] {
            sizes.learn(words, 40 + words * 3 / 2);
        }
        assert_eq!(sizes.words(340), 200);
        assert_eq!(sizes.words(10), 0);
    }
}
