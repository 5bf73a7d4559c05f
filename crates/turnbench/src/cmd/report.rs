use turnbench_metrics::{Environment, PromptFacts, ReportBuilder, RunFacts};
use turnbench_model::{Plan, TokenCounts, TokenizerSource};
use turnbench_rundir::{
    BadLines, ENVIRONMENT_FILE, Line, RECORDS_FILE, RUN_FACTS_FILE, RunDir, RunDirError,
    TOKEN_COUNTS_FILE,
};
use turnbench_workload::BlocksOfRun;

use super::conversations::ConversationTally;
use super::recorded_run::{self, BlockLines};
use super::run::take_in;
use super::{output, show};
use crate::args::{OutputFormat, ReportArgs};
use crate::exit::{Exit, ExitCode, WithExitCode};

/// `turnbench report`: everything anew from the raw records.
pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode, Exit> {
    let (run_dir, plan) = recorded_run::open(&args.run_dir)?;
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
    let server = recorded_run::server(&run_dir, &plan).or_usage()?;
    take_in(&mut read.builder, server, read.prompts.take(), &plan);
    let report = read.builder.report(&environment, &facts);
    match args.format {
        OutputFormat::Json => output::print(&show::json(&report)?)?,
        OutputFormat::Table => output::print(&show::table(&report, &show::parameters(&plan)))?,
    }
    Ok(ExitCode::Done)
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
        let mut blocks = match use_of_counts {
            TokenCountsUse::LineByLine => BlockLines::open(run_dir)?,
            TokenCountsUse::None => None,
        };
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
            if let Some(blocks) = &mut blocks {
                blocks.add(&record)?;
            }
            read.records_count += 1;
            read.conversations.add(&record);
            read.builder.add(&record, &tokens);
        }
        read.prompts = blocks.and_then(BlockLines::finish);
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
