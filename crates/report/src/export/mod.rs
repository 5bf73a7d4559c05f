//! Files for people and programs. Every function returns the bytes; writing them is the
//! caller's.

mod conversations;
mod json;
mod stats_json;
mod workload_json;
mod xlsx;

pub use conversations::conversations_json;
pub use json::run_report_json;
pub use stats_json::{StatsKeys, failed_requests_json, failed_requests_path, stats_json};
pub use workload_json::workload_json;
pub use xlsx::{Workbook, workbook_file_name};
