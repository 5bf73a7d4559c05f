use std::fmt::Write;

use serde_json::Value;

/// Appends `text` as a JSON string. Non-ASCII text stays as it is, control characters become
/// `\u00xx` in lower case, as the recorded servers write them.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0c => "\\f",
            b'\r' => "\\r",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain..index]);
        if short.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(short);
        }
        plain = index + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends `text` as a JSON string, or `null`.
pub(crate) fn push_optional(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.push_str("null"),
    }
}

/// Appends token ids as a JSON list, or `null`.
pub(crate) fn push_ids(out: &mut String, ids: Option<&[u32]>) {
    let Some(ids) = ids else { return out.push_str("null") };
    out.push('[');
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = write!(out, "{id}");
    }
    out.push(']');
}

/// How the recorded server names a value in a validation error: containers by their size.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("<list of {} items>", items.len()),
        Value::Object(fields) => format!("<dict of {} items>", fields.len()),
    }
}

/// A float as Python and JavaScript would not confuse with an integer: `1.0`, not `1`.
pub(crate) fn float(value: f64) -> String {
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::push_string;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped_and_other_text_is_not() {
        let mut out = String::new();
        push_string(&mut out, "a\"\\\u{1e}\n\u{8}�é");
        assert_eq!(out, "\"a\\\"\\\\\\u001e\\n\\b�é\"");
    }

    proptest! {
        #[test]
        fn any_text_survives_a_json_parser(text in any::<String>()) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
