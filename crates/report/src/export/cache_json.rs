use turnbench_metrics::CacheReport;

use crate::ReportError;

/// The cache report as JSON, indented, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`]; never in practice.
pub fn cache_json(report: &CacheReport) -> Result<String, ReportError> {
    super::json::pretty("cache report", report)
}
