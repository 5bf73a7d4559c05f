use std::path::Path;

use anyhow::Context;
use turnbench_metrics::{FailedRequest, PromptFacts, ReportBuilder, ServerReport};
use turnbench_model::{RequestRecord, TokenCounts, TokenizerError};
use turnbench_report::FailedRequestsJson;
use turnbench_rundir::{JsonLines, Line, LinePlace, LinesWriter, RunDir, TOKEN_COUNTS_FILE};
use turnbench_workload::{BlocksOfRun, CountOptions, TokenCounter};

use super::prepare::Prepared;
use super::problems::{OutputInProgress, Problems, cannot_write, create};
use super::prompts::{self, PromptIds, PromptPass};
use super::recorder::Recorded;
use crate::cmd::conversations::AnswerPlaces;
use crate::cmd::output;

/// Records held at once.
const BATCH_RECORDS: usize = 1_024;
/// Bytes of their lines, about: a single record may have more.
const BATCH_BYTES: u64 = 1 << 20;

/// What a pass over the records leaves in memory.
pub(crate) struct Tally<'a> {
    pub builder: ReportBuilder<'a>,
    /// The blocks of its prompts, and how they were made; `None` where they are not known.
    pub prompts: Option<(BlocksOfRun, PromptFacts)>,
    /// For `--output-file`; empty without it.
    pub answers: AnswerPlaces,
    pub problems: Problems,
}

/// What a pass writes while it goes.
#[derive(Clone, Copy)]
pub(crate) struct WrittenBeside<'a> {
    /// Where the token counts go.
    pub run_dir: Option<&'a RunDir>,
    /// Where failed attempts go.
    pub failed: Option<&'a Path>,
    /// Whether the run was cut short.
    pub interrupted: bool,
    /// What the server said of itself.
    pub server: Option<&'a ServerReport>,
}

/// Reads the records back, batch by batch, counts their tokens, and takes in their numbers.
///
/// When the tokenizer fails the records are read anew: either all of them have local counts, or none
/// has.
pub(crate) fn read_back<'a>(
    prepared: &'a Prepared,
    recorded: &mut Recorded,
    beside: WrittenBeside<'_>,
) -> anyhow::Result<Tally<'a>> {
    let options = CountOptions {
        rules: prepared.plan.request.turn_rules(),
        reasoning: prepared.plan.request.history_reasoning,
        only: recorded.usage_missing.take(),
    };
    let ids = prompts::prompt_ids(prepared, recorded.sent_bytes, beside.interrupted);
    let counter = prepared
        .tokenizer
        .as_deref()
        .map(|tokenizer| TokenCounter::new(&prepared.conversations, tokenizer, options));
    match pass(prepared, recorded, beside, counter, ids.as_ref()) {
        Err(error) if error.is::<TokenizerError>() => {
            output::warn(format!("answers cannot be tokenized: {error}"));
            beside.run_dir.map_or(Ok(()), |run_dir| run_dir.remove(TOKEN_COUNTS_FILE))?;
            pass(prepared, recorded, beside, None, ids.as_ref())
        }
        result => result,
    }
}

fn pass<'a>(
    prepared: &'a Prepared,
    recorded: &mut Recorded,
    beside: WrittenBeside<'_>,
    mut counter: Option<TokenCounter<'_>>,
    ids: Option<&PromptIds>,
) -> anyhow::Result<Tally<'a>> {
    let mut builder = ReportBuilder::new(&prepared.plan);
    let (mut answers, mut problems) = (AnswerPlaces::default(), Problems::default());
    let counts_file = beside.run_dir.filter(|_| counter.is_some());
    let mut count_lines = OutputInProgress::new(
        counts_file.map(|run_dir| run_dir.create_lines(TOKEN_COUNTS_FILE)),
        &mut problems,
    );
    let mut failed_list = OutputInProgress::new(
        beside
            .failed
            .map(|path| Ok::<_, anyhow::Error>((path, FailedRequestsJson::new(create(path)?)))),
        &mut problems,
    );
    let mut prompts = ids.and_then(|ids| {
        PromptPass::new(prepared, ids, beside.server, beside.run_dir, &mut problems)
    });
    let mut lines = recorded.lines.read()?;
    let mut batch = Batch::default();
    while batch.read(&mut lines)? {
        let counts = match &mut counter {
            Some(counter) => counter.count(&batch.records)?,
            None => vec![TokenCounts::default(); batch.records.len()],
        };
        if let Some(prompts) = &mut prompts {
            prompts.add(&batch.records, &mut problems);
        }
        for ((record, place), counts) in batch.records.iter().zip(&batch.places).zip(&counts) {
            builder.add(record, counts);
            if prepared.outputs.conversations.is_some() {
                answers.add(record, *place);
            }
            count_lines.write(&mut problems, |lines: &mut LinesWriter| lines.push(counts));
            if let Some(failed) = FailedRequest::of(record) {
                failed_list.write(&mut problems, |(path, list)| {
                    list.push(&failed).with_context(|| cannot_write(path))
                });
            }
        }
    }
    if lines.bad_lines().count > 0 {
        problems.push(format!("{} records cannot be read back", lines.bad_lines().count));
    }
    count_lines.write(&mut problems, LinesWriter::flush);
    if let Some((path, list)) = failed_list.into_inner() {
        problems.keep(list.end().with_context(|| cannot_write(path)));
    }
    let prompts = prompts.and_then(|prompts| prompts.finish(beside.run_dir, &mut problems));
    Ok(Tally { builder, prompts, answers, problems })
}

/// Some of the records, and where they are.
#[derive(Default)]
struct Batch {
    records: Vec<RequestRecord>,
    places: Vec<LinePlace>,
}

impl Batch {
    /// Reads the next ones in place of those before; `false` when there are none.
    fn read(&mut self, lines: &mut JsonLines<'_>) -> anyhow::Result<bool> {
        self.records.clear();
        self.places.clear();
        let mut bytes = 0;
        while self.records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            match lines.read()? {
                Some(Line::Value(record)) => {
                    self.records.push(record);
                    self.places.push(lines.place());
                    bytes += lines.place().bytes;
                }
                Some(Line::Bad) => {}
                None => break,
            }
        }
        Ok(!self.records.is_empty())
    }
}
