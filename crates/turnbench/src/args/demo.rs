use clap::Args;

use super::OutputFormat;

/// `turnbench demo`.
#[derive(Debug, Args)]
#[command(display_name = "turnbench")]
pub(crate) struct DemoArgs {
    /// Where to keep the run's files ("none": nowhere)
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<String>,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
}
