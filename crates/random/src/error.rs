use std::fmt;

/// Parameters from which nothing can be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RandomError {
    /// `randint` with `low > last`.
    EmptyRange {
        /// Lowest value.
        low: i64,
        /// Highest value.
        last: i64,
    },
    /// A zipf exponent that is not above 1, or NaN.
    ZipfExponentTooSmall {
        /// The exponent.
        a: f64,
    },
    /// A zipf exponent outside what rejection sampling can draw from: at 1,025 and above `2^(a-1)`
    /// overflows, just above 1 nearly every draw is beyond 2^63.
    ZipfExponentUnusable {
        /// The exponent.
        a: f64,
    },
    /// A poisson mean below 0, or NaN.
    PoissonMeanNegative {
        /// The mean.
        lam: f64,
    },
    /// A poisson mean whose draws would not fit 63 bits.
    PoissonMeanTooLarge {
        /// The mean.
        lam: f64,
    },
    /// More items asked for than there are.
    SampleLargerThanPopulation {
        /// Items there are.
        population: usize,
        /// Items asked for.
        count: usize,
    },
}

impl fmt::Display for RandomError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyRange { low, last } => {
                write!(formatter, "no integer from {low} to {last}")
            }
            Self::ZipfExponentTooSmall { a } => {
                write!(formatter, "zipf exponent is {a}, allowed is a number above 1")
            }
            Self::ZipfExponentUnusable { a } => {
                write!(formatter, "zipf exponent is {a}, allowed is 1.0001 to 1024")
            }
            Self::PoissonMeanNegative { lam } => {
                write!(formatter, "poisson mean is {lam}, allowed is 0 or more")
            }
            Self::PoissonMeanTooLarge { lam } => {
                write!(formatter, "poisson mean is {lam}, allowed is at most 9.2e18")
            }
            Self::SampleLargerThanPopulation { population, count } => {
                write!(formatter, "sample of {count} from {population} items")
            }
        }
    }
}

impl std::error::Error for RandomError {}
