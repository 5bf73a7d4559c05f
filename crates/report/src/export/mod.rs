//! Files for people and programs: bytes, or lists that are written entry by entry to whatever the
//! caller opened.

mod cache_json;
mod conversations;
mod json;
mod list;
mod stats_json;
mod tiers_json;
mod workload_json;
mod xlsx;

pub use cache_json::cache_json;
pub use conversations::ConversationsJson;
pub use json::run_report_json;
pub use stats_json::{FailedRequestsJson, StatsKeys, failed_requests_path, stats_json};
pub use tiers_json::tiers_json;
pub use workload_json::workload_json;
pub use xlsx::{Workbook, workbook_file_name};
