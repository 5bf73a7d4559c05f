use std::sync::Arc;

use turnbench_model::{Tokenizer, TokenizerSource};
use turnbench_workload::{DecodeCleanup, Loaded, TokenizerSpec, load_tokenizer};

use crate::args::{DecodeCleanupArg, TokenizerArgs};
use crate::exit::{Exit, WithExitCode};

/// The tokenizer that the flags name, not loaded yet.
pub(crate) fn source(args: &TokenizerArgs, model: &str) -> Result<TokenizerSource, Exit> {
    let (flag, text) = match &args.tokenizer {
        Some(text) => ("--tokenizer", text.as_str()),
        None => ("--model", model),
    };
    TokenizerSpec::parse(text).map_err(|error| Exit::usage(format!("{flag}: {error}")))
}

/// Loads a local tokenizer with its chat template.
pub(crate) fn load(source: &TokenizerSource, cleanup: DecodeCleanupArg) -> Result<Loaded, Exit> {
    let cleanup = match cleanup {
        DecodeCleanupArg::Auto => DecodeCleanup::Auto,
        DecodeCleanupArg::On => DecodeCleanup::On,
        DecodeCleanupArg::Off => DecodeCleanup::Off,
    };
    load_tokenizer(source, cleanup).or_usage()
}

/// Loads the tokenizer of a command that cannot do without and has no server to ask.
pub(crate) fn load_local(args: &TokenizerArgs, model: &str) -> Result<Arc<dyn Tokenizer>, Exit> {
    let source = source(args, model)?;
    match source {
        TokenizerSource::Server | TokenizerSource::None => Err(Exit::usage(
            "--tokenizer is 'server' or 'none'; this command needs a tokenizer of its own: a \
             directory, a Hub id, builtin:o200k_base or builtin:cl100k_base",
        )),
        TokenizerSource::Directory(_) | TokenizerSource::Hub(_) | TokenizerSource::Builtin(_) => {
            Ok(load(&source, args.decode_cleanup)?.tokenizer)
        }
    }
}
