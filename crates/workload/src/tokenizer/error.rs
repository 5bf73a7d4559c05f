use std::io;
use std::path::PathBuf;

/// Why a tokenizer or its chat template could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The name is none of the forms that are allowed.
    #[error("{given:?} is no tokenizer, allowed is a directory, a Hub id such as \
             meta-llama/Llama-3.1-8B-Instruct, builtin:o200k_base, builtin:cl100k_base, server or \
             none{}", missing_directory(*path_like))]
    UnknownForm {
        /// As typed.
        given: String,
        /// Whether it looks like a path.
        path_like: bool,
    },
    /// There is no such builtin vocabulary.
    #[error(
        "\"builtin:{given}\" is no tokenizer, allowed is builtin:o200k_base or builtin:cl100k_base"
    )]
    UnknownBuiltin {
        /// As typed, without `builtin:`.
        given: String,
    },
    /// The tokenizer is the server's, or there is none.
    #[error("the tokenizer is not a local one")]
    NotLocal,
    /// The directory is not there.
    #[error("no directory {}\nhint: give a directory that holds tokenizer.json", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds no `tokenizer.json`.
    #[error("no tokenizer.json in {}\nhint: a model without a fast tokenizer must be converted \
             first; builtin:o200k_base works without any file", directory.display())]
    NoTokenizerFile {
        /// The directory.
        directory: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot access {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `tokenizer.json` is malformed.
    #[error("{}: not a tokenizer of the tokenizers library: {source}", path.display())]
    MalformedTokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: tokenizers::Error,
    },
    /// `tokenizer_config.json` is malformed.
    #[error("{}:{line}:{column}: malformed JSON: {source}", path.display())]
    MalformedConfig {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The chat template is not valid Jinja.
    #[error("{}: the chat template can't be compiled: {source}", path.display())]
    MalformedTemplate {
        /// The file that holds it.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<minijinja::Error>,
    },
    /// The Hub has no such model.
    #[error(
        "no model {id:?} at {endpoint}\nhint: check the spelling; a private model needs \
             HF_TOKEN; a local model is given as a directory"
    )]
    HubNotFound {
        /// The id.
        id: String,
        /// Base URL of the Hub.
        endpoint: String,
    },
    /// The Hub wants a token, or one with more rights.
    #[error(
        "{endpoint} denies access to {id:?} (status {status})\nhint: accept the model's \
             conditions on its page and set HF_TOKEN to a token that may read it"
    )]
    HubDenied {
        /// The id.
        id: String,
        /// Base URL of the Hub.
        endpoint: String,
        /// 401 or 403.
        status: u16,
    },
    /// The Hub's model has no `tokenizer.json`.
    #[error(
        "model {id:?} at {endpoint} has no tokenizer.json\nhint: name another model with the \
             same tokenizer, or use builtin:o200k_base"
    )]
    HubNoTokenizerFile {
        /// The id.
        id: String,
        /// Base URL of the Hub.
        endpoint: String,
    },
    /// The Hub answered with something else than a file.
    #[error("{url} answered with status {status}, expected 200")]
    HubStatus {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The Hub could not be reached, and the cache does not hold the model.
    #[error("cannot reach {endpoint} for {id:?}, and {} does not hold it: {source}\nhint: check \
             the network and HF_ENDPOINT, or give a directory", cache.display())]
    HubUnreachable {
        /// The id.
        id: String,
        /// Base URL of the Hub.
        endpoint: String,
        /// The cache.
        cache: PathBuf,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Offline mode is on, and the cache does not hold the model.
    #[error("HF_HUB_OFFLINE is set, and {} does not hold {id:?}\nhint: unset HF_HUB_OFFLINE, or \
             give a directory", cache.display())]
    HubOffline {
        /// The id.
        id: String,
        /// The cache.
        cache: PathBuf,
    },
}

fn missing_directory(path_like: bool) -> &'static str {
    if path_like { "\nhint: there is no such directory" } else { "" }
}
