//! Run reports for people and programs: terminal text and files.
//!
//! Floor 2 of the workspace: imports the model and the metrics. It computes no metric (everything
//! comes from a [`RunReport`](turnbench_metrics::RunReport) or its rows), reads no clock, opens no
//! file and prints nothing: functions return text or bytes, or write to what they are given.
//!
//! ```
//! use turnbench_report::{ReferenceStyle, conversations_text};
//!
//! let text = conversations_text(&[4, 4, 6], ReferenceStyle::default());
//! assert!(text.contains("num_turns    3.0  4.666667"));
//! ```

mod error;
mod export;
mod terminal;

pub use error::ReportError;
pub use export::{
    ConversationsJson, FailedRequestsJson, StatsKeys, Workbook, cache_json, failed_requests_path,
    run_report_json, stats_json, tiers_json, workbook_file_name, workload_json,
};
pub use terminal::{
    Parameters, ReferenceStyle, cache_text, client_text, conversation_table_text,
    conversations_text, correction_text, demo_text, generation_parameters, generator_text,
    headlines_text, ledger_text, outcome_text, parameters_text, selfcheck_text, server_text,
    statistics_text, tiers_text, turns_text, verdict_text, workload_text,
};
pub use turnbench_metrics::metrics_markdown;
