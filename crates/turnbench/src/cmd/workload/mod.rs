mod progress;

use turnbench_model::{Conversation, TokenizerSource};
use turnbench_workload::{Input, Loaded};

use super::{data_set, output, tokenizer};
use crate::args::WorkloadArgs;
use crate::exit::Exit;
use crate::resolve;

pub(crate) use progress::Progress;

/// Tokenizer of those who name none.
const DEFAULT_MODEL: &str = "builtin:o200k_base";

/// A workload with what its tokens are counted by.
pub(crate) struct Workload {
    pub(crate) conversations: Vec<Conversation>,
    /// Name of the format that it was read as.
    pub(crate) format: &'static str,
    /// `None` where nothing is to be counted.
    pub(crate) tokenizer: Option<Loaded>,
    pub(crate) tokenizer_name: String,
}

impl Workload {
    /// Reads the file, and loads the tokenizer where it is needed.
    pub(crate) fn read(args: &WorkloadArgs) -> Result<Self, Exit> {
        let choice = resolve::data_set_choice(&args.data_set, args.max_turns.max_turns, args.seed)?;
        let model = args.model.as_deref().unwrap_or(DEFAULT_MODEL);
        let source = source(args, model)?;
        let tokenizer_name = args.tokenizer.tokenizer.as_deref().unwrap_or(model).to_owned();
        let load = || match source {
            TokenizerSource::None => Ok(None),
            TokenizerSource::Directory(_)
            | TokenizerSource::Hub(_)
            | TokenizerSource::Builtin(_)
            | TokenizerSource::Server => {
                tokenizer::load(&source, args.tokenizer.decode_cleanup).map(Some)
            }
        };
        let mut loaded = None;
        let (format, conversations) = match data_set::open(&args.file, &choice)? {
            Input::Generator(file) => {
                loaded = load()?;
                let Some(loaded) = &loaded else { return Err(needs_tokenizer()) };
                let made = data_set::generated(&file, &loaded.tokenizer, args.seed)?;
                ("generator config", made)
            }
            Input::DataSet(data) => {
                let name = data.format().name;
                if choice.filters.need_tokens() {
                    loaded = load()?;
                }
                let tokenizer = loaded.as_ref().map(|loaded| &*loaded.tokenizer);
                (name, data_set::read(data, &choice, tokenizer)?.conversations)
            }
        };
        let mut workload = Self { conversations, format, tokenizer: loaded, tokenizer_name };
        let given = args.model.is_some() || args.tokenizer.tokenizer.is_some();
        let has_text = workload.conversations.iter().any(|one| !one.messages.is_empty());
        if workload.tokenizer.is_none() && (has_text || given) {
            workload.tokenizer = load()?;
        }
        workload.make_text(given, args.seed)?;
        if let Some(error) = workload.tokenizer.as_ref().and_then(|it| it.template_error.as_ref()) {
            output::warn(format!("{error}; prompts are concatenated messages"));
        }
        Ok(workload)
    }

    /// Makes the text of a trace, if its user names a tokenizer.
    fn make_text(&mut self, given: bool, seed: u64) -> Result<(), Exit> {
        match &self.tokenizer {
            Some(loaded) if given => {
                data_set::fill(&mut self.conversations, Some(&loaded.tokenizer), seed)
            }
            _ => Ok(()),
        }
    }
}

fn source(args: &WorkloadArgs, model: &str) -> Result<TokenizerSource, Exit> {
    let source = tokenizer::source(&args.tokenizer, model)?;
    if source == TokenizerSource::Server {
        return Err(Exit::usage(
            "--tokenizer is 'server', but no server is asked here: it must be a directory, a Hub id, \
             builtin:o200k_base, builtin:cl100k_base, or none",
        ));
    }
    Ok(source)
}

fn needs_tokenizer() -> Exit {
    Exit::usage(
        "--tokenizer is none, but the file is a generator config, whose conversations are made \
         with a tokenizer\nhint: leave --tokenizer out",
    )
}
