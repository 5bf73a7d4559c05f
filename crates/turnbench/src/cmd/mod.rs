//! One file per subcommand.

mod cache;
mod conversations;
mod convert;
mod data_set;
mod demo;
mod environment;
mod file_limit;
mod generate;
mod inspect;
mod kv_bytes;
mod output;
mod page_source;
mod reading;
mod recorded_run;
mod report;
mod run;
mod selfcheck;
mod serve;
mod server;
mod show;
mod signals;
mod tokenizer;
mod workload;

use crate::args::Command;
use crate::exit::{Exit, ExitCode};

/// Runs a command.
pub(crate) fn dispatch(command: Command) -> Result<ExitCode, Exit> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Generate(args) => generate::generate(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Cache(args) => cache::cache(&args),
        Command::Convert(args) => convert::convert(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Selfcheck(args) => selfcheck::selfcheck(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Report(args) => report::report(&args),
    }
}
