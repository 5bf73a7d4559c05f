use std::ops::Range;

use crate::api::json_text::inside_len;

/// Most digits of a whole number that may differ; more would not be read as they stand.
const DIGITS_MAX: usize = 15;

/// Which text of an answer an event carries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum TextKind {
    #[default]
    Content,
    Reasoning,
}

/// An event that brought one text and no other news but a usage, decoded in full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextEvent<'a> {
    pub(crate) kind: TextKind,
    /// The text, as the inside of its JSON string, and the usage, as JSON: both are parts of the
    /// event's data.
    pub(crate) json: &'a str,
    pub(crate) usage: Option<&'a str>,
}

/// The bytes of the last text event around its text.
///
/// Successive events of a stream differ in little but that. Where the next event has the same bytes
/// around another valid inside of a JSON string, its JSON is valid, too, and says the same but for
/// the text. In a usage after the text whole numbers may differ as well.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// From the line's `data:` up to the text; empty when no event has been learned.
    before: Vec<u8>,
    /// From the text's closing quote up to the end of the blank line.
    after: Vec<u8>,
    /// Where the usage is in `after`; empty: nowhere.
    usage: Range<usize>,
    /// Length of the line end: 1 or 2.
    line_end_len: usize,
    kind: TextKind,
}

/// An event that has the shape.
#[derive(Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) kind: TextKind,
    /// Its text, as the inside of a JSON string.
    pub(crate) json: &'a str,
    /// Its usage, as JSON.
    pub(crate) usage: Option<&'a str>,
    /// Offset of the byte after the first one of its data's line end.
    pub(crate) data_end: usize,
    /// Length of the event with its blank line.
    pub(crate) len: usize,
}

impl Shape {
    /// Reads the event at the start of `bytes`, if it has the shape. Between events only.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Option<Hit<'a>> {
        if self.before.is_empty() {
            return None;
        }
        let rest = bytes.strip_prefix(self.before.as_slice())?;
        let (text, rest) = rest.split_at(inside_len(rest)?);
        let json = std::str::from_utf8(text).ok()?;
        let (usage, after_len) = if self.usage.is_empty() {
            rest.starts_with(&self.after).then_some((None, self.after.len()))?
        } else {
            self.read_usage(rest)?
        };
        let len = self.before.len() + text.len() + after_len;
        let data_end = len - (2 * self.line_end_len - 1);
        Some(Hit { kind: self.kind, json, usage, data_end, len })
    }

    /// Reads what follows the text where that has a usage: the usage, and the length of it all.
    fn read_usage<'a>(&self, rest: &'a [u8]) -> Option<(Option<&'a str>, usize)> {
        let Range { start, end } = self.usage;
        let rest = rest.strip_prefix(&self.after[..start])?;
        let usage_len = same_but_for_numbers(&self.after[start..end], rest)?;
        let (usage, rest) = rest.split_at(usage_len);
        let last = &self.after[end..];
        let usage = Some(std::str::from_utf8(usage).ok()?);
        rest.starts_with(last).then_some((usage, start + usage_len + last.len()))
    }

    /// Takes the shape of an event that was decoded from `data` and came as `bytes`, blank line
    /// included, if it is one line.
    pub(crate) fn learn(&mut self, bytes: &[u8], data: &[u8], event: TextEvent<'_>) {
        let Some(shape) = Parts::of(bytes, data, event) else { return };
        self.before.clear();
        self.before.extend_from_slice(&bytes[..shape.text.start]);
        self.after.clear();
        self.after.extend_from_slice(&bytes[shape.text.end..]);
        self.usage = shape.usage;
        self.line_end_len = shape.line_end_len;
        self.kind = event.kind;
    }
}

/// Where the parts of an event are that may differ.
struct Parts {
    /// In the event.
    text: Range<usize>,
    /// In what follows the text.
    usage: Range<usize>,
    line_end_len: usize,
}

impl Parts {
    fn of(bytes: &[u8], data: &[u8], event: TextEvent<'_>) -> Option<Self> {
        let data = range_in(bytes, data)?;
        let is_one_line = matches!(&bytes[..data.start], b"data:" | b"data: ");
        let line_end_len = match &bytes[data.end..] {
            b"\n\n" => 1,
            b"\r\n\r\n" => 2,
            _ => return None,
        };
        let text = range_in(bytes, event.json.as_bytes())?;
        let usage = match event.usage {
            None => 0..0,
            Some(usage) => {
                let Range { start, end } = range_in(bytes, usage.as_bytes())?;
                start.checked_sub(text.end)?..end - text.end
            }
        };
        is_one_line.then_some(Self { text, usage, line_end_len })
    }
}

/// Where `part` is in `whole`, if it is a part of its memory.
fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start + part.len();
    (end <= whole.len()).then_some(start..end)
}

/// Length of what is at the start of `new`, if that is `old` but for the whole numbers in it.
///
/// A number ends where JSON says so and begins after a colon, a comma, a bracket or a blank, so that
/// any other number in its place leaves the JSON valid.
fn same_but_for_numbers(old: &[u8], new: &[u8]) -> Option<usize> {
    let (mut at_old, mut at_new, mut before) = (0, 0, 0);
    while let Some(&byte) = old.get(at_old) {
        let digits = digits_len(&old[at_old..]);
        let is_number = digits > 0
            && matches!(before, b':' | b',' | b'[' | b' ')
            && matches!(old.get(at_old + digits), Some(b',' | b'}' | b']'));
        if is_number {
            let found = digits_len(&new[at_new..]);
            let is_valid = (1..=DIGITS_MAX).contains(&found) && (found == 1 || new[at_new] != b'0');
            if !is_valid {
                return None;
            }
            (at_old, at_new, before) = (at_old + digits, at_new + found, b'0');
        } else {
            if new.get(at_new) != Some(&byte) {
                return None;
            }
            (at_old, at_new, before) = (at_old + 1, at_new + 1, byte);
        }
    }
    Some(at_new)
}

fn digits_len(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::{Shape, TextEvent, TextKind, same_but_for_numbers};

    /// Learns `line` with `text` (and `usage`) somewhere in it, and reads `next`.
    fn read(line: &str, text: &str, usage: &str, next: &str) -> Option<(String, String, usize)> {
        let data = &line[line.find("data:").unwrap() + 5..];
        let data = data.lines().next().unwrap().split('\r').next().unwrap();
        let part = |part: &str| {
            let at = line.find(part).unwrap();
            &line[at..at + part.len()]
        };
        let event = TextEvent {
            kind: TextKind::Content,
            json: part(text),
            usage: (!usage.is_empty()).then(|| part(usage)),
        };
        let mut shape = Shape::default();
        shape.learn(line.as_bytes(), data.as_bytes(), event);
        let hit = shape.read(next.as_bytes())?;
        assert!(hit.len <= next.len());
        Some((hit.json.to_owned(), hit.usage.unwrap_or_default().to_owned(), hit.data_end))
    }

    fn check(next: &str, expect: Option<&str>) {
        let found = read("data: {\"c\":\"hello\"}\n\n", "hello", "", next);
        assert_eq!(found.map(|(json, ..)| json).as_deref(), expect, "{next:?}");
    }

    #[test]
    fn an_event_of_the_same_shape_gives_its_text() {
        check("data: {\"c\":\"x\"}\n\n", Some("x"));
        check("data: {\"c\":\"\"}\n\ndata", Some(""));
        check("data: {\"c\":\"a\\n\\\"é\"}\n\n", Some("a\\n\\\"é"));
    }

    #[test]
    fn any_other_event_is_not_read() {
        check("data: {\"c\":\"x\"}\n", None);
        check("data: {\"c\":\"x\"}\r\n\r\n", None);
        check("data: {\"c\":\"x\",\"d\":1}\n\n", None);
        check("data: {\"d\":\"x\"}\n\n", None);
        check("data: {\"c\":\"x\n\"}\n\n", None);
        check("data: {\"c\":\"\\x\"}\n\n", None);
        check("data: {\"c\":\"x", None);
        check("", None);
    }

    #[test]
    fn invalid_utf_8_is_not_read() {
        let mut shape = Shape::default();
        let line = "data: {\"c\":\"x\"}\n\n";
        let event = TextEvent { kind: TextKind::Content, json: &line[12..13], usage: None };
        shape.learn(line.as_bytes(), &line.as_bytes()[6..15], event);
        assert!(shape.read(line.as_bytes()).is_some());
        assert!(shape.read(b"data: {\"c\":\"\xff\"}\n\n").is_none());
    }

    #[test]
    fn only_events_of_one_line_are_learned() {
        for line in [
            "id: 1\ndata:{\"c\":\"T\"}\n\n",
            "data:{\"c\":\"T\"}\nid: 1\n\n",
            "data:{\"c\":\"T\"}\r\r",
        ] {
            assert_eq!(read(line, "T", "", line), None, "{line:?}");
        }
    }

    #[test]
    fn data_ends_with_the_first_byte_of_its_line_end() {
        let end = |line: &str| read(line, "T", "", line).map(|(.., end)| end);
        assert_eq!(end("data: {\"c\":\"T\"}\n\n"), Some(16));
        assert_eq!(end("data: {\"c\":\"T\"}\r\n\r\n"), Some(16));
    }

    #[test]
    fn whole_numbers_of_a_usage_after_the_text_may_differ() {
        let line = |usage: &str| format!("data: {{\"c\":\"T\",\"u\":{usage}}}\n\n");
        let usage = |old: &str, new: &str| {
            read(&line(old), "T", old, &line(new)).map(|(_, usage, _)| usage == new)
        };
        assert_eq!(usage("{\"a\":9,\"b\":{\"c\":1}}", "{\"a\":10,\"b\":{\"c\":0}}"), Some(true));
        assert_eq!(usage("{\"a\":9}", "{\"a\":09}"), None);
        assert_eq!(usage("{\"a\":9}", "{\"a\":9.5}"), None);
        assert_eq!(usage("{\"a\":9}", "{\"a\":null}"), None);
        assert_eq!(usage("{\"a\":9}", "{\"a\":9,\"b\":1}"), None);
        let before = "data: {\"u\":{\"a\":1},\"c\":\"T\"}\n\n";
        assert_eq!(read(before, "T", "{\"a\":1}", before), None);
    }

    #[test]
    fn fractions_exponents_and_long_numbers_are_compared_as_they_stand() {
        let same = |old: &str, new: &str| same_but_for_numbers(old.as_bytes(), new.as_bytes());
        assert_eq!(same("[1.5,2]", "[1.5,345]"), Some(9));
        assert_eq!(same("[1.5,2]", "[1.6,2]"), None);
        assert_eq!(same("[1e5]", "[1e9]"), None);
        assert_eq!(same("[-1]", "[-2]"), None);
        assert_eq!(same("[1]", "[1234567890123456]"), None);
        assert_eq!(same("[1]", "[]"), None);
        assert_eq!(same("[1]", "[2"), None);
    }
}
