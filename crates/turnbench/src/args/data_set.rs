use clap::{Args, ValueEnum};

use super::number;

/// Which conversations of an input file are used.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Data set")]
pub(crate) struct DataSetArgs {
    /// Format of the input file, when it is not recognized (docs/formats.md lists them)
    #[arg(long, value_name = "FORMAT")]
    pub input_format: Option<String>,

    /// Take the first N conversations; the file is read no further
    #[arg(long, value_parser = number::positive, value_name = "N", conflicts_with = "sample")]
    pub max_conversations: Option<u32>,

    /// Take N conversations at random, from --seed
    #[arg(long, value_parser = number::positive, value_name = "N")]
    pub sample: Option<u32>,

    /// End at the first row that is no conversation, instead of skipping and counting it
    #[arg(long)]
    pub strict: bool,

    /// Drop conversations of fewer messages
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub min_turns: Option<u32>,

    /// Drop conversations with a message of fewer characters
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub min_content_len: Option<u32>,

    /// Drop conversations with a message of more characters
    #[arg(long, value_parser = number::positive, value_name = "N")]
    pub max_content_len: Option<u32>,

    /// Drop conversations with a message of fewer tokens
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub min_content_tokens: Option<u32>,

    /// Drop conversations with a message of more tokens
    #[arg(long, value_parser = number::positive, value_name = "N")]
    pub max_content_tokens: Option<u32>,

    /// Most tokens of a prompt and its answer (without a chat template)
    #[arg(long, value_parser = number::positive, value_name = "TOKENS")]
    pub max_model_len: Option<u32>,

    /// What becomes of conversations that exceed --max-model-len
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub over_model_len: OverModelLenArg,
}

/// `--over-model-len`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum OverModelLenArg {
    /// They are left out
    #[default]
    Drop,
    /// They end before the first turn that is too long
    Cut,
}
