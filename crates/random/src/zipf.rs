use crate::{Mt19937, RandomError};

/// Tries after which a draw is given up: at `a = 1.0001` one try in 230 succeeds, so that a
/// usable exponent never gets here.
const TRIES_MAX: u32 = 1 << 22;

/// Rejection sampling after Devroye (1986), as numpy's legacy generator does it.
pub(crate) fn draw(mt: &mut Mt19937, a: f64) -> Result<i64, RandomError> {
    if a.is_nan() || a <= 1.0 {
        return Err(RandomError::ZipfExponentTooSmall { a });
    }
    let am1 = a - 1.0;
    let b = 2f64.powf(am1);
    if !b.is_finite() {
        return Err(RandomError::ZipfExponentUnusable { a });
    }
    for _ in 0..TRIES_MAX {
        let uniform = 1.0 - mt.next_f64();
        let test = mt.next_f64();
        let x = uniform.powf(-1.0 / am1).floor();
        if !(1.0..=i64::MAX as f64).contains(&x) {
            continue;
        }
        let t = (1.0 + 1.0 / x).powf(am1);
        if test * x * (t - 1.0) / (b - 1.0) <= t / b {
            return Ok(x as i64);
        }
    }
    Err(RandomError::ZipfExponentUnusable { a })
}
