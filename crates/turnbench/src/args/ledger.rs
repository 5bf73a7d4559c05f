use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

use super::{KvBytesArgs, number};

/// How the cache ledger is made.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache ledger")]
pub(crate) struct LedgerArgs {
    /// Whose token ids prompts are made of, after the run, to tell what could have been reused
    ///
    /// auto: template, where the tokenizer has a chat template; else server, where it can tell and the
    /// run sent no more than 20 MB; else messages.
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    pub prompt_tokens: PromptTokensArg,

    /// Tokens in a block of the server's cache [default: as its metrics say, else 16]
    #[arg(long, value_parser = number::block_size, value_name = "TOKENS")]
    pub block_size: Option<NonZeroU32>,

    #[command(flatten)]
    pub kv_bytes: KvBytesArgs,
}

/// `--prompt-tokens`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum PromptTokensArg {
    /// The best that is to be had
    #[default]
    Auto,
    /// The tokenizer's, on prompts as its chat template renders them
    Template,
    /// The server's own, from its /tokenize: a request for each prompt
    Server,
    /// The tokenizer's, on messages one after another: block boundaries are not the server's
    Messages,
    /// None: no ideal is worked out
    None,
}
