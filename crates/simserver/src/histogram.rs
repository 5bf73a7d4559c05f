/// A Prometheus histogram: counts below bounds, and the sum of what was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    bounds: Vec<f64>,
    /// One more than bounds: the last one counts what is above all of them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// Empty. `bounds` ascend; a value equal to a bound lies below it.
    pub(crate) fn new(bounds: Vec<f64>) -> Self {
        let counts = vec![0; bounds.len() + 1];
        Self { bounds, counts, sum: 0.0 }
    }

    /// Of values that were counted elsewhere: as many up to each of `bounds`, and above the one before,
    /// as `counts` says, which ends with those above all.
    pub(crate) const fn of_counts(bounds: Vec<f64>, counts: Vec<u64>, sum: f64) -> Self {
        Self { bounds, counts, sum }
    }

    /// Counts one value.
    pub(crate) fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// Each bound with the number of values at or below it; then infinity with all of them.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().scan(0, |total, count| {
            *total += count;
            Some(*total)
        }))
    }

    /// Number of values.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of the values.
    pub(crate) const fn sum(&self) -> f64 {
        self.sum
    }
}

/// vLLM's bounds for token counts: 1, 2, 5, 10, … up to the model's length.
pub(crate) fn token_bounds(max_model_len: u32) -> Vec<f64> {
    let decades = (0..10).map(|exponent| 10_u64.pow(exponent));
    let bounds = decades.flat_map(|decade| [decade, 2 * decade, 5 * decade]);
    bounds
        .take_while(|&bound| bound <= u64::from(max_model_len))
        .map(|bound| bound as f64)
        .collect()
}

/// vLLM's bounds for the tokens of a step.
pub(crate) const STEP_TOKENS_BOUNDS: [f64; 13] =
    [1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
/// vLLM's bounds for the time to the first token, in seconds.
pub(crate) const FIRST_TOKEN_BOUNDS: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
/// vLLM's bounds for the time between tokens, in seconds.
pub(crate) const TOKEN_GAP_BOUNDS: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];
/// vLLM's bounds for the phases of a request, in seconds.
pub(crate) const PHASE_BOUNDS: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];
/// vLLM's bounds for small counts per request.
pub(crate) const SMALL_COUNT_BOUNDS: [f64; 5] = [1.0, 2.0, 5.0, 10.0, 20.0];
/// vLLM's bounds for preemptions of a request.
pub(crate) const PREEMPTION_BOUNDS: [f64; 7] = [1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0];

#[cfg(test)]
mod tests {
    use super::{Histogram, token_bounds};

    #[test]
    fn a_value_on_a_bound_lies_below_it() {
        let mut histogram = Histogram::new(vec![1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            histogram.observe(value);
        }
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative, [(1.0, 2), (2.0, 3), (f64::INFINITY, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (4, 12.0));
    }

    #[test]
    fn token_bounds_end_at_the_models_length() {
        assert_eq!(token_bounds(20), [1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(token_bounds(2048).last(), Some(&2000.0));
    }
}
