mod progress;
mod workload;

use std::io::IsTerminal;

use turnbench_metrics::WorkloadReport;
use turnbench_report::{workload_json, workload_text};
use turnbench_workload::{InspectOptions, inspect as inspect_workload};

use super::output;
use crate::args::{InspectArgs, OutputFormat};
use crate::exit::{Exit, ExitCode, WithExitCode};
use progress::Progress;
use workload::Workload;

/// Columns of text that no terminal shows.
const PIPED_WIDTH: usize = 80;

/// `turnbench inspect`: what is in a workload, without any server.
pub(crate) fn inspect(args: &InspectArgs) -> Result<ExitCode, Exit> {
    let workload = Workload::read(args)?;
    let report = report(args, &workload)?;
    output::print(&match args.format {
        OutputFormat::Json => workload_json(&report)?,
        OutputFormat::Table => workload_text(&report, terminal_width()),
    })?;
    Ok(ExitCode::Done)
}

fn report(args: &InspectArgs, workload: &Workload) -> Result<WorkloadReport, Exit> {
    let progress = Progress::start(workload.conversations.len() as u64);
    let loaded = workload.tokenizer.as_ref();
    let options = InspectOptions {
        file: &args.file.display().to_string(),
        format: workload.format,
        tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
        tokenizer_name: &workload.tokenizer_name,
        template: loaded.and_then(|loaded| loaded.template.as_deref()),
        block_sizes: &args.block_size,
        progress: &|| progress.one(),
    };
    let report = inspect_workload(&workload.conversations, &options).or_usage();
    progress.end();
    report
}

fn terminal_width() -> usize {
    let width = || Some(usize::from(terminal_size::terminal_size()?.0.0));
    if std::io::stdout().is_terminal() { width().unwrap_or(PIPED_WIDTH) } else { PIPED_WIDTH }
}
