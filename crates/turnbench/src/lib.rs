//! The command line of turnbench: `args` (what may be typed), `resolve` (what it means), `cmd`
//! (one file per subcommand). Everything worth testing alone lives in the other crates.

mod args;
mod cmd;
mod exit;
mod resolve;

use clap::{CommandFactory, Parser};

/// The command line's definition, from which `docs/cli.md` is generated.
pub fn command() -> clap::Command {
    args::Cli::command()
}

/// Parses the arguments, runs the command, and says how it ended.
pub fn run() -> std::process::ExitCode {
    let cli = args::Cli::parse();
    let code = match cmd::dispatch(cli.command) {
        Ok(code) => code,
        Err(exit) => {
            anstream::eprintln!(
                "{}error:{} {}",
                anstyle::AnsiColor::Red.on_default().bold(),
                anstyle::Reset,
                exit::describe(&exit.error)
            );
            exit.code
        }
    };
    std::process::ExitCode::from(code as u8)
}
