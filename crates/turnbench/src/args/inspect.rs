use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

use super::{WorkloadArgs, number};

/// `turnbench inspect`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = "Examples:\n  turnbench inspect conversations.json\n  \
    turnbench inspect trace.jsonl --format json\n  \
    turnbench inspect sharegpt.json -m Qwen/Qwen3-8B --block-size 16,64,512"
)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub workload: WorkloadArgs,

    /// Tokens in a block of the cache, one size or several [default: 16; traces with block names
    /// have their own]
    #[arg(long, value_parser = number::block_size, value_delimiter = ',', value_name = "TOKENS")]
    pub block_size: Vec<NonZeroU32>,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: InspectFormat,
}

/// `--format` of `inspect`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// Tables and histograms
    #[default]
    Table,
    /// The workload report (docs/schema/workload-report.json)
    Json,
}
