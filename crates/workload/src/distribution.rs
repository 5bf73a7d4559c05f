use std::fmt;

use turnbench_random::{NumpyStream, RandomError, pairwise_sum};

use crate::Number;

/// The median of a lognormal given by its average, as a fraction of the average, when not given.
pub(crate) const DEFAULT_MEDIAN_RATIO: f64 = 0.85;

/// Where a count of turns or tokens is drawn from. The parameters are valid: see
/// [`crate::GeneratorConfig`] for the rules.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same; a fraction is cut off.
    Constant(Number),
    /// Uniform from `min` to `max`, both included, both written as integers.
    UniformInt {
        /// Lowest value, above 0.
        min: i64,
        /// Highest value.
        max: i64,
    },
    /// Uniform in [min, max); the fraction of each draw is cut off.
    UniformFloat {
        /// Lower bound, above 0.
        min: Number,
        /// Upper bound.
        max: Number,
    },
    /// Lognormal by the mean and standard deviation of the logarithm.
    Lognormal {
        /// Mean of the logarithm, above 0.
        mean: Number,
        /// Standard deviation of the logarithm, 0 or more.
        sigma: Number,
        /// Cap; `Some(0)` is none.
        max: Option<i64>,
    },
    /// Lognormal of which each batch of draws is scaled to have exactly this average.
    LognormalAverage {
        /// The average, 1 or more.
        average: Number,
        /// Median / average, in (0, 1).
        median_ratio: Number,
        /// Cap, applied after scaling; `Some(0)` is none.
        max: Option<i64>,
    },
    /// Zipf: k >= 1 with a chance proportional to `k^-alpha`.
    Zipf {
        /// Exponent, above 1.
        alpha: Number,
        /// Cap; `Some(0)` is none.
        max: Option<i64>,
    },
    /// Poisson.
    Poisson {
        /// Mean, 0 or more.
        alpha: Number,
        /// Cap; `Some(0)` is none.
        max: Option<i64>,
    },
}

impl Distribution {
    /// Draws a batch of `count`. Draws may be 0 or negative where the parameters are.
    ///
    /// # Errors
    /// When the stream can't draw from the parameters.
    pub fn draw(&self, stream: &mut NumpyStream, count: usize) -> Result<Vec<i64>, RandomError> {
        let draws = 0..count;
        Ok(match *self {
            Self::Constant(value) => vec![value.truncated(); count],
            Self::UniformInt { min, max } => {
                draws.map(|_| stream.randint(min, max)).collect::<Result<_, _>>()?
            }
            Self::UniformFloat { min, max } => {
                let (min, max) = (min.as_f64(), max.as_f64());
                draws.map(|_| stream.uniform(min, max) as i64).collect()
            }
            Self::Lognormal { mean, sigma, max } => {
                let (mean, sigma) = (mean.as_f64(), sigma.as_f64());
                let values = draws.map(|_| stream.lognormal(mean, sigma)).collect();
                cap_and_round(values, max)
            }
            Self::LognormalAverage { average, median_ratio, max } => {
                let values =
                    draw_with_average(stream, count, average.as_f64(), median_ratio.as_f64());
                cap_and_round(values, max)
            }
            Self::Zipf { alpha, max } => draws
                .map(|_| stream.zipf(alpha.as_f64()).map(|draw| cap(draw, max)))
                .collect::<Result<_, _>>()?,
            Self::Poisson { alpha, max } => draws
                .map(|_| stream.poisson(alpha.as_f64()).map(|draw| cap(draw, max)))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Lognormal draws with a median of `average * median_ratio`, scaled so that their mean is `average`.
fn draw_with_average(
    stream: &mut NumpyStream,
    count: usize,
    average: f64,
    median_ratio: f64,
) -> Vec<f64> {
    let median = average * median_ratio;
    let mean = median.ln();
    let sigma = (2.0 * (average / median).ln()).sqrt();
    let mut values: Vec<f64> = (0..count).map(|_| stream.lognormal(mean, sigma)).collect();
    let factor = average / (pairwise_sum(&values) / count as f64);
    for value in &mut values {
        *value *= factor;
    }
    values
}

fn cap_and_round(mut values: Vec<f64>, max: Option<i64>) -> Vec<i64> {
    if let Some(max) = max.filter(|&max| max > 0) {
        for value in &mut values {
            *value = value.min(max as f64);
        }
    }
    values.into_iter().map(|value| value.round_ties_even() as i64).collect()
}

fn cap(draw: i64, max: Option<i64>) -> i64 {
    max.filter(|&max| max > 0).map_or(draw, |max| draw.min(max))
}

/// As the reference names it in its parameter block.
impl fmt::Display for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |max: &Option<i64>| max.map_or_else(|| "None".into(), |max| max.to_string());
        match self {
            Self::Constant(value) => write!(formatter, "Constant[{value}]"),
            Self::UniformInt { min, max } => {
                write!(formatter, "UniformDistribution[{min}, {max}]")
            }
            Self::UniformFloat { min, max } => {
                write!(formatter, "UniformDistribution[{min}, {max}]")
            }
            Self::Lognormal { mean: first, sigma: second, max }
            | Self::LognormalAverage { average: first, median_ratio: second, max } => {
                write!(formatter, "LognormalDistribution[{first}, {second}, {}]", or_none(max))
            }
            Self::Zipf { alpha, .. } => write!(formatter, "ZipfDistribution[{alpha}]"),
            Self::Poisson { alpha, .. } => write!(formatter, "PoissonDistribution[{alpha}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;
    use turnbench_random::{NumpyStream, pairwise_sum};

    use super::{Distribution, draw_with_average};
    use crate::Number;

    fn recorded() -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rng/rng.json.zst");
        let file = std::fs::File::open(path).unwrap();
        serde_json::from_reader(zstd::Decoder::new(file).unwrap()).unwrap()
    }

    fn bits(value: &Value) -> f64 {
        f64::from_bits(u64::from_str_radix(value.as_str().unwrap(), 16).unwrap())
    }

    #[test]
    fn batches_scaled_to_an_average_equal_the_recorded_ones() {
        let recorded = recorded();
        let cases = recorded["numpy_lognormal_average"].as_array().unwrap();
        assert_eq!(cases.len(), 42);
        for case in cases {
            let (seed, count) = (case["seed"].as_u64().unwrap(), case["n"].as_u64().unwrap());
            let (average, ratio) =
                (case["average"].as_f64().unwrap(), case["median_ratio"].as_f64().unwrap());
            let mut stream = NumpyStream::new(seed as u32);
            let raw: Vec<f64> = (0..count)
                .map(|_| stream.lognormal(bits(&case["mu_bits"]), bits(&case["sigma_bits"])))
                .collect();
            assert_eq!(pairwise_sum(&raw), bits(&case["sum_bits"]));
            let mut stream = NumpyStream::new(seed as u32);
            let scaled = draw_with_average(&mut stream, count as usize, average, ratio);
            let first: Vec<f64> =
                case["scaled_first8_bits"].as_array().unwrap().iter().map(bits).collect();
            assert_eq!(scaled[..first.len()], first);
            let distribution = Distribution::LognormalAverage {
                average: Number::Float(average),
                median_ratio: Number::Float(ratio),
                max: None,
            };
            let draws =
                distribution.draw(&mut NumpyStream::new(seed as u32), count as usize).unwrap();
            let first = case["rounded_first20"].as_array().unwrap();
            let first: Vec<i64> = first.iter().map(|value| value.as_i64().unwrap()).collect();
            assert_eq!(draws[..first.len()], first);
            assert_eq!(draws.iter().sum::<i64>(), case["rounded_sum"].as_i64().unwrap());
        }
    }

    #[test]
    fn halves_round_to_even_as_recorded() {
        let recorded = recorded();
        let case = &recorded["round_half_even"];
        let pairs = case["in"].as_array().unwrap().iter().zip(case["out"].as_array().unwrap());
        for (given, expect) in pairs {
            let rounded = given.as_f64().unwrap().round_ties_even();
            assert_eq!(rounded.to_bits(), expect.as_f64().unwrap().to_bits());
        }
    }
}
