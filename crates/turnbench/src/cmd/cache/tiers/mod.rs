//! `turnbench cache tiers`: probe a server, print the staircase.

mod prepare;
mod probe;
mod screen;
mod watch;

use turnbench_metrics::{ProbingEnd, TiersReport};
use turnbench_report::{tiers_json, tiers_text};
use turnbench_rundir::{ENVIRONMENT_FILE, RunDir, TIERS_PLAN_FILE, TIERS_REPORT_FILE};

use crate::args::TiersArgs;
use crate::cmd::output;
use crate::exit::{Exit, ExitCode, WithExitCode};
use crate::resolve::RunDirPlace;
use prepare::Prepared;

/// `turnbench cache tiers`: how far each level of a server's cache reaches, and how fast it loads.
pub(crate) fn tiers(args: &TiersArgs) -> Result<ExitCode, Exit> {
    let prepared = Prepared::new(args)?;
    let run_dir = run_dir(&prepared)?;
    let probed = probe::probe(&prepared, run_dir.as_ref())?;
    output::print(&tiers_text(&probed.report, output::width()))?;
    let mut is_whole = true;
    for problem in probed.problems.into_iter().chain(write(args, run_dir.as_ref(), &probed.report))
    {
        is_whole = false;
        output::warn(problem);
    }
    if let Some(run_dir) = &run_dir {
        anstream::eprintln!("run directory: {}", run_dir.path().display());
    }
    Ok(match probed.report.end {
        ProbingEnd::Interrupted => ExitCode::Interrupted,
        ProbingEnd::ServerFailed { .. } => ExitCode::Unreachable,
        _ if !is_whole => ExitCode::Internal,
        ProbingEnd::Complete | ProbingEnd::BudgetSpent | ProbingEnd::CannotTell { .. } => {
            ExitCode::Done
        }
    })
}

fn run_dir(prepared: &Prepared) -> Result<Option<RunDir>, Exit> {
    let run_dir = match &prepared.run_dir {
        RunDirPlace::Nowhere => return Ok(None),
        RunDirPlace::Given(path) => RunDir::create(path).or_usage()?,
        RunDirPlace::Default(path) => RunDir::create_new(path).or_usage()?,
    };
    run_dir.write_json(TIERS_PLAN_FILE, &prepared.plan).or_usage()?;
    run_dir.write_json(ENVIRONMENT_FILE, &prepared.environment).or_usage()?;
    Ok(Some(run_dir))
}

/// Writes the report to its files; what went wrong.
fn write(args: &TiersArgs, run_dir: Option<&RunDir>, report: &TiersReport) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(run_dir) = run_dir
        && let Err(error) = run_dir.write_json(TIERS_REPORT_FILE, report)
    {
        problems.push(crate::exit::describe(&error.into()));
    }
    if let Some(path) = &args.json {
        let text = tiers_json(report).map_err(|error| error.to_string());
        let written =
            text.and_then(|text| std::fs::write(path, text).map_err(|error| error.to_string()));
        if let Err(error) = written {
            problems.push(format!("cannot write '{}': {error}", path.display()));
        }
    }
    problems
}
