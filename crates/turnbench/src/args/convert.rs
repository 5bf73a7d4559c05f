use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DataSetArgs, OverModelLenArg, TokenizerArgs, number};

/// `turnbench convert`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
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

    /// Tokens of a block whose name is written (--to mooncake)
    #[arg(long, value_parser = number::positive, default_value_t = 512, value_name = "TOKENS")]
    pub block_size: u32,

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
    pub choice: ChoiceArgs,

    #[command(flatten)]
    pub tokenizer: TokenizerArgs,
}

/// Which conversations are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Choice")]
pub(crate) struct ChoiceArgs {
    /// Take N conversations at random, from --seed [alias: --sample]
    #[arg(long, value_parser = number::positive, value_name = "N", alias = "sample")]
    pub max_items: Option<u32>,

    /// Take the first N conversations; the file is read no further
    #[arg(long, value_parser = number::positive, value_name = "N", conflicts_with = "max_items")]
    pub max_conversations: Option<u32>,

    /// Drop conversations of fewer messages
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub min_turns: Option<u32>,

    /// Cut conversations of more messages, at an answer
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub max_turns: Option<u32>,

    /// Drop conversations with a message of fewer characters
    #[arg(long, value_parser = number::count, value_name = "N")]
    pub min_content_len: Option<u32>,

    /// Drop conversations with a message of more characters (0: no limit)
    #[arg(long, value_parser = number::count, value_name = "N")]
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

    /// Whether messages of ASCII characters alone are wanted
    #[arg(long, value_enum, value_name = "WHICH")]
    pub ascii: Option<AsciiArg>,

    /// End at the first row that is no conversation, instead of skipping and counting it
    #[arg(long)]
    pub strict: bool,
}

impl ChoiceArgs {
    /// The same choice in the words of the other commands.
    pub(crate) fn data_set(&self) -> DataSetArgs {
        DataSetArgs {
            input_format: None,
            max_conversations: self.max_conversations,
            sample: self.max_items,
            strict: self.strict,
            min_turns: self.min_turns,
            min_content_len: self.min_content_len,
            max_content_len: self.max_content_len.filter(|&max| max > 0),
            min_content_tokens: self.min_content_tokens,
            max_content_tokens: self.max_content_tokens,
            max_model_len: self.max_model_len,
            over_model_len: self.over_model_len,
        }
    }
}

/// `--compat`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ConvertCompatArg {
    /// vLLM's convert_sharegpt_to_openai.py
    Vllm,
}

/// `--ascii`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AsciiArg {
    /// They may be so or not (the default)
    Any,
    /// Every message of a conversation must be so
    Only,
    /// No message of a conversation may be so
    Exclude,
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
