use std::path::PathBuf;

use clap::Args;

use super::{DataSetArgs, MaxTurnsArgs, TokenizerArgs, number};

/// A workload that is looked into without a server.
#[derive(Debug, Args)]
pub(crate) struct WorkloadArgs {
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

    /// Seed of every random stream
    #[arg(long, value_parser = number::seed, default_value_t = 0)]
    pub seed: u64,

    #[command(flatten)]
    pub max_turns: MaxTurnsArgs,

    #[command(flatten)]
    pub data_set: DataSetArgs,

    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
}
