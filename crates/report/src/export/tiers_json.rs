use turnbench_metrics::TiersReport;

use crate::ReportError;

/// The tiers report as JSON, indented, with a line feed at the end.
///
/// # Errors
/// [`ReportError::Json`]; never in practice.
pub fn tiers_json(report: &TiersReport) -> Result<String, ReportError> {
    super::json::pretty("tiers report", report)
}
