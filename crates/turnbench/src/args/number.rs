//! Parsers of numbers that say what is allowed; clap's own say what Rust's parser stumbled over.

use std::num::NonZeroU32;

/// A whole number; its range is `resolve`'s matter.
pub(crate) fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "it must be a whole number".to_owned())
}

/// A whole number of any sign and (nearly) any size, as Python's seeds are.
pub(crate) fn any_whole(text: &str) -> Result<i128, String> {
    text.parse()
        .map_err(|_| format!("it must be a whole number from {} to {}", i128::MIN, i128::MAX))
}

/// A count.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("it must be a whole number from 0 to {}", u32::MAX))
}

/// A count that is not zero.
pub(crate) fn positive(text: &str) -> Result<u32, String> {
    let parsed = text.parse().ok().filter(|&count| count > 0);
    parsed.ok_or_else(|| format!("it must be a whole number from 1 to {}", u32::MAX))
}

/// Tokens of a block.
pub(crate) fn block_size(text: &str) -> Result<NonZeroU32, String> {
    let size = positive(text)?;
    NonZeroU32::new(size).ok_or_else(|| "it must not be 0".to_owned())
}

/// A TCP port.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("it must be a whole number from 0 to {}", u16::MAX))
}

/// A seed.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("it must be a whole number from 0 to {}", u64::MAX))
}

/// A number with or without decimals.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "it must be a number, such as 2 or 0.5".to_owned())
}

/// A multiple, with or without an x behind it.
pub(crate) fn factor(text: &str) -> Result<f64, String> {
    let digits = text.strip_suffix(['x', 'X']).unwrap_or(text);
    let factor = digits.parse::<f64>().ok().filter(|it| it.is_finite() && *it > 0.0);
    factor.ok_or_else(|| "it must be a multiple above 0, such as 1.5x".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{count, number, port, seed, whole};

    #[test]
    fn whole_numbers_have_no_decimals_and_fit() {
        assert_eq!(whole("-7"), Ok(-7));
        assert_eq!((count("4294967295"), port("0")), (Ok(u32::MAX), Ok(0)));
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(number("0.5"), Ok(0.5));
        for text in ["", "x", "1.5", "99999999999999999999"] {
            assert!(whole(text).is_err() && count(text).is_err() && seed(text).is_err(), "{text}");
        }
        assert!(port("65536").unwrap_err().ends_with("from 0 to 65535"));
        assert!(number("1,5").is_err());
    }
}
