//! The run directory: what a run leaves on disk, written while it goes and read back afterwards.
//!
//! It is the hinge between measuring and computing. Everything that measures only writes here;
//! everything that computes only reads from here.
//!
//! | file | holds | written |
//! | --- | --- | --- |
//! | `plan.json` | every knob, resolved | before the first request |
//! | `environment.json` | versions, machine, server | before the first request |
//! | `records.jsonl` | one raw [`RequestRecord`] a line | as each attempt ends |
//! | `token_counts.jsonl` | one [`TokenCounts`] for each record, in the same order | after the run |
//! | `server_metrics.jsonl` | samples of the server's metrics ([`MetricsWriter`]) | while the run goes |
//! | `run_facts.json` | what became of the conversations | after the run |
//! | `report.json` | the run report | at the end |
//!
//! `turnbench cache tiers` leaves `tiers_plan.json` and `tiers_report.json` instead of plan and report.
//!
//! **Invariant:** a file that exists is readable at any moment, whatever killed the run: JSON
//! files appear whole (written beside and renamed), and a reader drops the last line of a `.jsonl`
//! file if it was cut.
//!
//! A `.jsonl` file is written and read line by line, so that neither takes memory for all of it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let parent = tempfile::tempdir()?;
//! use turnbench_rundir::RunDir;
//!
//! let run_dir = RunDir::create(&parent.path().join("run"))?;
//! run_dir.write_json(turnbench_rundir::REPORT_FILE, &serde_json::json!({"ok": true}))?;
//! assert!(run_dir.path().join("report.json").exists());
//! # Ok(())
//! # }
//! ```
//!
//! [`RequestRecord`]: turnbench_model::RequestRecord
//! [`TokenCounts`]: turnbench_model::TokenCounts

mod error;
mod json_lines;
mod lines_writer;
mod metrics_lines;
mod run_dir;
mod written_lines;

pub use error::RunDirError;
pub use json_lines::{BadLines, JsonLines, Line, LinePlace};
pub use lines_writer::LinesWriter;
pub use metrics_lines::{MetricsReader, MetricsWriter};
pub use run_dir::{
    ENVIRONMENT_FILE, PLAN_FILE, PROMPT_BLOCKS_FILE, PROMPTS_FILE, RECORDS_FILE, REPORT_FILE,
    RUN_FACTS_FILE, RunDir, SERVER_METRICS_FILE, TIERS_PLAN_FILE, TIERS_REPORT_FILE,
    TOKEN_COUNTS_FILE,
};
pub use written_lines::WrittenLines;
