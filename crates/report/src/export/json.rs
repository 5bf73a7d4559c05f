use turnbench_metrics::RunReport;

use crate::ReportError;

/// The run report as JSON, indented, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`], which takes a plan with unusual content (a map with keys that are not
/// strings).
pub fn run_report_json(report: &RunReport) -> Result<String, ReportError> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|source| ReportError::Json { what: "run report", source })?;
    Ok(text + "\n")
}
