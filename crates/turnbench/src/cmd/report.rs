use turnbench_metrics::{Environment, PromptFacts, ReportBuilder, RunFacts, ServerReport};
use turnbench_model::{PLAN_SCHEMA_VERSION, Plan, ServerFigures, TokenCounts, TokenizerSource};
use turnbench_observe::FiguresBuilder;
use turnbench_rundir::{
    BadLines, ENVIRONMENT_FILE, Line, MetricsReader, PLAN_FILE, RECORDS_FILE, RUN_FACTS_FILE,
    PROMPT_BLOCKS_FILE, PROMPTS_FILE, RunDir, RunDirError, SERVER_METRICS_FILE, TOKEN_COUNTS_FILE,
};
use turnbench_workload::{BlocksOfRun, RunBlocks};

use super::conversations::ConversationTally;
use super::run::{read_blocks, take_in};
use super::{output, show};
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
    let mut read = Read::all(&run_dir, &plan, TokenCountsUse::LineByLine).or_usage()?;
    if read.bad_lines.count > 0 {
        // The counts belong to the records line by line, and these are no longer in step.
        read = Read::all(&run_dir, &plan, TokenCountsUse::None).or_usage()?;
    }
    let facts: Option<RunFacts> = run_dir.read_json(RUN_FACTS_FILE).or_usage()?;
    if facts.is_none() {
        output::warn(
            "the run was cut short before its end; what became of unfinished conversations is \
             taken from the records, tokens are as the server reported them (local counts are made \
             at the end of a run), and nothing is known of the client's threads, so that the verdict \
             is without loop_lag, stall, cpu_busy and record_waits",
        );
    }
    read.warn_of_gaps(&run_dir, &plan);
    let mut facts = facts.unwrap_or_else(|| RunFacts {
        conversations: read.conversations.counts(&plan),
        interrupted: true,
        ..RunFacts::default()
    });
    facts.between_turns |= args.verbose;
    let server = match plan.metrics {
        Some(_) => Some(ServerReport::of(figures(&run_dir).or_usage()?)),
        None => None,
    };
    take_in(&mut read.builder, server, read.prompts.take(), &plan);
    let report = read.builder.report(&environment, &facts);
    match args.format {
        OutputFormat::Json => output::print(&show::json(&report)?)?,
        OutputFormat::Table => output::print(&show::table(&report, &show::parameters(&plan)))?,
    }
    Ok(ExitCode::Done)
}

/// What the server said of itself, anew from the samples.
fn figures(run_dir: &RunDir) -> Result<ServerFigures, RunDirError> {
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
    Ok(figures.finish())
}

/// What the local token counts of a run directory are good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TokenCountsUse {
    LineByLine,
    None,
}

/// What a pass over the records leaves in memory.
struct Read<'a> {
    builder: ReportBuilder<'a>,
    conversations: ConversationTally,
    /// The blocks of its prompts; `None` where the run left none.
    prompts: Option<(BlocksOfRun, PromptFacts)>,
    records_count: u64,
    /// Records that have local token counts.
    counted: u64,
    is_cut: bool,
    bad_lines: BadLines,
}

impl<'a> Read<'a> {
    fn all(
        run_dir: &RunDir,
        plan: &'a Plan,
        use_of_counts: TokenCountsUse,
    ) -> Result<Self, RunDirError> {
        let mut records = run_dir.read_lines(RECORDS_FILE)?;
        let mut counts = run_dir.read_lines(TOKEN_COUNTS_FILE)?;
        let facts: Option<PromptFacts> = run_dir.read_json(PROMPTS_FILE)?;
        let facts = facts.filter(|_| use_of_counts == TokenCountsUse::LineByLine);
        let mut block_lines = run_dir.read_lines(PROMPT_BLOCKS_FILE)?;
        let mut blocks = RunBlocks::default();
        let mut read = Self {
            builder: ReportBuilder::new(plan),
            conversations: ConversationTally::default(),
            prompts: None,
            records_count: 0,
            counted: 0,
            is_cut: false,
            bad_lines: BadLines::default(),
        };
        while let Some(line) = records.read()? {
            let Line::Value(record) = line else { continue };
            let counted: Option<Line<TokenCounts>> = match use_of_counts {
                TokenCountsUse::LineByLine => counts.read()?,
                TokenCountsUse::None => None,
            };
            let tokens = match counted {
                Some(Line::Value(tokens)) => {
                    read.counted += 1;
                    tokens
                }
                Some(Line::Bad) | None => TokenCounts::default(),
            };
            if let Some(facts) = &facts {
                let sent = read_blocks(block_lines.read()?);
                blocks.add(&record, sent.as_ref(), facts.block_tokens);
            }
            read.records_count += 1;
            read.conversations.add(&record);
            read.builder.add(&record, &tokens);
        }
        read.prompts = facts.map(|facts| {
            (blocks.finish(facts.basis.clone(), facts.block_tokens), facts)
        });
        read.is_cut = records.is_cut();
        read.bad_lines = records.bad_lines();
        Ok(read)
    }

    /// Says what is not there of what the run measured.
    fn warn_of_gaps(&self, run_dir: &RunDir, plan: &Plan) {
        if !run_dir.path().join(RECORDS_FILE).exists() {
            output::warn(format!(
                "the run directory has no {RECORDS_FILE}: nothing is known of requests"
            ));
        }
        if self.is_cut {
            output::warn("the last record was cut in writing and is left out");
        }
        if let Some(first) = self.bad_lines.first {
            output::warn(format!(
                "{RECORDS_FILE} has {} damaged lines, the first is line {first}; they are left out",
                self.bad_lines.count
            ));
        }
        if self.counted < self.records_count && plan.workload.tokenizer != TokenizerSource::None {
            output::warn(
                "the local tokenizer's counts are missing; token numbers are the server's, or \
                 chunks",
            );
        }
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
