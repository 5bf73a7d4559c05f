use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use turnbench_model::Conversation;
use turnbench_workload::write_conversations_json;
use turnbench_workload::{Input, InputFile, generate as generate_conversations};

use super::{output, show, tokenizer};
use crate::args::GenerateArgs;
use crate::exit::{Exit, ExitCode, WithExitCode};
use crate::resolve;

/// Indentation of the reference's conversations files.
const INDENT: usize = 4;

/// `turnbench generate`.
pub(crate) fn generate(args: &GenerateArgs) -> Result<ExitCode, Exit> {
    let file = InputFile::read(&args.input_file).or_usage()?;
    for warning in &file.warnings {
        output::warn(warning);
    }
    let Input::Generator(config) = file.input else {
        return Err(Exit::usage(format!(
            "--input-file '{}' is a list of conversations already; generate takes a generator \
             config\nhint: turnbench run takes either",
            args.input_file.display()
        )));
    };
    if let Some(path) = &args.output_file {
        resolve::check_writable("--output-file", path)?;
    }
    let tokenizer = tokenizer::load_local(&args.tokenizer, &args.model)?;
    let conversations = generate_conversations(&config, &*tokenizer, args.seed).or_usage()?;
    if config.print_stats {
        // Standard output may be the conversations' place.
        anstream::eprint!("{}", show::generator_tables(&conversations, &*tokenizer)?);
    }
    match &args.output_file {
        Some(path) => write_file(path, &conversations)?,
        None => write_stdout(&conversations)?,
    }
    if let Some(path) = &args.output_file {
        let messages: usize = conversations.iter().map(|one| one.messages.len()).sum();
        anstream::eprintln!(
            "{} conversations with {messages} messages in {}",
            conversations.len(),
            path.display()
        );
    }
    Ok(ExitCode::Done)
}

fn write_file(path: &Path, conversations: &[Conversation]) -> Result<(), Exit> {
    let write = || {
        let mut out = BufWriter::new(File::create(path)?);
        write_conversations_json(conversations, INDENT, &mut out)?;
        Ok::<_, anyhow::Error>(out.flush()?)
    };
    write().with_context(|| format!("cannot write '{}'", path.display())).exit(ExitCode::Internal)
}

fn write_stdout(conversations: &[Conversation]) -> Result<(), Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write_conversations_json(conversations, INDENT, &mut out)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(out.flush()?));
    match written {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        result => result.exit(ExitCode::Internal),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
