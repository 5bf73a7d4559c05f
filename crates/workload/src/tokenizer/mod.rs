mod builtin;
mod byte_level;
mod cleanup;
mod error;
mod hf;
mod hub;
mod hub_cache;
mod spec;
mod template;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use turnbench_model::{ChatTemplate, Tokenizer, TokenizerSource};

pub use builtin::BuiltinTokenizer;
pub use cleanup::DecodeCleanup;
pub use error::LoadError;
pub use hf::HfTokenizer;
pub use hub::HubSettings;
pub use spec::TokenizerSpec;
pub use template::JinjaTemplate;
pub(crate) use words::WordTokenizer;

/// A tokenizer with what came along.
#[derive(Clone)]
pub struct Loaded {
    /// The tokenizer.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// The model's chat template, where it has a usable one.
    pub template: Option<Arc<dyn ChatTemplate>>,
    /// Why a chat template that is there is not usable.
    pub template_error: Option<String>,
    /// Where its files are; `None` for a builtin one.
    pub directory: Option<PathBuf>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Loaded")
            .field("vocab_size", &self.tokenizer.vocab_size())
            .field("template", &self.template.is_some())
            .field("template_error", &self.template_error)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Loads a tokenizer; Hub ids with the settings of the environment.
///
/// # Errors
/// When it is not there, can't be fetched or is malformed; [`LoadError::NotLocal`] for
/// [`TokenizerSource::Server`] and [`TokenizerSource::None`], which the caller handles.
pub fn load_tokenizer(
    source: &TokenizerSource,
    cleanup: DecodeCleanup,
) -> Result<Loaded, LoadError> {
    load_tokenizer_with(source, cleanup, &HubSettings::from_env())
}

/// [`load_tokenizer`] with given Hub settings.
///
/// # Errors
/// As [`load_tokenizer`].
pub fn load_tokenizer_with(
    source: &TokenizerSource,
    cleanup: DecodeCleanup,
    hub: &HubSettings,
) -> Result<Loaded, LoadError> {
    match source {
        TokenizerSource::Directory(directory) => from_directory(Path::new(directory), cleanup),
        TokenizerSource::Hub(id) => from_directory(&hub.fetch(id)?, cleanup),
        TokenizerSource::Builtin(name) => Ok(Loaded {
            tokenizer: Arc::new(BuiltinTokenizer::new(name)?),
            template: None,
            template_error: None,
            directory: None,
        }),
        TokenizerSource::Server | TokenizerSource::None => Err(LoadError::NotLocal),
    }
}

fn from_directory(directory: &Path, cleanup: DecodeCleanup) -> Result<Loaded, LoadError> {
    let tokenizer = HfTokenizer::from_directory(directory, cleanup)?;
    let (template, template_error) = match JinjaTemplate::from_directory(directory) {
        Ok(template) => (template, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Loaded {
        tokenizer: Arc::new(tokenizer),
        template: template.map(|template| Arc::new(template) as Arc<dyn ChatTemplate>),
        template_error,
        directory: Some(directory.to_owned()),
    })
}

/// The file's text, or `None` if there is no such file.
fn read_optional(path: &Path) -> Result<Option<String>, LoadError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoadError::Read { path: path.to_owned(), source }),
    }
}

/// `tokenizer_config.json` of a directory; an empty object if there is none.
fn read_config(directory: &Path) -> Result<serde_json::Value, LoadError> {
    let path = directory.join("tokenizer_config.json");
    let Some(text) = read_optional(&path)? else {
        return Ok(serde_json::Value::Object(serde_json::Map::new()));
    };
    serde_json::from_str(&text).map_err(|error| LoadError::MalformedConfig {
        path,
        line: error.line(),
        column: error.column().max(1),
        source: error,
    })
}
