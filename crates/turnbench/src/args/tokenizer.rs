use clap::{Args, ValueEnum};

/// The tokenizer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tokenizer")]
pub(crate) struct TokenizerArgs {
    /// Tokenizer, when it is not the model's own: a directory, a Hub id, builtin:o200k_base,
    /// builtin:cl100k_base, server (its /tokenize), or none (server-reported usage alone)
    #[arg(long, value_name = "SOURCE")]
    pub tokenizer: Option<String>,

    /// Remove spaces before punctuation from decoded text, as older transformers releases did;
    /// auto follows the current release
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub decode_cleanup: DecodeCleanupArg,
}

/// The clean-up switch of generated text.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum DecodeCleanupArg {
    /// As the current transformers release does for this tokenizer
    #[default]
    Auto,
    /// Always
    On,
    /// Never
    Off,
}
