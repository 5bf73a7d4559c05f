use std::io::{self, BufWriter, Write};
use std::path::Path;

use turnbench_model::Conversation;
use turnbench_workload::{Input, OutputFile, write_conversations_json};

use super::{data_set, output, signals, tokenizer};
use crate::args::GenerateArgs;
use crate::exit::{Exit, ExitCode, WithExitCode};
use crate::resolve;

/// Indentation of the reference's conversations files.
const INDENT: usize = 4;

/// `turnbench generate`.
pub(crate) fn generate(args: &GenerateArgs) -> Result<ExitCode, Exit> {
    let choice = resolve::data_set_choice(&args.data_set, args.max_turns.max_turns, args.seed)?;
    let input = data_set::open(&args.input_file, &choice)?;
    if let Some(path) = &args.output_file {
        resolve::check_writable("--output-file", path)?;
    }
    let tokenizer = tokenizer::load_local(&args.tokenizer, &args.model)?;
    let conversations = match input {
        Input::Generator(file) => {
            let conversations = data_set::generated(&file, &tokenizer, args.seed)?;
            // Standard output may be the conversations' place.
            anstream::eprint!("{}", data_set::stats_tables(&file, &conversations, &*tokenizer)?);
            conversations
        }
        Input::DataSet(source) => {
            let mut conversations =
                data_set::read(source, &choice, Some(&*tokenizer))?.conversations;
            data_set::fill(&mut conversations, Some(&tokenizer), args.seed)?;
            conversations
        }
    };
    match &args.output_file {
        Some(path) => write_file(path, &conversations)?,
        None => write_stdout(&conversations)?,
    }
    if let Some(path) = &args.output_file {
        let messages: usize = conversations.iter().map(|one| one.messages.len()).sum();
        anstream::eprintln!(
            "{} with {} in {}",
            output::counted(conversations.len() as u64, "conversation"),
            output::counted(messages as u64, "message"),
            path.display()
        );
    }
    Ok(ExitCode::Done)
}

fn write_file(path: &Path, conversations: &[Conversation]) -> Result<(), Exit> {
    let failed = |error: anyhow::Error| error.context(format!("cannot write '{}'", path.display()));
    let mut out = OutputFile::create(path).map_err(|error| failed(error.into()))?;
    let _unfinished = signals::remove_when_interrupted(out.unfinished())?;
    write_conversations_json(conversations, INDENT, &mut out)
        .map_err(|error| failed(error.into()))?;
    out.commit().map_err(|error| failed(error.into()))?;
    Ok(())
}

fn write_stdout(conversations: &[Conversation]) -> Result<(), Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write_conversations_json(conversations, INDENT, &mut out)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(out.flush()?));
    match written {
        Err(error) if output::is_broken_pipe(&error) => Ok(()),
        result => result.exit(ExitCode::Internal),
    }
}
