/// Digits of an answer's number.
pub(crate) const NUMBER_DIGITS: usize = 12;
/// Digits of the answer's second since the Unix epoch, from 2001 to 2286.
const CREATED_DIGITS: usize = 10;
/// What stands in prebuilt bytes for the number.
pub(crate) const NUMBER_BLANK: &str = "000000000000";
/// What stands in prebuilt bytes for the second.
pub(crate) const CREATED_BLANK: u64 = 1_000_000_000;

/// What tells an answer's events from those of others, ready to be written into them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signature {
    number: [u8; NUMBER_DIGITS],
    created: [u8; CREATED_DIGITS],
}

impl Signature {
    /// Of the answer `number` (its last 12 digits), made at `created`, seconds since the Unix epoch.
    pub(crate) fn new(number: u64, created: u64) -> Self {
        Self { number: digits(number), created: digits(created) }
    }

    /// The number, 12 digits.
    pub(crate) fn number(&self) -> &str {
        std::str::from_utf8(&self.number).unwrap_or(NUMBER_BLANK)
    }
}

/// The last `N` digits, with leading zeros.
fn digits<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Prebuilt pieces of a body, one after another, each with a place for a [`Signature`].
#[derive(Debug, Default)]
pub(crate) struct Reel {
    bytes: Vec<u8>,
    /// Where each piece begins, and where the last one ends.
    starts: Vec<usize>,
    /// Where each piece's number goes.
    number_at: Vec<usize>,
    /// From number to second, the same in all pieces.
    created_after: usize,
}

impl Reel {
    /// An empty reel.
    pub(crate) fn new() -> Self {
        Self { starts: vec![0], ..Self::default() }
    }

    /// Appends a piece made with [`NUMBER_BLANK`] and [`CREATED_BLANK`], which come in this order
    /// and before all that is not known beforehand.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let find = |blank: &str| memchr::memmem::find(piece, blank.as_bytes()).unwrap_or(0);
        let (number, created) = (find(NUMBER_BLANK), find(&CREATED_BLANK.to_string()));
        debug_assert!(0 < number && number < created, "a piece without its blanks");
        self.number_at.push(self.bytes.len() + number);
        self.created_after = created - number;
        self.bytes.extend_from_slice(piece);
        self.starts.push(self.bytes.len());
    }

    /// `count` pieces from `first` on, signed.
    pub(crate) fn signed(&mut self, first: usize, count: usize, signature: &Signature) -> &[u8] {
        for &at in &self.number_at[first..first + count] {
            let created_at = at + self.created_after;
            self.bytes[at..at + NUMBER_DIGITS].copy_from_slice(&signature.number);
            self.bytes[created_at..created_at + CREATED_DIGITS].copy_from_slice(&signature.created);
        }
        &self.bytes[self.starts[first]..self.starts[first + count]]
    }
}

#[cfg(test)]
mod tests {
    use super::{Reel, Signature};

    #[test]
    fn pieces_are_signed_anew_each_time() {
        let mut reel = Reel::new();
        for text in ["a", "bc"] {
            let piece = format!("<{text} id-000000000000 at 1000000000 {text}>");
            reel.push(piece.as_bytes());
        }
        let mut check = |first, count, signature: Signature, expect: &str| {
            let signed = reel.signed(first, count, &signature);
            assert_eq!(std::str::from_utf8(signed).unwrap(), expect);
        };
        let early = Signature::new(7, 1_700_000_001);
        let late = Signature::new(u64::MAX, 1_800_000_002);
        check(0, 1, early, "<a id-000000000007 at 1700000001 a>");
        check(1, 1, late, "<bc id-073709551615 at 1800000002 bc>");
        check(
            0,
            2,
            early,
            "<a id-000000000007 at 1700000001 a><bc id-000000000007 at 1700000001 bc>",
        );
        check(2, 0, early, "");
        assert_eq!(late.number(), "073709551615");
    }
}
