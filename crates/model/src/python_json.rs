//! JSON text exactly as Python's `json.dumps` writes it.
//!
//! Separators `", "` and `": "`, or one item per line with an indent; every character outside ASCII
//! as `\uXXXX` (surrogate pairs above U+FFFF); floats as Python's `repr`. Request bodies and output
//! files of Python programs can be repeated byte for byte with it.
//!
//! ```
//! use turnbench_model::python_json::{float_repr, to_python_json};
//!
//! let value = serde_json::json!({"model": "m", "messages": ["é", 1.0]});
//! assert_eq!(to_python_json(&value), r#"{"model": "m", "messages": ["\u00e9", 1.0]}"#);
//! assert_eq!(float_repr(0.00001), "1e-05");
//! ```

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// `json.dumps(value)`.
///
/// Integers outside 64 bits, which [`Value`] holds as floats, come out as floats.
pub fn to_python_json(value: &Value) -> String {
    dump(value, PythonFormatter::compact())
}

/// `json.dumps(value, indent=indent)`: one item per line, no newline at the end.
pub fn to_python_json_indented(value: &Value, indent: usize) -> String {
    dump(value, PythonFormatter::indented(indent))
}

fn dump(value: &Value, formatter: PythonFormatter) -> String {
    let mut out = Vec::with_capacity(128);
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, formatter));
    debug_assert!(written.is_ok(), "a value has string keys, and memory takes every byte");
    String::from_utf8(out).unwrap_or_default()
}

/// Appends `text` as a JSON string with its quotes. U+007F stands as it is, as in Python.
pub fn escape_into(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape_contents_into(text, out);
    out.push(b'"');
}

/// Appends `text` as it stands between the quotes of a JSON string, so that a string can be written
/// in several parts.
pub fn escape_contents_into(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, character) in text.char_indices().filter(|&(_, character)| needs_escape(character)) {
        out.extend_from_slice(&bytes[plain_from..at]);
        plain_from = at + character.len_utf8();
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    hex_escape_into(*unit, out);
                }
            }
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
}

const fn needs_escape(character: char) -> bool {
    matches!(character, '\0'..='\x1f' | '"' | '\\' | '\u{80}'..)
}

fn hex_escape_into(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(b"0123456789abcdef"[usize::from(unit >> shift) & 0xf]);
    }
}

/// Python's `repr(value)`: the shortest digits that read back the same, with an exponent below
/// 1e-4 and from 1e16 on, of two digits at least. `NaN`, `Infinity` and `-Infinity` as
/// `json.dumps` spells them.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// A [`Formatter`] that makes serde_json write as Python does, for any [`Serialize`] type.
///
/// serde_json writes `null` for NaN and infinities before a formatter sees them.
#[derive(Clone, Debug)]
pub struct PythonFormatter {
    indent: Option<usize>,
    depth: usize,
    /// Whether the innermost open array or object has an item.
    has_items: bool,
    /// Whether characters outside ASCII stand as they are.
    unicode: bool,
    scratch: Vec<u8>,
}

impl PythonFormatter {
    /// Everything on one line, as without `indent`.
    pub const fn compact() -> Self {
        Self::new(None)
    }

    /// One item per line, `indent` spaces for each level.
    pub const fn indented(indent: usize) -> Self {
        Self::new(Some(indent))
    }

    /// Characters outside ASCII stand as they are, as with `ensure_ascii=False`.
    #[must_use]
    pub fn with_unicode(self) -> Self {
        Self { unicode: true, ..self }
    }

    const fn new(indent: Option<usize>) -> Self {
        Self { indent, depth: 0, has_items: false, unicode: false, scratch: Vec::new() }
    }

    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: u8) -> io::Result<()> {
        self.depth += 1;
        self.has_items = false;
        writer.write_all(&[bracket])
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: u8) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.has_items {
            self.newline(writer)?;
        }
        self.has_items = true;
        writer.write_all(&[bracket])
    }

    fn item<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self.indent) {
            (true, _) => {}
            (false, None) => writer.write_all(b", ")?,
            (false, Some(_)) => writer.write_all(b",")?,
        }
        self.newline(writer)
    }

    fn newline<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        let Some(indent) = self.indent else { return Ok(()) };
        write!(writer, "\n{:width$}", "", width = indent * self.depth)
    }
}

impl Formatter for PythonFormatter {
    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(float_repr(value.into()).as_bytes())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float_repr(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.unicode || fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        self.scratch.clear();
        escape_contents_into(fragment, &mut self.scratch);
        writer.write_all(&self.scratch)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b'[')
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b']')
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.has_items = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b'{')
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b'}')
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.has_items = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        PythonFormatter, escape_into, float_repr, to_python_json, to_python_json_indented,
    };

    #[test]
    fn floats_are_python_reprs() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_012_345, "1.2345e-05"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (-2.5e-7, "-2.5e-07"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expect) in cases {
            assert_eq!(float_repr(value), expect);
        }
    }

    #[test]
    fn strings_are_ascii_with_surrogate_pairs_and_a_literal_delete() {
        let mut out = Vec::new();
        escape_into("a\"\\\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{80}é\u{feff}🙂z", &mut out);
        let expect =
            "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}\\u0080\\u00e9\\ufeff\\ud83d\\ude42z\"";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        let unicode = PythonFormatter::compact().with_unicode();
        assert_eq!(super::dump(&json!(["é", "\n"]), unicode), r#"["é", "\n"]"#);
        assert_eq!(to_python_json(&json!("\u{1f}\"é")), r#""\u001f\"\u00e9""#);
    }

    #[test]
    fn compact_text_has_pythons_separators() {
        let value = json!({"a": [1, 2.5, true, null, {}], "b": {"c": []}, "d": -3});
        let expect = r#"{"a": [1, 2.5, true, null, {}], "b": {"c": []}, "d": -3}"#;
        assert_eq!(to_python_json(&value), expect);
    }

    #[test]
    fn indented_text_keeps_empty_containers_on_one_line() {
        let value = json!([{"a": [], "b": {}, "c": [1, [2]]}, "x"]);
        let expect = "[\n  {\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n      1,\n      [\n        2\n      ]\n    ]\n  },\n  \"x\"\n]";
        assert_eq!(to_python_json_indented(&value, 2), expect);
        assert_eq!(to_python_json_indented(&json!([]), 4), "[]");
    }
}
