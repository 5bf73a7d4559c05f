use crate::{Mt19937, RandomError};

/// numpy's limit: the largest 64-bit integer less ten standard deviations.
const LAM_MAX: f64 = 9_223_372_036_854_775_807.0 - 10.0 * 3_037_000_499.976_05;

pub(crate) fn draw(mt: &mut Mt19937, lam: f64) -> Result<i64, RandomError> {
    if lam.is_nan() || lam < 0.0 {
        Err(RandomError::PoissonMeanNegative { lam })
    } else if lam > LAM_MAX {
        Err(RandomError::PoissonMeanTooLarge { lam })
    } else if lam == 0.0 {
        Ok(0)
    } else if lam < 10.0 {
        Ok(by_products(mt, lam))
    } else {
        Ok(by_rejection(mt, lam))
    }
}

/// Counts how many uniform factors keep the product above `exp(-lam)` (Knuth).
fn by_products(mt: &mut Mt19937, lam: f64) -> i64 {
    let limit = (-lam).exp();
    let mut product = mt.next_f64();
    let mut count = 0;
    while product > limit {
        count += 1;
        product *= mt.next_f64();
    }
    count
}

/// Transformed rejection with squeeze, PTRS (Hörmann 1993).
fn by_rejection(mt: &mut Mt19937, lam: f64) -> i64 {
    let root = lam.sqrt();
    let log_lam = lam.ln();
    let b = 0.931 + 2.53 * root;
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let squeeze = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let uniform = mt.next_f64() - 0.5;
        let test = mt.next_f64();
        let us = 0.5 - uniform.abs();
        let k = ((2.0 * a / us + b) * uniform + lam + 0.43).floor();
        if us >= 0.07 && test <= squeeze {
            return k as i64;
        }
        if k < 0.0 || (us < 0.013 && test > us) {
            continue;
        }
        if test.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln()
            <= -lam + k * log_lam - log_gamma(k + 1.0)
        {
            return k as i64;
        }
    }
}

/// `ln Γ(x)` by the series that numpy uses, for x >= 1 (Zhang and Jin 1996).
fn log_gamma(x: f64) -> f64 {
    const SERIES: [f64; 10] = [
        8.333_333_333_333_333e-2,
        -2.777_777_777_777_778e-3,
        7.936_507_936_507_937e-4,
        -5.952_380_952_380_952e-4,
        8.417_508_417_508_418e-4,
        -1.917_526_917_526_918e-3,
        6.410_256_410_256_41e-3,
        -2.955_065_359_477_124e-2,
        1.796_443_723_688_307e-1,
        -1.392_432_216_905_9,
    ];
    const LN_2PI: f64 = 1.837_877_066_409_345_3;
    if x == 1.0 || x == 2.0 {
        return 0.0;
    }
    let steps = if x < 7.0 { (7.0 - x) as i32 } else { 0 };
    let mut x0 = x + f64::from(steps);
    let x2 = (1.0 / x0) * (1.0 / x0);
    let series = SERIES.iter().rev().fold(0.0, |sum, &term| sum * x2 + term);
    let mut log = series / x0 + 0.5 * LN_2PI + (x0 - 0.5) * x0.ln() - x0;
    for _ in 0..steps {
        log -= (x0 - 1.0).ln();
        x0 -= 1.0;
    }
    log
}
