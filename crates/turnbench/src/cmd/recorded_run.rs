//! What a run left in its directory, read by those who come after it.

use std::path::Path;

use turnbench_metrics::{PromptFacts, ServerReport};
use turnbench_model::{PLAN_SCHEMA_VERSION, Plan, RequestRecord, SentBlocks};
use turnbench_observe::FiguresBuilder;
use turnbench_rundir::{
    JsonLines, Line, MetricsReader, PLAN_FILE, PROMPT_BLOCKS_FILE, PROMPTS_FILE, RECORDS_FILE,
    RunDir, RunDirError, SERVER_METRICS_FILE,
};
use turnbench_workload::{BlocksOfRun, RunBlocks};

use super::output;
use crate::exit::{Exit, WithExitCode};

/// Opens a run directory and reads its plan.
pub(crate) fn open(path: &Path) -> Result<(RunDir, Plan), Exit> {
    let run_dir = RunDir::open(path).or_usage()?;
    check_version(&run_dir)?;
    let plan = run_dir.read_json(PLAN_FILE).or_usage()?;
    let plan = plan.ok_or_else(|| Exit::usage("the run directory has no plan"))?;
    Ok((run_dir, plan))
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

/// What the server said of itself, anew from the samples; `None` where it was not asked.
pub(crate) fn server(run_dir: &RunDir, plan: &Plan) -> Result<Option<ServerReport>, RunDirError> {
    if plan.metrics.is_none() {
        return Ok(None);
    }
    let mut samples = MetricsReader::new(run_dir.read_lines(SERVER_METRICS_FILE)?);
    let mut figures = FiguresBuilder::default();
    while let Some(sample) = samples.read()? {
        figures.add(&sample);
    }
    if let Some(first) = samples.bad_lines().first {
        output::warn(format!(
            "{SERVER_METRICS_FILE} has {} damaged lines, the first is line {first}; what the server \
             counted may be wrong",
            samples.bad_lines().count
        ));
    }
    Ok(Some(ServerReport::of(figures.finish())))
}

/// Reads the blocks of a run's prompts, in step with its records.
pub(crate) struct BlockLines<'a> {
    facts: PromptFacts,
    lines: JsonLines<'a>,
    blocks: RunBlocks,
    /// Records without a line.
    missing: u64,
}

impl BlockLines<'_> {
    /// Those of a run directory; `None` where the run left none.
    pub(crate) fn open(run_dir: &RunDir) -> Result<Option<Self>, RunDirError> {
        let Some(facts) = run_dir.read_json(PROMPTS_FILE)? else { return Ok(None) };
        let lines = run_dir.read_lines(PROMPT_BLOCKS_FILE)?;
        Ok(Some(Self { facts, lines, blocks: RunBlocks::default(), missing: 0 }))
    }

    /// Takes the next record in.
    pub(crate) fn add(&mut self, record: &RequestRecord) -> Result<(), RunDirError> {
        let sent: Option<SentBlocks> = match self.lines.read()? {
            Some(Line::Value(sent)) => sent,
            Some(Line::Bad) | None => {
                self.missing += 1;
                None
            }
        };
        self.blocks.add(record, sent.as_ref(), self.facts.block_tokens);
        Ok(())
    }

    /// All of them; `None` unless every record had its line, since lines are told apart by their place.
    pub(crate) fn finish(self) -> Option<(BlocksOfRun, PromptFacts)> {
        let facts = (self.missing == 0).then_some(self.facts)?;
        Some((self.blocks.finish(facts.basis.clone(), facts.block_tokens), facts))
    }
}

/// The blocks of a whole run; `None` where they are not known.
pub(crate) fn blocks_of_run(
    run_dir: &RunDir,
) -> Result<Option<(BlocksOfRun, PromptFacts)>, RunDirError> {
    let Some(mut blocks) = BlockLines::open(run_dir)? else { return Ok(None) };
    let mut records = run_dir.read_lines(RECORDS_FILE)?;
    while let Some(line) = records.read()? {
        match line {
            Line::Value(record) => blocks.add(&record)?,
            Line::Bad => return Ok(None),
        }
    }
    Ok(blocks.finish())
}
