use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use turnbench_model::python_json::to_python_json_indented;

use crate::ReportError;

/// A list of JSON values, written value by value as Python's `json.dumps(list, indent=indent)`
/// writes it whole (ASCII, no line feed at the end).
#[derive(Debug)]
pub(crate) struct JsonList<W> {
    out: W,
    indent: usize,
    is_empty: bool,
}

impl<W: Write> JsonList<W> {
    pub(crate) fn new(out: W, indent: usize) -> Self {
        Self { out, indent, is_empty: true }
    }

    pub(crate) fn push(&mut self, value: Value) -> io::Result<()> {
        let list = to_python_json_indented(&Value::Array(vec![value]), self.indent);
        let lines = list.strip_prefix('[').and_then(|list| list.strip_suffix("\n]"));
        let start = if std::mem::take(&mut self.is_empty) { '[' } else { ',' };
        write!(self.out, "{start}{}", lines.unwrap_or(&list))
    }

    /// Closes the list, and hands everything on.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.out.write_all(if self.is_empty { b"[]" } else { b"\n]" })?;
        self.out.flush()
    }
}

pub(crate) fn to_value<T: Serialize + ?Sized>(
    value: &T,
    what: &'static str,
) -> Result<Value, ReportError> {
    serde_json::to_value(value).map_err(|source| ReportError::Json { what, source })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use turnbench_model::python_json::to_python_json_indented;

    use super::JsonList;

    #[test]
    fn values_one_by_one_make_the_same_text_as_the_list() {
        let values = [json!({"a": [1, {}], "b": "é\n"}), json!([]), json!(null), json!({"c": {}})];
        for count in 0..=values.len() {
            for indent in [2, 4] {
                let mut text = Vec::new();
                let mut list = JsonList::new(&mut text, indent);
                for value in &values[..count] {
                    list.push(value.clone()).unwrap();
                }
                list.end().unwrap();
                let whole = Value::Array(values[..count].to_vec());
                assert_eq!(
                    String::from_utf8(text).unwrap(),
                    to_python_json_indented(&whole, indent)
                );
            }
        }
    }
}
