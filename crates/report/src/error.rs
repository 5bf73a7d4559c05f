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
    /// The file that was written to refused.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// A value has no JSON form; never in practice.
    #[error("the {what} cannot be written as json")]
    Json {
        /// What was to be written.
        what: &'static str,
        /// What the writer says.
        #[source]
        source: serde_json::Error,
    },
}
