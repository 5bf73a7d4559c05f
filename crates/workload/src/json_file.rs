use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Warning, WorkloadError};

/// Reads bytes as UTF-8 text.
pub(crate) fn to_text(path: &Path, bytes: Vec<u8>) -> Result<String, WorkloadError> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..offset].split(|&byte| byte == b'\n').count();
        WorkloadError::NotUtf8 { path: path.to_owned(), line, offset }
    })
}

/// Parses JSON text; a byte order mark before it is ignored.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Value, WorkloadError> {
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let problem = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        WorkloadError::Syntax {
            path: path.to_owned(),
            line: error.line(),
            // At the end of a line there is no column yet.
            column: error.column().max(1),
            problem,
        }
    })
}

/// A value of a JSON file together with its place, so that complaints about it can name it.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    path: &'a Path,
    line: Option<NonZeroU64>,
    pub(crate) field: String,
    value: Option<&'a Value>,
}

impl<'a> Node<'a> {
    /// The whole document.
    pub(crate) fn root(path: &'a Path, value: &'a Value) -> Self {
        Self { path, line: None, field: String::new(), value: Some(value) }
    }

    /// A row of a file with one a line.
    pub(crate) fn row(path: &'a Path, line: u64, value: &'a Value) -> Self {
        Self { line: NonZeroU64::new(line), ..Self::root(path, value) }
    }

    /// An item (from 0) of a file that is one list.
    pub(crate) fn item(path: &'a Path, index: u64, value: &'a Value) -> Self {
        Self { field: format!("[{index}]"), ..Self::root(path, value) }
    }

    /// Another value in the place of this one: what text in it holds, or another form of it.
    pub(crate) fn holding<'b>(&self, value: &'b Value) -> Node<'b>
    where
        'a: 'b,
    {
        Node { path: self.path, line: self.line, field: self.field.clone(), value: Some(value) }
    }

    /// The value under `key`, present or not.
    pub(crate) fn key(&self, key: &str) -> Self {
        let field = match self.field.as_str() {
            "" => key.to_owned(),
            field => format!("{field}.{key}"),
        };
        let value = self.value.and_then(|value| value.get(key));
        Self { path: self.path, line: self.line, field, value }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<impl Iterator<Item = Self> + use<'_, 'a>> {
        let items = self.value?.as_array()?;
        Some(items.iter().enumerate().map(|(index, item)| Self {
            path: self.path,
            line: self.line,
            field: format!("{}[{index}]", self.field),
            value: Some(item),
        }))
    }

    /// The value; `None` where the key is absent.
    pub(crate) const fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// The value, where absent and `null` mean the same.
    pub(crate) fn not_null(&self) -> Option<&'a Value> {
        self.value.filter(|value| !value.is_null())
    }

    /// The value as an object.
    pub(crate) fn object(&self) -> Result<&'a Map<String, Value>, WorkloadError> {
        self.value.and_then(Value::as_object).ok_or_else(|| self.refuse("a JSON object"))
    }

    /// The value as a string.
    pub(crate) fn string(&self, allowed: &str) -> Result<&'a str, WorkloadError> {
        self.value.and_then(Value::as_str).ok_or_else(|| self.refuse(allowed))
    }

    /// The complaint that this value is not what it must be.
    pub(crate) fn refuse(&self, allowed: &str) -> WorkloadError {
        self.refuse_with_hint(allowed, None)
    }

    /// [`Node::refuse`] with a way out.
    pub(crate) fn refuse_with_hint(
        &self,
        allowed: &str,
        hint: Option<&'static str>,
    ) -> WorkloadError {
        WorkloadError::Field {
            path: self.path.to_owned(),
            line: self.line,
            field: if self.field.is_empty() { "the document".into() } else { self.field.clone() },
            seen: self.value.map_or_else(|| "is missing".to_owned(), seen),
            allowed: allowed.to_owned(),
            hint,
        }
    }

    /// A remark on this value.
    pub(crate) fn remark(&self, problem: &str) -> Warning {
        // Of a whole row nothing else says which one it is.
        let path = match self.line.filter(|_| self.field.is_empty()) {
            Some(line) => PathBuf::from(format!("{}:{line}", self.path.display())),
            None => PathBuf::from(self.path),
        };
        Warning { path, field: self.field.clone(), problem: problem.to_owned() }
    }

    /// A remark on every key of this object that is not among `known`.
    pub(crate) fn unknown_keys(&self, known: &[&str], warnings: &mut Vec<Warning>) {
        let Some(Value::Object(map)) = self.value else { return };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            warnings.push(self.key(key).remark("is an unknown key and has no effect"));
        }
    }
}

/// What a value is, in at most about 60 characters.
pub(crate) fn seen(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 60;
    if value.as_object().is_some_and(|map| !map.is_empty()) {
        return "is an object".to_owned();
    }
    if let Some(items) = value.as_array().filter(|items| !items.is_empty()) {
        return format!("is a list of {}", items.len());
    }
    let text = value.to_string();
    if text.chars().count() <= CHARACTERS_MAX {
        return format!("is {text}");
    }
    let start: String = text.chars().take(CHARACTERS_MAX).collect();
    format!("is {start}…")
}
