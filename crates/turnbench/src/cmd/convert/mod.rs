//! `turnbench convert`.

mod compat;
mod own;

use anyhow::anyhow;
use turnbench_workload::{OutputFile, WorkloadError, WriteError};

use crate::args::ConvertArgs;
use crate::exit::{Exit, ExitCode};

/// `turnbench convert`.
pub(crate) fn convert(args: &ConvertArgs) -> Result<ExitCode, Exit> {
    if args.compat.is_some() { compat::convert(args) } else { own::convert(args) }
}

/// The output file; that it can be written is known before anything is read.
fn output_file(args: &ConvertArgs) -> Result<OutputFile, Exit> {
    OutputFile::create(&args.output).map_err(write_error(args))
}

/// An error of the output: bad usage where it is the user's to change, otherwise internal.
fn write_error(args: &ConvertArgs) -> impl Fn(WriteError) -> Exit {
    move |error| {
        if let WriteError::Create { source, path } = &error {
            return Exit::usage(format!(
                "cannot write '{}': {source}\nhint: name a file in a directory that exists",
                path.display()
            ));
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
    let error = anyhow!("cannot write '{}': {source}", args.output.display());
    Exit { code: ExitCode::Internal, error }
}

/// Whether standard output is the converted file's place.
fn writes_stdout(args: &ConvertArgs) -> bool {
    args.output.as_os_str() == "-"
}

/// `1 item` or `2 items`.
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
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
