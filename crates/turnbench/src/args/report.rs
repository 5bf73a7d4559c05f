use std::path::PathBuf;

use clap::Args;

use super::OutputFormat;

/// `turnbench report`.
#[derive(Debug, Args)]
#[command(display_name = "turnbench")]
pub(crate) struct ReportArgs {
    /// A run directory, complete or cut short
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,

    /// Add the time between the turns of a conversation to the table
    #[arg(short, long)]
    pub verbose: bool,
}
