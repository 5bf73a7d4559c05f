use std::io;
use std::path::PathBuf;

use turnbench_model::TokenizerError;

/// Why conversations could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output file could not be made.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The output file could not be finished; what was there before still is.
    #[error("cannot finish {}: {source}", path.display())]
    Finish {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Writing failed.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// Text is to be taken apart into blocks without a tokenizer.
    #[error(
        "conversation {conversation:?} has text without lengths and block names, which Mooncake \
         rows need\nhint: name a tokenizer with --tokenizer"
    )]
    NoTokenizer {
        /// Its id.
        conversation: String,
    },
    /// The blocks of a trace cannot be joined to those that are asked for.
    #[error(
        "conversation {conversation:?} has names of blocks of {recorded} tokens, allowed for \
         --block-size is a multiple of it, seen is {asked}"
    )]
    BlockSize {
        /// Its id.
        conversation: String,
        /// Tokens of a block of it.
        recorded: u32,
        /// Tokens of a block in the output.
        asked: u32,
    },
    /// The tokenizer failed on a conversation.
    #[error("tokenizer failed on conversation {conversation:?}: {source}")]
    Tokenizer {
        /// Its id.
        conversation: String,
        /// Why.
        #[source]
        source: TokenizerError,
    },
}
