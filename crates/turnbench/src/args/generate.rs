use std::path::PathBuf;

use clap::Args;

use super::{DataSetArgs, MaxTurnsArgs, TokenizerArgs, number};

/// `turnbench generate`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = "Example:\n  turnbench generate -i examples/generate_multi_turn.json \
    -m builtin:o200k_base --seed 0 -o conversations.json"
)]
pub(crate) struct GenerateArgs {
    /// Generator config ("filetype": "generate_conversations"), or a data set or trace
    #[arg(short, long, value_name = "FILE")]
    pub input_file: PathBuf,

    /// Model whose tokenizer is used: a directory or a Hub id (or any --tokenizer source)
    #[arg(short, long)]
    pub model: String,

    /// Seed of every random stream
    #[arg(long, value_parser = number::seed, default_value_t = 0)]
    pub seed: u64,

    /// Where to write the conversations; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    #[command(flatten)]
    pub max_turns: MaxTurnsArgs,

    #[command(flatten)]
    pub data_set: DataSetArgs,

    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
}
