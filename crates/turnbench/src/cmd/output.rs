use std::io::{self, IsTerminal, Write};

use anyhow::Context;

use crate::exit::{Exit, ExitCode, WithExitCode};

/// Prints text to standard output; the reader may have gone (`| head`).
pub(crate) fn print(text: &str) -> Result<(), Exit> {
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output").exit(ExitCode::Internal),
    }
}

/// Columns that text is made for when it does not go to a terminal.
const PIPED_WIDTH: usize = 80;

/// Columns of the terminal that standard output is; 80 when it is none.
pub(crate) fn width() -> usize {
    let width = || Some(usize::from(terminal_size::terminal_size()?.0.0));
    if io::stdout().is_terminal() { width().unwrap_or(PIPED_WIDTH) } else { PIPED_WIDTH }
}

/// Whether standard output shows colours.
pub(crate) fn color() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Says something on standard error that does not stop the command.
pub(crate) fn warn(text: impl std::fmt::Display) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{style}warning:{style:#} {text}");
}

/// Whether the reader of what was written has gone (`| head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// `1 item` or `2 items`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
