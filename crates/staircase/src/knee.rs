/// A share from which on a prompt counts as found in full, and one less than this as not at all.
const CLEAR_SHARE: f64 = 0.12;

/// Where a level ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Knee {
    /// Tokens, those of the prompt itself included, up to which it is found.
    pub(crate) tokens: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A prompt sent again near the end of a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Tokens of newer prompts.
    pub(crate) newer: f64,
    /// Its own.
    pub(crate) tokens: f64,
    /// How much of it was found within the level, 0 to 1.
    pub(crate) share: f64,
}

impl Sample {
    /// The share that a level which ends at `end` would give. A prompt loses its last tokens first.
    fn expected(&self, end: f64) -> f64 {
        ((end - self.newer) / self.tokens).clamp(0.0, 1.0)
    }
}

/// The end that explains the shares best, by the sum of absolute deviations; in the middle where a range of
/// ends explains them alike. `None` without samples.
pub(crate) fn knee(samples: &[Sample]) -> Option<Knee> {
    let mut ends: Vec<f64> = samples
        .iter()
        .flat_map(|it| [it.newer, it.newer + it.share * it.tokens, it.newer + it.tokens])
        .collect();
    ends.sort_by(f64::total_cmp);
    let error = |end: f64| -> f64 {
        samples.iter().map(|sample| (sample.share - sample.expected(end)).abs()).sum()
    };
    let least = ends.iter().map(|end| error(*end)).min_by(f64::total_cmp)?;
    let alike: Vec<f64> = ends.into_iter().filter(|end| error(*end) <= least + 0.02).collect();
    let tokens = f64::midpoint(*alike.first()?, *alike.last()?);
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    for it in samples {
        let slack = CLEAR_SHARE * it.tokens;
        let end = it.newer + it.share * it.tokens;
        if it.share >= 1.0 - CLEAR_SHARE && end - slack <= tokens {
            low = low.max(end - slack);
        } else if it.share <= CLEAR_SHARE && it.newer + slack >= tokens {
            high = high.min(it.newer + slack);
        } else if (end - tokens).abs() <= it.tokens {
            low = low.max(end.min(tokens) - slack);
            high = high.min(end.max(tokens) + slack);
        }
    }
    let first = samples.iter().map(|it| it.newer).fold(f64::INFINITY, f64::min);
    let last = samples.iter().map(|it| it.newer + it.tokens).fold(0.0, f64::max);
    let low = if low.is_finite() { low } else { first };
    let high = if high.is_finite() { high } else { last };
    Some(Knee { tokens, low: low.min(tokens), high: high.max(tokens) })
}

#[cfg(test)]
mod tests {
    use super::{Sample, knee};

    /// Prompts of `tokens` one behind the other, seen by a cache that ends at `end`.
    fn seen(tokens: f64, end: f64, noise: f64) -> Vec<Sample> {
        let sample = |at: u32| {
            let newer = f64::from(at) * tokens;
            let random = f64::from(at.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
            let share = ((end - newer) / tokens).clamp(0.0, 1.0) + noise * random;
            Sample { newer, tokens, share: share.clamp(0.0, 1.0) }
        };
        (0..24).map(sample).collect()
    }

    #[test]
    fn a_prompt_found_in_part_tells_the_end() {
        for end in [700.0, 1_000.0, 1_234.0, 1_999.0] {
            let exact = knee(&seen(100.0, end, 0.0)).unwrap();
            assert!((exact.tokens - end).abs() < 3.0, "{end}: {exact:?}");
            let noisy = knee(&seen(100.0, end, 0.15)).unwrap();
            assert!((noisy.tokens - end).abs() < 20.0, "{end}: {noisy:?}");
            assert!(noisy.low <= end && end <= noisy.high, "{end}: {noisy:?}");
            assert!(noisy.high - noisy.low <= 200.0, "{end}: {noisy:?}");
        }
    }

    #[test]
    fn between_found_and_lost_it_is_in_the_middle() {
        let mut samples = seen(100.0, 1_000.0, 0.0);
        samples.retain(|sample| sample.newer < 800.0 || sample.newer > 1_100.0);
        let found = knee(&samples).unwrap();
        assert_eq!(found.tokens, 1_000.0);
        assert!(found.low <= 800.0 && found.high >= 1_200.0, "{found:?}");
        assert_eq!(knee(&[]), None);
    }
}
