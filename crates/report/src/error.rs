use thiserror::Error;

/// A report could not be written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The workbook could not be made, e.g. too many rows for a sheet (1,048,576).
    #[error("the excel workbook cannot be made with {rows} requests")]
    Workbook {
        /// Requests that were to be written.
        rows: usize,
        /// What the writer says.
        #[source]
        source: rust_xlsxwriter::XlsxError,
    },
    /// A value has no JSON form.
    #[error("the {what} cannot be written as json")]
    Json {
        /// What was to be written.
        what: &'static str,
        /// What the writer says.
        #[source]
        source: serde_json::Error,
    },
}
