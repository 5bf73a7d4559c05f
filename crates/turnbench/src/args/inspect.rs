use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DataSetArgs, MaxTurnsArgs, TokenizerArgs, number};

/// `turnbench inspect`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = "Examples:\n  turnbench inspect conversations.json\n  \
    turnbench inspect trace.jsonl --format json\n  \
    turnbench inspect sharegpt.json -m Qwen/Qwen3-8B --block-size 16,64,512"
)]
pub(crate) struct InspectArgs {
    /// A data set or trace, or a generator config ("filetype": "generate_conversations")
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Model whose tokenizer and chat template are used: a directory or a Hub id (or any
    /// --tokenizer source) [default: builtin:o200k_base, which has no chat template]
    ///
    /// A trace without text is reported from its recorded lengths and block names. With a model or
    /// tokenizer given, its text is made first, as run makes it.
    #[arg(short, long)]
    pub model: Option<String>,

    /// Tokens in a block of the cache, one size or several [default: 16; traces with block names
    /// have their own]
    #[arg(long, value_parser = block_size, value_delimiter = ',', value_name = "TOKENS")]
    pub block_size: Vec<NonZeroU32>,

    /// Seed of every random stream
    #[arg(long, value_parser = number::seed, default_value_t = 0)]
    pub seed: u64,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: InspectFormat,

    #[command(flatten)]
    pub max_turns: MaxTurnsArgs,

    #[command(flatten)]
    pub data_set: DataSetArgs,

    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
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

fn block_size(text: &str) -> Result<NonZeroU32, String> {
    let size = number::positive(text)?;
    NonZeroU32::new(size).ok_or_else(|| "it must not be 0".to_owned())
}
