use std::sync::Arc;

use turnbench_kvcache::BlockHash;

use super::{Generated, TokenSource};

/// How answers are made up.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerOptions {
    /// Other seeds give other answers.
    pub seed: u64,
    /// Ids to draw from, all equally likely. The caller picks ids whose text, joined in any order,
    /// is tokenized to the same ids again, so that a client's history hits the cache. Empty: every
    /// token is id 0.
    pub tokens: Arc<[u32]>,
    /// Mean of the natural length, in tokens; the natural lengths are roughly lognormal.
    pub mean_tokens: f64,
    /// Spread of the natural length: the standard deviation of its logarithm. 0 makes every
    /// answer `mean_tokens` long.
    pub sigma: f64,
    /// Ends a naturally complete answer as its last token, as a model does; `None` lets the last
    /// drawn token carry the stop.
    pub eos_token: Option<u32>,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self { seed: 0, tokens: Arc::from([]), mean_tokens: 150.0, sigma: 0.6, eos_token: None }
    }
}

/// What a request says about the length of its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LengthRule {
    /// The answer is not complete before it has this many tokens; 0 for no limit.
    pub min_tokens: u32,
    /// The answer is cut here; the engine reports [`super::FinishReason::Length`] then.
    pub max_tokens: u32,
    /// The answer is never complete: it always has `max_tokens` tokens.
    pub ignore_eos: bool,
}

/// A made-up answer: the same for the same seed and prompt, whatever else the server does.
#[derive(Clone, Debug)]
pub struct AnswerSource {
    key: u64,
    tokens: Arc<[u32]>,
    eos_token: Option<u32>,
    /// Length at which the answer is complete.
    stop_len: Option<u32>,
}

impl AnswerSource {
    /// The answer to `prompt`.
    pub fn new(options: &AnswerOptions, prompt: &[u32], rule: LengthRule) -> Self {
        let key = BlockHash(u128::from(options.seed)).child(prompt).0 as u64;
        let natural = natural_tokens(options, key).max(rule.min_tokens).max(1);
        let stops = !rule.ignore_eos && natural <= rule.max_tokens;
        Self {
            key,
            tokens: Arc::clone(&options.tokens),
            eos_token: options.eos_token,
            stop_len: stops.then_some(natural),
        }
    }
}

impl TokenSource for AnswerSource {
    fn next(&mut self, index: u32) -> Generated {
        let stop = self.stop_len.is_some_and(|len| index + 1 >= len);
        if let (true, Some(token)) = (stop, self.eos_token) {
            return Generated { token, stop };
        }
        let draw = mix(self.key, u64::from(index));
        let place = (u128::from(draw) * self.tokens.len() as u128) >> 64;
        Generated { token: self.tokens.get(place as usize).copied().unwrap_or(0), stop }
    }
}

/// Replays a given answer, as often as needed, and never stops by itself unless told so.
#[derive(Clone, Debug)]
pub struct ReplaySource {
    tokens: Vec<u32>,
    stop_at_end: bool,
}

impl ReplaySource {
    /// Gives `tokens`, from the start again after the last; id 0 if there are none.
    pub const fn new(tokens: Vec<u32>) -> Self {
        Self { tokens, stop_at_end: false }
    }

    /// The answer is complete with its last token.
    #[must_use]
    pub const fn stopping(mut self) -> Self {
        self.stop_at_end = true;
        self
    }
}

impl TokenSource for ReplaySource {
    fn next(&mut self, index: u32) -> Generated {
        let index = index as usize;
        let token = index
            .checked_rem(self.tokens.len())
            .and_then(|place| self.tokens.get(place))
            .copied()
            .unwrap_or(0);
        Generated { token, stop: self.stop_at_end && index + 1 >= self.tokens.len() }
    }
}

/// A lognormal draw with mean `mean_tokens`: its normal deviate is the sum of twelve uniform ones
/// less six, which has no tail beyond six standard deviations and needs no transcendental function.
fn natural_tokens(options: &AnswerOptions, key: u64) -> u32 {
    let uniform = |index| (mix(!key, index) >> 11) as f64 / (1_u64 << 53) as f64;
    let normal = (0..12).map(uniform).sum::<f64>() - 6.0;
    let sigma = options.sigma;
    (options.mean_tokens * (sigma * normal - sigma * sigma / 2.0).exp()).round() as u32
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014) at position `index` of stream `key`.
fn mix(key: u64, index: u64) -> u64 {
    let mut word = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(sigma: f64) -> AnswerOptions {
        AnswerOptions {
            seed: 3,
            tokens: Arc::from([10, 11, 12, 13]),
            mean_tokens: 40.0,
            sigma,
            eos_token: None,
        }
    }

    fn answer(options: &AnswerOptions, prompt: &[u32], rule: LengthRule) -> (Vec<u32>, bool) {
        let mut source = AnswerSource::new(options, prompt, rule);
        let mut tokens = Vec::new();
        for index in 0..rule.max_tokens {
            let Generated { token, stop } = source.next(index);
            tokens.push(token);
            if stop {
                return (tokens, true);
            }
        }
        (tokens, false)
    }

    const FREE: LengthRule = LengthRule { min_tokens: 0, max_tokens: 4096, ignore_eos: false };

    #[test]
    fn an_answer_depends_on_seed_and_prompt_only() {
        let options = options(0.5);
        let first = answer(&options, &[1, 2], FREE);
        assert_eq!(first, answer(&options, &[1, 2], FREE));
        assert_ne!(first, answer(&options, &[1, 3], FREE));
        assert_ne!(first, answer(&AnswerOptions { seed: 4, ..options.clone() }, &[1, 2], FREE));
        let cut = LengthRule { max_tokens: 3, ..FREE };
        assert_eq!(answer(&options, &[1, 2], cut), (first.0[..3].to_vec(), false));
    }

    #[test]
    fn length_obeys_min_max_and_ignore_eos() {
        let options = options(0.0);
        assert_eq!(answer(&options, &[1], FREE).0.len(), 40);
        let check = |min_tokens, max_tokens, ignore_eos, expect| {
            let rule = LengthRule { min_tokens, max_tokens, ignore_eos };
            let (tokens, stop) = answer(&options, &[1], rule);
            assert_eq!((tokens.len(), stop), expect);
        };
        check(0, 40, false, (40, true));
        check(0, 39, false, (39, false));
        check(50, 60, false, (50, true));
        check(60, 60, false, (60, true));
        check(0, 60, true, (60, false));
    }

    #[test]
    fn natural_lengths_have_the_asked_mean() {
        let options = options(0.6);
        let total: usize = (0..4000).map(|seed| answer(&options, &[seed], FREE).0.len()).sum();
        let mean = total as f64 / 4000.0;
        assert!((38.5..41.5).contains(&mean), "mean {mean}");
    }

    #[test]
    fn every_token_comes_from_the_list_or_is_the_end() {
        let options = AnswerOptions { eos_token: Some(2), ..options(0.6) };
        let (tokens, stop) = answer(&options, &[9], FREE);
        assert!(stop);
        let (last, rest) = tokens.split_last().unwrap();
        assert_eq!(*last, 2);
        assert!(rest.iter().all(|token| (10..14).contains(token)));
        let none = AnswerOptions { tokens: Arc::from([]), ..AnswerOptions::default() };
        assert_eq!(AnswerSource::new(&none, &[1], FREE).next(0).token, 0);
    }

    #[test]
    fn a_replayed_answer_wraps_or_stops() {
        let mut wraps = ReplaySource::new(vec![5, 6]);
        assert_eq!(wraps.next(2), Generated { token: 5, stop: false });
        let mut stops = ReplaySource::new(vec![5, 6]).stopping();
        assert_eq!(stops.next(1), Generated { token: 6, stop: true });
        assert_eq!(ReplaySource::new(Vec::new()).next(9).token, 0);
    }
}
