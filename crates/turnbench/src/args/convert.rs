use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DataSetArgs, MaxTurnsArgs, TokenizerArgs, number};

/// `turnbench convert`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    // FORMAT says it.
    mut_arg("input_format", |arg| arg.hide(true)),
    after_help = "Examples:\n  turnbench convert sharegpt dump.json conversations.json --seed 99 \
    --max-items 128\n  turnbench convert auto trace.jsonl trace-mooncake.jsonl --to mooncake"
)]
pub(crate) struct ConvertArgs {
    /// Format of IN: sharegpt, any other that docs/formats.md lists, or auto
    #[arg(value_name = "FORMAT")]
    pub format: String,

    /// The file to read, which may be compressed (gzip, zstd)
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// The file to write, - for standard output; it appears once it is complete
    #[arg(value_name = "OUT", allow_hyphen_values = true)]
    pub output: PathBuf,

    /// Form of OUT [default: jsonl when its name ends so, otherwise json]
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: Option<TargetArg>,

    /// Tokens of a block whose name is written, with --to mooncake [default: those of the trace's
    /// own blocks, 512 for texts]
    #[arg(long, value_parser = number::positive, value_name = "TOKENS")]
    pub block_size: Option<u32>,

    /// Convert as a reference program does, byte for byte (sharegpt only)
    ///
    /// vLLM's converter shuffles the items before it joins parts, ends at the first bad item, and
    /// keeps only conversations of which every message has a character outside ASCII.
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub compat: Option<ConvertCompatArg>,

    /// Model whose tokenizer counts tokens: a directory or a Hub id (or any --tokenizer source)
    #[arg(short, long, help_heading = "Tokenizer")]
    pub model: Option<String>,

    /// Seed of samples, of made texts, and of the shuffle of --compat
    #[arg(
        long,
        value_parser = number::any_whole,
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub seed: i128,

    #[command(flatten)]
    pub max_turns: MaxTurnsArgs,

    #[command(flatten)]
    pub data_set: DataSetArgs,

    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
}

/// `--compat`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ConvertCompatArg {
    /// vLLM's convert_sharegpt_to_openai.py
    Vllm,
}

/// `--to`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TargetArg {
    /// The list [{"id", "messages"}]
    Json,
    /// {"id", "messages"}, one a line
    Jsonl,
    /// Mooncake's trace rows: lengths, times and block names, no text
    Mooncake,
    /// AIPerf's multi-turn rows: what the user says, and when
    Aiperf,
    /// OpenAI chat rows
    Openai,
}
