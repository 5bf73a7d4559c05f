use turnbench_metrics::{Environment, ReportBuilder, RunFacts};
use turnbench_model::{PLAN_SCHEMA_VERSION, Plan, RequestRecord, TokenCounts, TokenizerSource};
use turnbench_rundir::{
    ENVIRONMENT_FILE, JsonLines, PLAN_FILE, RECORDS_FILE, RUN_FACTS_FILE, RunDir, TOKEN_COUNTS_FILE,
};

use super::{conversations, output, show};
use crate::args::{OutputFormat, ReportArgs};
use crate::exit::{Exit, ExitCode, WithExitCode};

/// `turnbench report`: everything anew from the raw records.
pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode, Exit> {
    let run_dir = RunDir::open(&args.run_dir).or_usage()?;
    check_version(&run_dir)?;
    let plan: Plan = run_dir
        .read_json(PLAN_FILE)
        .or_usage()?
        .ok_or_else(|| Exit::usage("the run directory has no plan"))?;
    let environment: Environment =
        run_dir.read_json(ENVIRONMENT_FILE).or_usage()?.unwrap_or_default();
    let records = run_dir.read_lines::<RequestRecord>(RECORDS_FILE).or_usage()?;
    let mut counts = run_dir.read_lines::<TokenCounts>(TOKEN_COUNTS_FILE).or_usage()?.values;
    if !records.bad_lines.is_empty() {
        // Line by line they belong to the records, which are no longer in step.
        counts.clear();
    }
    let facts: Option<RunFacts> = run_dir.read_json(RUN_FACTS_FILE).or_usage()?;
    if facts.is_none() {
        output::warn(
            "the run was cut short before its end; what became of unfinished conversations is \
             taken from the records, and tokens are as the server reported them (local counts are \
             made at the end of a run)",
        );
    }
    warn_of_gaps(&run_dir, &plan, &records, counts.len());
    let mut facts = facts.unwrap_or_else(|| RunFacts {
        conversations: conversations::counts_from_records(&records.values, &plan),
        interrupted: true,
        ..RunFacts::default()
    });
    facts.between_turns |= args.verbose;
    let mut builder = ReportBuilder::new(&plan);
    let none = TokenCounts::default();
    for (index, record) in records.values.iter().enumerate() {
        builder.add(record, counts.get(index).unwrap_or(&none));
    }
    let report = builder.report(&environment, &facts);
    match args.format {
        OutputFormat::Json => output::print(&show::json(&report)?)?,
        OutputFormat::Table => output::print(&show::table(&report, &show::parameters(&plan)))?,
    }
    Ok(ExitCode::Done)
}

/// Says what is not there of what the run measured.
fn warn_of_gaps(run_dir: &RunDir, plan: &Plan, records: &JsonLines<RequestRecord>, counts: usize) {
    if !run_dir.path().join(RECORDS_FILE).exists() {
        output::warn(format!(
            "the run directory has no {RECORDS_FILE}: nothing is known of requests"
        ));
    }
    if records.cut {
        output::warn("the last record was cut in writing and is left out");
    }
    if let Some(first) = records.bad_lines.first() {
        output::warn(format!(
            "{RECORDS_FILE} has {} damaged lines, the first is line {first}; they are left out",
            records.bad_lines.len()
        ));
    }
    if counts < records.values.len() && plan.workload.tokenizer != TokenizerSource::None {
        output::warn(
            "the local tokenizer's counts are missing; token numbers are the server's, or chunks",
        );
    }
}

/// Another version's files may look readable and mean something else.
fn check_version(run_dir: &RunDir) -> Result<(), Exit> {
    let plan: Option<serde_json::Value> = run_dir.read_json(PLAN_FILE).or_usage()?;
    match plan.and_then(|plan| plan.get("schema_version")?.as_u64()) {
        Some(version) if version != u64::from(PLAN_SCHEMA_VERSION) => Err(Exit::usage(format!(
            "'{}' is of version {version}; this turnbench reads version {PLAN_SCHEMA_VERSION}\n\
             hint: use the turnbench that wrote it",
            run_dir.path().join(PLAN_FILE).display()
        ))),
        _ => Ok(()),
    }
}
