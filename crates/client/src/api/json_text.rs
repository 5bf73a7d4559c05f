use std::borrow::Cow;

/// Text gathered piece by piece, kept as the JSON strings that brought it spelled it.
///
/// A surrogate pair whose halves came in two pieces is whole again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct JsonText {
    /// The inside of a valid JSON string.
    inside: String,
}

impl JsonText {
    /// The text that the inside of a valid JSON string says.
    pub(crate) fn of(inside: &str) -> Self {
        Self { inside: inside.to_owned() }
    }

    /// What it says so far.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        text_of(&self.inside)
    }

    /// Appends the inside of a valid JSON string.
    pub(crate) fn push(&mut self, inside: &str) {
        self.inside.push_str(inside);
    }

    /// The text, and its spelling where that has escapes and says the same: without escapes the text
    /// is its own spelling, and half a surrogate pair has no text.
    pub(crate) fn into_text(self) -> (String, Option<String>) {
        match unescape(&self.inside) {
            Unescaped::Same => (self.inside, None),
            Unescaped::Whole(text) => (text, Some(self.inside)),
            Unescaped::Mended(text) => (text, None),
        }
    }
}

/// What the inside of a JSON string says; U+FFFD for half a surrogate pair.
pub(crate) fn text_of(inside: &str) -> Cow<'_, str> {
    match unescape(inside) {
        Unescaped::Same => Cow::Borrowed(inside),
        Unescaped::Whole(text) | Unescaped::Mended(text) => Cow::Owned(text),
    }
}

/// Bytes before the closing quote, where these continue a JSON string. `None`: they are no valid
/// inside, or the quote is not among them. That they are UTF-8 is not looked at.
pub(crate) fn inside_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += escape_len(&bytes[at + 1..])?,
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// Length of an escape with its backslash, from what follows that.
fn escape_len(after: &[u8]) -> Option<usize> {
    match after.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => after.get(1..5)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

enum Unescaped {
    /// There are no escapes.
    Same,
    Whole(String),
    /// There was half a surrogate pair.
    Mended(String),
}

fn unescape(inside: &str) -> Unescaped {
    let mut rest = inside;
    let Some(mut at) = memchr::memchr(b'\\', rest.as_bytes()) else { return Unescaped::Same };
    let mut text = String::with_capacity(inside.len());
    let mut is_whole = true;
    loop {
        text.push_str(&rest[..at]);
        let (character, length) = escaped(&rest[at..]);
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
        is_whole &= character.is_some();
        rest = rest.get(at + length..).unwrap_or_default();
        let Some(next) = memchr::memchr(b'\\', rest.as_bytes()) else { break };
        at = next;
    }
    text.push_str(rest);
    if is_whole { Unescaped::Whole(text) } else { Unescaped::Mended(text) }
}

/// The character of the escape at the start, and the escape's length. `None`: half a pair.
fn escaped(text: &str) -> (Option<char>, usize) {
    let character = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let units = [unit(text), text.get(6..).and_then(unit)];
            let mut characters = char::decode_utf16(units.into_iter().map_while(|unit| unit));
            return match characters.next() {
                Some(Ok(character)) => (Some(character), 6 * character.len_utf16()),
                Some(Err(_)) | None => (None, 6),
            };
        }
        // Quote, backslash and slash stand for themselves; nothing else is valid.
        Some(&byte) => byte as char,
        None => char::REPLACEMENT_CHARACTER,
    };
    (Some(character), 2)
}

/// The UTF-16 unit of a `\uXXXX` at the start.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{JsonText, inside_len, text_of};

    fn gathered(pieces: &[&str]) -> (String, Option<String>) {
        let mut text = JsonText::default();
        for piece in pieces {
            text.push(piece);
        }
        text.into_text()
    }

    fn check(pieces: &[&str], expect: &str, is_kept: bool) {
        let spelling = is_kept.then(|| pieces.concat());
        assert_eq!(gathered(pieces), (expect.to_owned(), spelling), "{pieces:?}");
    }

    #[test]
    fn a_spelling_is_kept_where_it_has_escapes_and_is_whole() {
        check(&["plain é", " text"], "plain é text", false);
        check(&["a\\n", "\\u00e9\\/"], "a\né/", true);
        check(&["\\\"\\\\\\b\\f\\r\\t"], "\"\\\u{8}\u{c}\r\t", true);
        check(&["\\ud83d", "", "\\uDE00!"], "😀!", true);
        check(&["\\ud83d", "x\\ude00"], "\u{fffd}x\u{fffd}", false);
        check(&["\\ud83d\\ud83d\\ude00"], "\u{fffd}😀", false);
        check(&["\\ud83d\\n"], "\u{fffd}\n", false);
        check(&["\\u0041\\u0000"], "A\0", true);
    }

    #[test]
    fn the_inside_of_a_string_ends_at_its_quote() {
        assert_eq!(inside_len(b"abc\",\"d\""), Some(3));
        assert_eq!(inside_len(b"\""), Some(0));
        assert_eq!(inside_len(b"a\\\"\\u00e9\""), Some(9));
        for bytes in ["abc", "a\n\"", "\\x\"", "\\u00g0\"", "\\u00\"", "\\", "\\\"", "a\0\""] {
            assert_eq!(inside_len(bytes.as_bytes()), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_as_serde_reads_them(inside in "([a-zé😀\\\\u0-9d\"/\n]|\\\\[nu\"\\\\]|\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude0[0-9]|\\\\ud83d){0,12}") {
            let quoted = format!("\"{inside}\"");
            let len = inside_len(&quoted.as_bytes()[1..]);
            match serde_json::from_str::<String>(&quoted) {
                Ok(text) => {
                    prop_assert_eq!(len, Some(inside.len()));
                    prop_assert_eq!(text_of(&inside), text);
                }
                // Half a pair is refused by serde only.
                Err(_) if len == Some(inside.len()) => {
                    let is_mended = text_of(&inside).contains(char::REPLACEMENT_CHARACTER);
                    prop_assert!(is_mended);
                }
                Err(_) => {}
            }
        }
    }
}
