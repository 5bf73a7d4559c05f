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
    #[arg(
        long,
        visible_alias = "max-items",
        value_parser = number::positive,
        value_name = "N"
    )]
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

    /// Drop conversations with a message of more characters (0: no limit)
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub max_content_len: Option<u32>,

    /// Whether messages of ASCII characters alone are wanted [default: any]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub ascii: Option<AsciiArg>,

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

/// `--max-turns` of the commands that send nothing.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Data set")]
pub(crate) struct MaxTurnsArgs {
    /// Most messages of a conversation; a longer one is cut, at an answer
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub max_turns: Option<u32>,
}

/// `--ascii`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AsciiArg {
    /// They may be so or not
    Any,
    /// Every message of a conversation must be so
    Only,
    /// No message of a conversation may be so
    Exclude,
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
