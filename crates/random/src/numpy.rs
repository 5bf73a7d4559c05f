use crate::{Mt19937, RandomError, poisson, zipf};

/// numpy's legacy global generator (`numpy.random.seed(n)` and the functions beside it).
#[derive(Clone, Debug)]
pub struct NumpyStream {
    mt: Mt19937,
    /// The second normal draw of a polar pair; it survives other draws in between.
    cached_normal: Option<f64>,
}

impl NumpyStream {
    /// `numpy.random.seed(seed)`; numpy takes no seed above 2^32 - 1.
    pub fn new(seed: u32) -> Self {
        Self { mt: Mt19937::from_seed(seed), cached_normal: None }
    }

    /// `numpy.random.seed([words])`, for what does not fit 32 bits.
    pub fn from_key(words: &[u32]) -> Self {
        Self { mt: Mt19937::from_key(words), cached_normal: None }
    }

    /// The next raw word.
    pub fn next_u32(&mut self) -> u32 {
        self.mt.next_u32()
    }

    /// `random_sample()`: uniform in [0, 1).
    pub fn random_sample(&mut self) -> f64 {
        self.mt.next_f64()
    }

    /// `randint(low, last + 1)` of the 64-bit default type: uniform from `low` to `last`, both
    /// included. A range of one value draws nothing.
    ///
    /// # Errors
    /// [`RandomError::EmptyRange`] unless `low <= last`.
    pub fn randint(&mut self, low: i64, last: i64) -> Result<i64, RandomError> {
        if low > last {
            return Err(RandomError::EmptyRange { low, last });
        }
        let range = last.wrapping_sub(low) as u64;
        Ok(low.wrapping_add(self.masked(range) as i64))
    }

    /// Uniform in 0..=range by masked rejection; every try costs a fresh word (two above 32 bits)
    /// and succeeds with a chance of at least one half.
    fn masked(&mut self, range: u64) -> u64 {
        if range == 0 {
            return 0;
        }
        let mask = u64::MAX >> range.leading_zeros();
        loop {
            let mut bits = u64::from(self.next_u32());
            if range > u64::from(u32::MAX) {
                bits = (bits << 32) | u64::from(self.next_u32());
            }
            if bits & mask <= range {
                return bits & mask;
            }
        }
    }

    /// `uniform(low, high)`: uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random_sample()
    }

    /// `exponential(scale)`: exponential with mean `scale`.
    pub fn exponential(&mut self, scale: f64) -> f64 {
        scale * -(1.0 - self.random_sample()).ln()
    }

    /// `standard_normal()` by the polar method, two draws at a time.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(normal) = self.cached_normal.take() {
            return normal;
        }
        loop {
            let x1 = 2.0 * self.random_sample() - 1.0;
            let x2 = 2.0 * self.random_sample() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let factor = (-2.0 * r2.ln() / r2).sqrt();
                self.cached_normal = Some(factor * x1);
                return factor * x2;
            }
        }
    }

    /// Whether a normal draw is cached for the next [`NumpyStream::standard_normal`].
    pub fn has_cached_normal(&self) -> bool {
        self.cached_normal.is_some()
    }

    /// `lognormal(mean, sigma)`: `exp` of a normal draw. A `sigma` of 0 draws all the same.
    pub fn lognormal(&mut self, mean: f64, sigma: f64) -> f64 {
        (mean + sigma * self.standard_normal()).exp()
    }

    /// `zipf(a)`: k >= 1 with a chance proportional to `k^-a`.
    ///
    /// # Errors
    /// Unless `a` is above 1, or when it is a number that rejection sampling can't draw from.
    pub fn zipf(&mut self, a: f64) -> Result<i64, RandomError> {
        zipf::draw(&mut self.mt, a)
    }

    /// `poisson(lam)`. A mean of 0 gives 0 and draws nothing.
    ///
    /// # Errors
    /// When `lam` is negative, NaN or above 2^63 - 10·2^31.5.
    pub fn poisson(&mut self, lam: f64) -> Result<i64, RandomError> {
        poisson::draw(&mut self.mt, lam)
    }
}

#[cfg(test)]
mod tests {
    use super::NumpyStream;
    use crate::RandomError;

    #[test]
    fn unusable_parameters_are_errors() {
        let mut stream = NumpyStream::new(0);
        assert_eq!(stream.randint(3, 2), Err(RandomError::EmptyRange { low: 3, last: 2 }));
        for a in [1.0, 0.5, -2.0] {
            assert_eq!(stream.zipf(a), Err(RandomError::ZipfExponentTooSmall { a }));
        }
        assert!(matches!(
            stream.zipf(f64::NAN),
            Err(RandomError::ZipfExponentTooSmall { a }) if a.is_nan()
        ));
        assert_eq!(stream.zipf(2000.0), Err(RandomError::ZipfExponentUnusable { a: 2000.0 }));
        assert_eq!(stream.poisson(-1.0), Err(RandomError::PoissonMeanNegative { lam: -1.0 }));
        assert_eq!(stream.poisson(1e19), Err(RandomError::PoissonMeanTooLarge { lam: 1e19 }));
    }

    #[test]
    fn the_widest_range_covers_both_signs() {
        let mut stream = NumpyStream::new(1);
        let draws: Vec<i64> =
            (0..64).filter_map(|_| stream.randint(i64::MIN, i64::MAX).ok()).collect();
        assert!(draws.iter().any(|&draw| draw < 0) && draws.iter().any(|&draw| draw > 0));
    }
}
