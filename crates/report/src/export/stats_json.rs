use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};
use turnbench_metrics::{FailedRequest, RequestRow};
use turnbench_model::python_json::to_python_json_indented;

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
/// [`ReportError::Json`]; never in practice.
pub fn stats_json(rows: &[RequestRow], keys: StatsKeys) -> Result<String, ReportError> {
    let rows: Result<Vec<Value>, _> = rows.iter().map(|row| entry(row, keys)).collect();
    Ok(to_python_json_indented(&Value::Array(rows?), 2))
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

/// The failed attempts beside [`stats_json`], in the same form: one object each, with the kind
/// under `error`.
///
/// # Errors
/// [`ReportError::Json`]; never in practice.
pub fn failed_requests_json(failed: &[FailedRequest]) -> Result<String, ReportError> {
    Ok(to_python_json_indented(&to_value(failed, "failed requests")?, 2))
}

/// Where failed attempts go: `DIR/NAME.failed.json` beside `DIR/NAME.json`.
pub fn failed_requests_path(stats: &Path) -> PathBuf {
    let mut name = stats.file_stem().unwrap_or_default().to_owned();
    name.push(".failed.json");
    stats.with_file_name(name)
}

fn to_value<T: Serialize + ?Sized>(value: &T, what: &'static str) -> Result<Value, ReportError> {
    serde_json::to_value(value).map_err(|source| ReportError::Json { what, source })
}
