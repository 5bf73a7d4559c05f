use serde::Serialize;
use serde_json::Value;
use turnbench_model::python_json::{escape_into, to_python_json};

/// How JSON is spelled in request bodies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JsonStyle {
    /// No blanks, UTF-8 as it is.
    #[default]
    Compact,
    /// As Python's `json.dumps`: `", "`, `": "`, `\uXXXX` for everything outside ASCII.
    Python,
}

impl JsonStyle {
    pub(crate) const fn comma(self) -> &'static [u8] {
        match self {
            Self::Compact => b",",
            Self::Python => b", ",
        }
    }

    fn write_text(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Compact => self.write(text, out),
            Self::Python => escape_into(text, out),
        }
    }

    fn write(self, value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
        // Neither can fail: memory takes every byte, and these values have string keys.
        match self {
            Self::Compact => serde_json::to_writer(out, value).unwrap_or_default(),
            Self::Python => {
                let value = serde_json::to_value(value).unwrap_or_default();
                out.extend_from_slice(to_python_json(&value).as_bytes());
            }
        }
    }
}

/// A JSON object being written.
pub(crate) struct Object<'a> {
    style: JsonStyle,
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(style: JsonStyle, out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { style, out, empty: true }
    }

    /// An object that has keys already.
    pub(crate) const fn resume(style: JsonStyle, out: &'a mut Vec<u8>) -> Self {
        Self { style, out, empty: false }
    }

    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.extend_from_slice(self.style.comma());
        }
        self.style.write_text(key, self.out);
        self.out.extend_from_slice(match self.style {
            JsonStyle::Compact => b":",
            JsonStyle::Python => b": ",
        });
        self.out
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        let style = self.style;
        style.write_text(text, self.key(key));
    }

    /// A text that is spelled as `inside` says, without quotes, if that is compact.
    pub(crate) fn spelled(&mut self, key: &str, text: &str, inside: Option<&str>) {
        match (self.style, inside) {
            (JsonStyle::Compact, Some(inside)) => {
                let out = self.key(key);
                out.push(b'"');
                out.extend_from_slice(inside.as_bytes());
                out.push(b'"');
            }
            _ => self.text(key, text),
        }
    }

    /// A list that is spelled as `whole` says, brackets included, if that is compact.
    pub(crate) fn spelled_list(&mut self, key: &str, list: &[Value], whole: Option<&str>) {
        match (self.style, whole) {
            (JsonStyle::Compact, Some(whole)) => self.key(key).extend_from_slice(whole.as_bytes()),
            _ => self.value(key, list),
        }
    }

    pub(crate) fn value(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        let style = self.style;
        style.write(value, self.key(key));
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}
