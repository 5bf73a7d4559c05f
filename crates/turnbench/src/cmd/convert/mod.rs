//! `turnbench convert`.

mod compat;
mod own;

use std::path::Path;

use turnbench_workload::{OutputFile, WorkloadError, WriteError};

use super::output;
use crate::args::{ConvertArgs, TargetArg};
use crate::exit::{Exit, ExitCode};

/// `turnbench convert`.
pub(crate) fn convert(args: &ConvertArgs) -> Result<ExitCode, Exit> {
    check_output(args)?;
    let converted = if args.compat.is_some() { compat::convert(args) } else { own::convert(args) };
    match converted {
        // The reader of standard output has seen enough.
        Err(exit) if writes_stdout(args) && output::is_broken_pipe(&exit.error) => {
            Ok(ExitCode::Done)
        }
        converted => converted,
    }
}

/// Refuses an output that is the input itself, or whose name promises what is not written.
fn check_output(args: &ConvertArgs) -> Result<(), Exit> {
    let resolved = |path: &Path| path.canonicalize().ok().filter(|path| path.is_file());
    if resolved(&args.output).is_some_and(|output| resolved(&args.input) == Some(output)) {
        return Err(Exit::usage(format!(
            "OUT is '{}', the very file that is read\nhint: name another file",
            args.output.display()
        )));
    }
    if args.block_size.is_some() && !matches!(args.to, Some(TargetArg::Mooncake)) {
        return Err(Exit::usage("--block-size has no effect without --to mooncake"));
    }
    let extension = args.output.extension().and_then(|extension| extension.to_str());
    if let Some(extension @ ("gz" | "zst" | "parquet" | "csv")) = extension {
        return Err(Exit::usage(format!(
            "OUT is '{}', but convert writes plain JSON, no .{extension}\nhint: name it .json or \
             .jsonl, or write - and pipe it on",
            args.output.display()
        )));
    }
    Ok(())
}

/// The output file; that it can be written is known before anything is read.
fn output_file(args: &ConvertArgs) -> Result<OutputFile, Exit> {
    OutputFile::create(&args.output).map_err(write_error(args))
}

/// An error of the output: bad usage where it is the user's to change, otherwise internal.
fn write_error(args: &ConvertArgs) -> impl Fn(WriteError) -> Exit {
    move |error| {
        if let WriteError::Create { source, path } = &error {
            // The error's own words may name the unfinished file beside it.
            let reason = source.raw_os_error().map(std::io::Error::from_raw_os_error);
            let reason = reason.unwrap_or_else(|| source.kind().into());
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let is_folder_missing = folder.is_some_and(|folder| !folder.exists());
            let hint = if is_folder_missing {
                "\nhint: name a file in a directory that exists"
            } else {
                ""
            };
            return Exit::usage(format!("cannot write '{}': {reason}{hint}", path.display()));
        }
        if let WriteError::Write(source) | WriteError::Finish { source, .. } = &error {
            return cannot_write(args, source);
        }
        Exit { code: ExitCode::Usage, error: error.into() }
    }
}

/// An error of the conversion: the input's are bad input.
fn convert_error(args: &ConvertArgs) -> impl Fn(WorkloadError) -> Exit {
    move |error| {
        if let WorkloadError::Write(source) = &error {
            return cannot_write(args, source);
        }
        Exit { code: ExitCode::Usage, error: error.into() }
    }
}

fn cannot_write(args: &ConvertArgs, source: &std::io::Error) -> Exit {
    // Kept as a cause, by its number alone, so that a closed pipe is known for one.
    let cause = source.raw_os_error().map(std::io::Error::from_raw_os_error);
    let cause = cause.unwrap_or_else(|| std::io::Error::new(source.kind(), source.to_string()));
    let error =
        anyhow::Error::new(cause).context(format!("cannot write '{}'", args.output.display()));
    Exit { code: ExitCode::Internal, error }
}

/// Whether standard output is the converted file's place.
fn writes_stdout(args: &ConvertArgs) -> bool {
    args.output.as_os_str() == "-"
}

/// Prints text on standard output, or beside it where that is the converted file's place.
fn print(args: &ConvertArgs, text: &str) -> Result<(), Exit> {
    if writes_stdout(args) {
        anstream::eprint!("{text}");
        Ok(())
    } else {
        super::output::print(text)
    }
}
