use turnbench_metrics::WorkloadReport;

use crate::ReportError;

/// The workload report as JSON, indented, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`]; never in practice.
pub fn workload_json(report: &WorkloadReport) -> Result<String, ReportError> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|source| ReportError::Json { what: "workload report", source })?;
    Ok(text + "\n")
}
