//! Units that follow numbers in flags.

/// Bytes by unit.
const BYTES: [(&str, f64); 9] = [
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
];
/// Nanoseconds by unit.
const NANOS: [(&str, f64); 4] = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];

/// A number and what follows it, both without the white space around; `None` where no number begins
/// the text. Signs and exponents are not part of numbers.
pub(crate) fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    number.parse().ok().map(|number| (number, unit.trim()))
}

/// Bytes of a text such as `12GiB`, its unit in letters of any case.
pub(crate) fn bytes(text: &str) -> Option<f64> {
    quantity(text, &BYTES)
}

/// Nanoseconds of a text such as `50us`, its unit in letters of any case.
pub(crate) fn nanos(text: &str) -> Option<f64> {
    quantity(text, &NANOS)
}

fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, unit) = split(text)?;
    let known = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    known.map(|(_, factor)| number * factor)
}

#[cfg(test)]
mod tests {
    use super::{bytes, nanos, split};

    #[test]
    fn a_quantity_is_a_number_and_a_unit_it_can_have() {
        assert_eq!((bytes("12GiB"), bytes("1.5 kb")), (Some(12.0 * 1_073_741_824.0), Some(1500.0)));
        assert_eq!((nanos("50us"), nanos("2 S")), (Some(50_000.0), Some(2e9)));
        assert_eq!(split(" 3 blocks "), Some((3.0, "blocks")));
        for text in ["", "12", "GiB", "-1GiB", "1e3GiB", "1.2.3GiB", "12us", "infB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!((nanos("5"), nanos("5GiB")), (None, None));
    }
}
