use turnbench_metrics::WorkloadReport;

use crate::ReportError;

/// The workload report as JSON, indented, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`]; never in practice.
pub fn workload_json(report: &WorkloadReport) -> Result<String, ReportError> {
    super::json::pretty("workload report", report)
}
