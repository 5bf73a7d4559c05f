use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use turnbench_model::TokenizerError;

use crate::engine::EngineError;

/// Why a simulated server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens there.
    #[error("{addr} is in use\nhint: choose another port, or 0 for any free one")]
    AddressInUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Options that cannot work.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An option beside the engine's that cannot work.
    #[error("{option} is {value}; it {allowed}")]
    Option {
        /// Name of the option, as in [`crate::ServerOptions`] or [`crate::raw::RawOptions`].
        option: &'static str,
        /// The value seen.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The tokenizer has no id whose text could be an answer.
    #[error("the tokenizer has no token with a text of its own to answer with")]
    NoAnswerTokens,
    /// The tokenizer fails.
    #[error("the tokenizer fails: {0}")]
    Tokenizer(#[from] TokenizerError),
    /// The truth file cannot be written.
    #[error("cannot create the truth file {}: {source}", path.display())]
    Truth {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The raw server needs Linux.
    #[error("raw speed needs Linux (epoll)\nhint: the simulated server works here")]
    RawUnsupported,
    /// No runtime, thread or timer could be had.
    #[error("cannot run the server: {0}")]
    Runtime(#[source] io::Error),
}
