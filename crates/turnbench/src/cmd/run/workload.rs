use std::sync::Arc;

use rayon::prelude::*;
use turnbench_model::{
    Compat, Content, Conversation, Message, Tokenizer, TokenizerError, TokenizerSource, TurnRules,
    WorkloadSource,
};
use turnbench_workload::{DataSet, Input, message_tokens};

use crate::args::{OutputFormat, RunArgs};
use crate::cmd::{data_set, output, show};
use crate::exit::Exit;
use crate::resolve::DataSetChoice;

/// The input file, read as far as it can be without a tokenizer.
pub(crate) enum Opened {
    Generator(turnbench_workload::GeneratorFile),
    DataSet(Box<DataSet>),
}

impl Opened {
    /// Opens and reads the input file. `tokenizer` is asked for when a filter counts tokens.
    pub(crate) fn read(
        args: &RunArgs,
        choice: &DataSetChoice,
        compat: Compat,
        tokenizer: impl FnOnce() -> Result<Option<Arc<dyn Tokenizer>>, Exit>,
    ) -> Result<Self, Exit> {
        let source = match data_set::open(&args.input_file, choice)? {
            Input::Generator(file) => return Ok(Self::Generator(file)),
            Input::DataSet(source) => source,
        };
        let format = source.format();
        if compat == Compat::Vllm && format.name != REFERENCE_FORMAT {
            return Err(Exit::usage(format!(
                "--input-file '{}' is of the format {}; with --compat vllm it must be {REFERENCE_FORMAT}, \
                 as the reference reads no other\nhint: turnbench convert {} '{0}' OUT.json",
                args.input_file.display(),
                format.name,
                format.name
            )));
        }
        let tokenizer = if choice.filters.need_tokens() { tokenizer()? } else { None };
        let set = data_set::read(source, choice, tokenizer.as_deref())?;
        Ok(Self::DataSet(Box::new(set)))
    }

    /// Conversations that there will be.
    pub(crate) fn conversations_count(&self) -> usize {
        match self {
            Self::Generator(file) => file.config.num_conversations as usize,
            Self::DataSet(set) => set.conversations.len(),
        }
    }

    /// SHA-256 of the file, when all of it was read.
    pub(crate) fn sha256(&self) -> Option<String> {
        match self {
            Self::Generator(file) => file.sha256.clone(),
            Self::DataSet(set) => set.sha256.clone(),
        }
    }

    /// Makes what is not there yet: the conversations of a generator config, the text of a trace.
    pub(crate) fn conversations(
        self,
        args: &RunArgs,
        tokenizer: Option<&Arc<dyn Tokenizer>>,
    ) -> Result<(WorkloadSource, Vec<Conversation>), Exit> {
        let is_table = args.format == OutputFormat::Table;
        match self {
            Self::DataSet(set) => {
                let DataSet { format, mut conversations, .. } = *set;
                data_set::fill(&mut conversations, tokenizer, args.seed)?;
                if is_table {
                    output::print(&show::messages_table(&conversations))?;
                }
                Ok((WorkloadSource::DataSet { format: format.name.to_owned() }, conversations))
            }
            Self::Generator(file) => {
                let Some(tokenizer) = tokenizer else {
                    return Err(Exit::usage(
                        "--tokenizer is none, but the input file is a generator config, whose \
                         conversations are made with a tokenizer\nhint: --tokenizer builtin:o200k_base",
                    ));
                };
                let conversations = data_set::generated(&file, tokenizer, args.seed)?;
                if is_table {
                    output::print(&data_set::stats_tables(&file, &conversations, &**tokenizer)?)?;
                }
                let parameters = file.config.parameters();
                Ok((WorkloadSource::Generator { parameters }, conversations))
            }
        }
    }
}

/// The only format of conversations that the reference reads.
const REFERENCE_FORMAT: &str = "conversations";

/// Each recorded answer's tokens, counted once, in parallel; `None` where there is no answer, no
/// tokenizer, or a recorded length that needs no counting.
pub(crate) fn answer_tokens(
    conversations: &[Conversation],
    tokenizer: Option<&dyn Tokenizer>,
    rules: TurnRules,
    source: &TokenizerSource,
) -> Result<Vec<Vec<Option<u32>>>, Exit> {
    let counted = conversations.par_iter().map(|conversation| {
        let turns = conversation.turns(rules).into_iter().enumerate();
        turns
            .map(|(turn, span)| {
                let (Some(answer), Some(tokenizer)) = (span.answer, tokenizer) else {
                    return Ok(None);
                };
                let recorded = conversation.recorded_turn(turn);
                if recorded.is_some_and(|turn| turn.max_tokens.is_some()) {
                    return Ok(None);
                }
                answer_length(&conversation.messages[answer], tokenizer, rules.compat)
            })
            .collect()
    });
    let counted: Result<_, TokenizerError> = counted.collect();
    counted.map_err(|error| tokenizer_failed(&error, source))
}

fn answer_length(
    answer: &Message,
    tokenizer: &dyn Tokenizer,
    compat: Compat,
) -> Result<Option<u32>, TokenizerError> {
    let tokens = match compat {
        Compat::Vllm => tokenizer.count(&answer.content.text())?,
        // A place where an answer goes, without one.
        Compat::None if answer.content == Content::Null && answer.extra.is_empty() => {
            return Ok(None);
        }
        Compat::None => message_tokens(answer, tokenizer)?,
    };
    Ok(Some(u32::try_from(tokens).unwrap_or(u32::MAX)))
}

/// A recorded answer cannot be tokenized.
fn tokenizer_failed(error: &TokenizerError, source: &TokenizerSource) -> Exit {
    Exit::usage(match source {
        TokenizerSource::Server => format!(
            "--tokenizer server: {error}\nhint: not every server has /tokenize; name another \
             tokenizer, or none"
        ),
        TokenizerSource::Directory(_)
        | TokenizerSource::Hub(_)
        | TokenizerSource::Builtin(_)
        | TokenizerSource::None => format!("the tokenizer failed: {error}"),
    })
}
