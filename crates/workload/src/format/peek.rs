use std::io::{self, Read};

use serde_json::Value;

use super::parquet_rows::ParquetFile;

/// Most bytes of a file's beginning that are looked at.
const BYTES_MAX: usize = 1 << 20;

/// How Parquet files begin and end.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Most rows of the beginning that are looked at.
const ROWS_MAX: usize = 16;

/// The beginning of a file: what formats are recognized by.
#[derive(Debug)]
pub struct Peek {
    bytes: Vec<u8>,
    container: Container,
    rows: Vec<Value>,
    parquet: Option<ParquetFile>,
}

/// What kind of file it is, whatever it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Container {
    /// One JSON list.
    JsonList,
    /// JSON values after one another, usually one a line; or just one.
    JsonValues,
    /// Apache Parquet.
    Parquet,
    /// Anything else, such as CSV.
    Text,
    /// Nothing but blanks.
    Empty,
}

impl Peek {
    /// Reads the beginning of `source`.
    pub(crate) fn of(source: &mut dyn Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        source.take(BYTES_MAX as u64).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim_start();
        let container = match text.as_bytes() {
            [] => Container::Empty,
            _ if bytes.starts_with(PARQUET_MAGIC) => Container::Parquet,
            [b'[', ..] => Container::JsonList,
            [b'{', ..] => Container::JsonValues,
            _ => Container::Text,
        };
        let rows = match container {
            Container::JsonList => first_rows(&text[1..]),
            Container::JsonValues => first_rows(text),
            Container::Parquet | Container::Text | Container::Empty => Vec::new(),
        };
        Ok(Self { bytes, container, rows, parquet: None })
    }

    /// What kind of file it is.
    pub const fn container(&self) -> Container {
        self.container
    }

    /// The first rows of a JSON file: items of its list, or values after one another. The last may
    /// be incomplete, when the file goes on beyond what was looked at.
    pub fn rows(&self) -> &[Value] {
        &self.rows
    }

    /// The first row, if there is one.
    pub fn first(&self) -> &Value {
        self.rows.first().unwrap_or(&Value::Null)
    }

    /// Whether one of the first rows has all these keys.
    pub fn has_keys(&self, keys: &[&str]) -> bool {
        self.rows.iter().any(|row| keys.iter().all(|key| row.get(key).is_some()))
    }

    /// The first line, without its end.
    pub fn first_line(&self) -> String {
        let line = self.bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        line.trim_start_matches('\u{feff}').trim_end_matches('\r').to_owned()
    }

    /// The names of the outermost columns of a Parquet file.
    pub fn parquet_columns(&self) -> Vec<&str> {
        self.parquet.iter().flat_map(ParquetFile::columns).collect()
    }

    /// The Parquet file that it is, its footer read.
    pub(crate) const fn parquet(&self) -> Option<&ParquetFile> {
        self.parquet.as_ref()
    }

    /// The same, with what a Parquet file says at its end.
    pub(crate) fn with_parquet(self, file: ParquetFile) -> Self {
        Self { parquet: Some(file), ..self }
    }

    /// The bytes looked at.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Parses values until the text ends or is none; one that is cut off is completed.
fn first_rows(mut text: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    while rows.len() < ROWS_MAX {
        text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                rows.push(value);
                text = &text[values.byte_offset()..];
            }
            Some(Err(error)) if error.is_eof() => {
                rows.extend(completed(text));
                break;
            }
            Some(Err(_)) | None => break,
        }
    }
    rows
}

/// The value that a cut-off text begins: cut back to its last complete part, and closed.
fn completed(text: &str) -> Option<Value> {
    let mut closers = Vec::new();
    // Where the text may be cut, and what closes it there.
    let mut cut: Option<(usize, Vec<u8>)> = None;
    let (mut in_string, mut escaped) = (false, false);
    for (place, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                closers.push(byte + 2);
                cut = Some((place + 1, closers.clone()));
            }
            b'}' | b']' => {
                closers.pop();
                cut = Some((place + 1, closers.clone()));
            }
            b',' => cut = Some((place, closers.clone())),
            _ => {}
        }
    }
    let (place, closers) = cut?;
    let mut complete = text[..place].to_owned();
    complete.extend(closers.iter().rev().map(|&byte| char::from(byte)));
    serde_json::from_str(&complete).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Container, Peek};

    fn peek(text: &str) -> Peek {
        Peek::of(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn the_kind_of_file_shows_in_its_first_bytes() {
        for (text, container) in [
            (" \n", Container::Empty),
            ("\u{feff} [1]", Container::JsonList),
            ("{}", Container::JsonValues),
            ("PAR1...", Container::Parquet),
            ("a,b\r\n1,2", Container::Text),
        ] {
            assert_eq!(peek(text).container(), container, "{text:?}");
        }
        assert_eq!(peek("\u{feff}a,b\r\n1,2").first_line(), "a,b");
    }

    #[test]
    fn rows_are_parsed_and_the_last_is_completed() {
        let expect = [json!({"a": 1}), json!({"b": [{"c": "x"}]})];
        assert_eq!(peek("{\"a\":1}\n{\"b\":[{\"c\":\"x\"}]}\n").rows(), expect);
        assert_eq!(peek("[{\"a\":1}, {\"b\":[{\"c\":\"x\"},{\"d\":\"y").rows()[0], expect[0]);
        let cut = peek("{\"a\":1,\"b\":[{\"c\":\"x,]\\\"\",\"d\":\"y");
        assert_eq!(cut.rows(), [json!({"a": 1, "b": [{"c": "x,]\""}]})]);
        assert_eq!(peek("{\"a").rows(), [json!({})]);
        assert!(peek("[").rows().is_empty());
        assert!(cut.has_keys(&["a", "b"]) && !cut.has_keys(&["c"]));
    }
}
