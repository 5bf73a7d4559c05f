use serde::Serialize;
use turnbench_metrics::RunReport;

use crate::ReportError;

/// The run report as JSON, indented, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`], which takes a plan with unusual content (a map with keys that are not
/// strings).
pub fn run_report_json(report: &RunReport) -> Result<String, ReportError> {
    pretty("run report", report)
}

/// Indented, with a line feed at the end.
pub(super) fn pretty(what: &'static str, value: &impl Serialize) -> Result<String, ReportError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|source| ReportError::Json { what, source })?;
    Ok(text + "\n")
}
