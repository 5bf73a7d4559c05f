use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use turnbench_metrics::{FailedRequest, RequestRow};

use super::list::{JsonList, to_value};
use crate::ReportError;

/// Keys that the reference writes, in its order. They are the first of a [`RequestRow`].
pub(crate) const REFERENCE_KEYS: usize = 12;

/// Which keys of a request are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsKeys {
    /// The reference's and nothing else.
    Reference,
    /// The reference's first, then ours.
    All,
}

/// `--stats-json-output`: a list of completed requests in order of arrival, as Python's
/// `json.dumps(rows, indent=2)` writes it. What is not known is `null`.
///
/// Readers of the reference's file expect every entry to have its keys, with numbers. Failed
/// requests have none, so they are not in this list but in a file beside it
/// ([`failed_requests_path`]).
///
/// # Errors
/// [`ReportError::Write`].
pub fn stats_json(
    rows: &[RequestRow],
    keys: StatsKeys,
    out: impl Write,
) -> Result<(), ReportError> {
    let mut list = JsonList::new(out, 2);
    for row in rows {
        list.push(entry(row, keys)?)?;
    }
    Ok(list.end()?)
}

/// The row as a JSON object.
pub(crate) fn entry(row: &RequestRow, keys: StatsKeys) -> Result<Value, ReportError> {
    let value = to_value(row, "statistics")?;
    Ok(match (value, keys) {
        (Value::Object(all), StatsKeys::Reference) => {
            Value::Object(all.into_iter().take(REFERENCE_KEYS).collect::<Map<_, _>>())
        }
        (value, _) => value,
    })
}

/// The failed attempts beside [`stats_json`], in the same form, one after another: one object each,
/// with the kind under `error`.
#[derive(Debug)]
pub struct FailedRequestsJson<W>(JsonList<W>);

impl<W: Write> FailedRequestsJson<W> {
    /// An empty list, to be written to `out`.
    pub fn new(out: W) -> Self {
        Self(JsonList::new(out, 2))
    }

    /// Writes a failed attempt.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn push(&mut self, failed: &FailedRequest) -> Result<(), ReportError> {
        Ok(self.0.push(to_value(failed, "failed requests")?)?)
    }

    /// Closes the list.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn end(self) -> Result<(), ReportError> {
        Ok(self.0.end()?)
    }
}

/// Where failed attempts go: `DIR/NAME.failed.json` beside `DIR/NAME.json`.
pub fn failed_requests_path(stats: &Path) -> PathBuf {
    let mut name = stats.file_stem().unwrap_or_default().to_owned();
    name.push(".failed.json");
    stats.with_file_name(name)
}
