use std::num::NonZeroU32;

use turnbench_metrics::{TokenBasis, WorkloadReport};
use turnbench_report::{workload_json, workload_text};
use turnbench_workload::{InspectOptions, inspect as inspect_workload};

use super::output;
use super::workload::{Progress, Workload};
use crate::args::{InspectArgs, InspectFormat};
use crate::exit::{Exit, ExitCode, WithExitCode};

/// Tokens of a block in vLLM, unless it is told otherwise.
const BLOCK_SIZE: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// `turnbench inspect`: what is in a workload, without any server.
pub(crate) fn inspect(args: &InspectArgs) -> Result<ExitCode, Exit> {
    let workload = Workload::read(&args.workload)?;
    let report = report(args, &workload)?;
    warn_of_own_block_size(args, &report);
    output::print(&match args.format {
        InspectFormat::Json => workload_json(&report)?,
        InspectFormat::Table => workload_text(&report, output::width()),
    })?;
    Ok(ExitCode::Done)
}

fn report(args: &InspectArgs, workload: &Workload) -> Result<WorkloadReport, Exit> {
    let progress = Progress::start(workload.conversations.len() as u64);
    let loaded = workload.tokenizer.as_ref();
    let options = InspectOptions {
        file: &args.workload.file.display().to_string(),
        format: workload.format,
        tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
        tokenizer_name: &workload.tokenizer_name,
        template: loaded.and_then(|loaded| loaded.template.as_deref()),
        block_sizes: if args.block_size.is_empty() { &[BLOCK_SIZE] } else { &args.block_size },
        progress: &|| progress.one(),
    };
    let report = inspect_workload(&workload.conversations, &options).or_usage();
    progress.end();
    report
}

/// A trace's blocks cannot be cut anew.
fn warn_of_own_block_size(args: &InspectArgs, report: &WorkloadReport) {
    if args.block_size.is_empty() || report.token_basis != TokenBasis::BlockNames {
        return;
    }
    let sizes: Vec<String> = report.reuse.iter().map(|one| one.block_size.to_string()).collect();
    output::warn(format!(
        "--block-size has no effect: the trace names blocks of {} tokens\nhint: with a tokenizer \
         its text is made, which has blocks of any size",
        sizes.join(", ")
    ));
}
