//! Looking into JSON that is known to be well-formed, without building anything.

use std::borrow::Cow;

use memchr::memchr;
use serde_json::Value;

/// The text of one well-formed value, without blanks around it. Text that is not well-formed gives
/// wrong answers, but no panic and no endless loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self(text.trim_ascii())
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// The keys and values of an object; nothing of any other value.
    pub(crate) fn members(self) -> impl Iterator<Item = (Text<'a>, Self)> {
        let mut values = self.parts(b'{');
        std::iter::from_fn(move || {
            let key = values.next()?.string()?;
            Some((key, values.next()?))
        })
    }

    /// The items of a list; `None` of any other value.
    pub(crate) fn items(self) -> Option<impl Iterator<Item = Self>> {
        (self.0.first() == Some(&b'[')).then(|| self.parts(b'['))
    }

    /// The values under `keys` in an object; of equal keys the last counts, as in Python.
    pub(crate) fn values<const N: usize>(self, keys: [&str; N]) -> [Option<Self>; N] {
        let mut found = [None; N];
        for (key, value) in self.members() {
            let key = key.decoded();
            if let Some(at) = keys.iter().position(|wanted| wanted.as_bytes() == &*key) {
                found[at] = Some(value);
            }
        }
        found
    }

    /// The value as a string.
    pub(crate) fn string(self) -> Option<Text<'a>> {
        match self.0 {
            [b'"', contents @ .., b'"'] => Some(Text(contents)),
            _ => None,
        }
    }

    /// The text of the value.
    pub(crate) const fn text(self) -> &'a [u8] {
        self.0
    }

    /// Everything in it.
    pub(crate) fn value(self) -> Option<Value> {
        serde_json::from_slice(self.0).ok()
    }

    fn parts(self, opening: u8) -> Parts<'a> {
        let contents = if self.0.first() == Some(&opening) { &self.0[1..] } else { &[] };
        Parts { text: contents, at: 0 }
    }
}

/// The values between the brackets of an object or a list, keys like values.
struct Parts<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b':');
        self.at += self.text[self.at..].iter().take_while(|byte| between(byte)).count();
        let start = self.at;
        match self.text.get(start)? {
            b'}' | b']' => return None,
            b'"' => self.at = string_end(self.text, start),
            b'{' | b'[' => self.at = nested_end(self.text, start),
            _ => {
                let ends = |byte: &u8| between(byte) || matches!(byte, b'}' | b']');
                self.at += self.text[start..].iter().take_while(|byte| !ends(byte)).count();
            }
        }
        Some(Json(&self.text[start..self.at]))
    }
}

/// Behind the string that begins at `start`. It stops at quotes alone, for texts have more escapes of
/// other kinds: a quote ends the string after an even number of backslashes.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(ahead) = text.get(at..).and_then(|rest| memchr(b'"', rest)) {
        let quote = at + ahead;
        let before = text[start + 1..quote].iter().rev();
        at = quote + 1;
        if before.take_while(|&&byte| byte == b'\\').count() % 2 == 0 {
            return at;
        }
    }
    text.len()
}

/// Behind the object or list that begins at `start`.
fn nested_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// What stands between the quotes of a JSON string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The string's bytes: UTF-8, but for halves of surrogate pairs (`"\ud83d"`), which JSON can
    /// spell and Unicode text cannot hold. They take three bytes each, as in WTF-8.
    pub(crate) fn decoded(self) -> Cow<'a, [u8]> {
        if memchr(b'\\', self.0).is_none() {
            return Cow::Borrowed(self.0);
        }
        let mut out = Vec::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some(at) = memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = unescape(&rest[at + 1..], &mut out);
        }
        out.extend_from_slice(rest);
        Cow::Owned(out)
    }
}

/// Takes what follows a backslash; gives what follows that.
fn unescape<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((&byte, rest)) = rest.split_first() else { return rest };
    out.push(match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => return unescape_unit(rest, out),
        byte => byte,
    });
    rest
}

fn unescape_unit<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((unit, rest)) = hex_unit(rest) else { return rest };
    if (0xd800..0xdc00).contains(&unit)
        && let Some(after) = rest.strip_prefix(b"\\u")
        && let Some((low, after)) = hex_unit(after)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        push_code(code, out);
        return after;
    }
    push_code(unit, out);
    rest
}

fn hex_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// UTF-8 of a code, of surrogates too.
fn push_code(code: u32, out: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.extend(
            [0xe0 | code >> 12, 0x80 | code >> 6 & 0x3f, 0x80 | code & 0x3f].map(|byte| byte as u8),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::Json;

    /// The value anew, from what the cursor sees.
    fn rebuilt(json: Json) -> Value {
        if let Some(items) = json.items() {
            return items.map(rebuilt).collect();
        }
        if json.is_object() {
            let text = |key: super::Text| String::from_utf8(key.decoded().into_owned()).unwrap();
            return json.members().map(|(key, value)| (text(key), rebuilt(value))).collect();
        }
        match json.string() {
            Some(text) => String::from_utf8(text.decoded().into_owned()).unwrap().into(),
            None => json.value().unwrap(),
        }
    }

    #[test]
    fn every_part_is_seen() {
        let value =
            json!({"a": [1, -2.5e3, null, true, "x\"y\\", {}], "b": {"c": []}, "é😀": "\u{1}"});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            assert_eq!(rebuilt(Json::new(text.as_bytes())), value);
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let json = Json::new(br#"{"a":1,"\u0061":2,"b":3}"#);
        let [a, b, c] = json.values(["a", "b", "c"]).map(|value| value.and_then(Json::value));
        assert_eq!((a, b, c), (Some(json!(2)), Some(json!(3)), None));
    }

    #[test]
    fn surrogates_are_joined_or_kept_as_halves() {
        let decoded =
            |text: &str| Json::new(text.as_bytes()).string().unwrap().decoded().into_owned();
        assert_eq!(decoded(r#""\ud83d\ude00\/\b""#), "😀/\u{8}".as_bytes());
        assert_eq!(decoded(r#""\ud83d x\ude00""#), b"\xed\xa0\xbd x\xed\xb8\x80");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_sees_what_serde_sees(value in any_json()) {
            prop_assert_eq!(rebuilt(Json::new(value.to_string().as_bytes())), value.clone());
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(rebuilt(Json::new(pretty.as_bytes())), value);
        }

        #[test]
        fn parts_of_any_bytes_are_no_more_than_the_bytes(text in "[\\[\\]{}\",:\\\\ u1a\n]{0,40}") {
            let mut parts = 0;
            for (key, value) in Json::new(text.as_bytes()).members() {
                prop_assert!(key.decoded().len() <= text.len());
                parts += 1 + value.items().into_iter().flatten().count();
            }
            prop_assert!(parts <= text.len());
        }
    }
}
