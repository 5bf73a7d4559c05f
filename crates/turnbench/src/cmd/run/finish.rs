use std::path::Path;

use anyhow::Context;
use turnbench_client::run::RunEnd;
use turnbench_metrics::{
    ConversationCounts, FailedRequest, ReportBuilder, RequestRow, RunFacts, RunReport,
};
use turnbench_model::{Compat, FailureKind, Phase, RequestRecord, TokenCounts, TokenizerSource};
use turnbench_report::{
    StatsKeys, Workbook, conversations_json, failed_requests_json, generation_parameters,
    stats_json,
};
use turnbench_rundir::{REPORT_FILE, RUN_FACTS_FILE, RunDir, RunDirError, TOKEN_COUNTS_FILE};
use turnbench_workload::{CountOptions, count_tokens};

use super::Finished;
use super::prepare::Prepared;
use super::recorder::Recorded;
use crate::args::{OutputFormat, RunArgs};
use crate::cmd::conversations::Answered;
use crate::cmd::{output, show};
use crate::exit::{Exit, ExitCode};

/// Computes the report, writes every file, prints. A file that cannot be written does not keep the
/// others from being written.
pub(crate) fn finish(
    args: &RunArgs,
    prepared: &Prepared,
    run_dir: Option<&RunDir>,
    end: &RunEnd,
    recorded: Recorded,
) -> Result<Finished, Exit> {
    let records = &recorded.records;
    let counts = token_counts(prepared, records);
    let facts = facts(args, prepared, end);
    let mut builder = ReportBuilder::new(&prepared.plan);
    let none = TokenCounts::default();
    for (index, record) in records.iter().enumerate() {
        builder.add(record, counts.get(index).unwrap_or(&none));
    }
    let report = builder.report(&prepared.environment, &facts);
    let mut problems: Vec<String> = recorded.disk_error.into_iter().collect();
    if let Some(run_dir) = run_dir {
        keep(&mut problems, write_run_dir(run_dir, &facts, &counts, &report));
    }
    write_outputs(&mut problems, args, prepared, end, (records, builder.rows()), &report);
    let parameters = show::parameters(&prepared.plan);
    match args.format {
        OutputFormat::Json => output::print(&show::json(&report)?)?,
        OutputFormat::Table => output::print(&show::table(&report, &parameters))?,
    }
    for problem in &problems {
        output::warn(problem);
    }
    if end.shards_panicked > 0 {
        problems.push("a part of the client panicked".to_owned());
    }
    let code = if problems.is_empty() { exit_code(&report, records) } else { ExitCode::Internal };
    Ok(Finished { report, code, run_dir: run_dir.map(|run_dir| run_dir.path().to_owned()) })
}

/// Local token counts; without a tokenizer, or when it fails, none.
fn token_counts(prepared: &Prepared, records: &[RequestRecord]) -> Vec<TokenCounts> {
    let Some(tokenizer) = &prepared.tokenizer else { return Vec::new() };
    let plan = &prepared.plan;
    let options = CountOptions {
        rules: plan.request.turn_rules(),
        reasoning: plan.request.history_reasoning,
        only_missing: plan.workload.tokenizer == TokenizerSource::Server
            && plan.compat == Compat::None,
    };
    match count_tokens(&prepared.conversations, records, tokenizer, options) {
        Ok(counts) => counts,
        Err(error) => {
            output::warn(format!("answers cannot be tokenized: {error}"));
            Vec::new()
        }
    }
}

fn facts(args: &RunArgs, prepared: &Prepared, end: &RunEnd) -> RunFacts {
    let summary = &end.summary;
    let count = |list: &[u32]| list.len() as u64;
    // The reference's run proper does not see what failed in the warm-up; ours begins it anew.
    let lost_in_warmup = match (prepared.plan.compat, &end.warmup) {
        (Compat::Vllm, Some((warmup, _))) => count(&warmup.failed),
        _ => 0,
    };
    RunFacts {
        conversations: ConversationCounts {
            total: prepared.conversations.len() as u64,
            finished: count(&summary.finished),
            unfinished: count(&summary.unfinished),
            failed: count(&summary.failed) + lost_in_warmup,
            not_started: count(&summary.not_started) + count(&summary.dropped),
        },
        warmup_runtime_ns: end.warmup.as_ref().map(|(_, runtime)| *runtime),
        interrupted: end.interrupted,
        record_waits: end.sink_waits_count,
        shards: end.shards.clone(),
        warm_connections: end.warm_connections.clone(),
        between_turns: args.verbose,
    }
}

fn write_run_dir(
    run_dir: &RunDir,
    facts: &RunFacts,
    counts: &[TokenCounts],
    report: &RunReport,
) -> Result<(), RunDirError> {
    run_dir.write_json(RUN_FACTS_FILE, facts)?;
    if !counts.is_empty() {
        let mut lines = run_dir.create_lines(TOKEN_COUNTS_FILE)?;
        for one in counts {
            lines.push(one)?;
        }
        lines.flush()?;
    }
    run_dir.write_json(REPORT_FILE, report)
}

/// `--output-file`, `--stats-json-output` and `--excel-output`.
fn write_outputs(
    problems: &mut Vec<String>,
    args: &RunArgs,
    prepared: &Prepared,
    end: &RunEnd,
    (records, rows): (&[RequestRecord], &[RequestRow]),
    report: &RunReport,
) {
    let keys = match prepared.plan.compat {
        Compat::Vllm => StatsKeys::Reference,
        Compat::None => StatsKeys::All,
    };
    if let Some(path) = &prepared.outputs.stats_json {
        keep(
            problems,
            stats_json(rows, keys).map_err(Into::into).and_then(|text| write(path, text)),
        );
        if let Some(path) = prepared.outputs.failed_requests(keys == StatsKeys::All) {
            let failed: Vec<_> = records.iter().filter_map(FailedRequest::of).collect();
            let text = failed_requests_json(&failed);
            keep(problems, text.map_err(Into::into).and_then(|text| write(&path, text)));
        }
    }
    if let Some(path) = &prepared.outputs.conversations {
        let mut answered = Answered::new(&prepared.conversations, records, &prepared.plan);
        let finished = answered.take(&end.summary.finished);
        let unfinished = match prepared.plan.compat {
            Compat::Vllm => Vec::new(),
            Compat::None => answered.take(&unfinished(end)),
        };
        let text = conversations_json(&finished, &unfinished);
        keep(problems, text.map_err(Into::into).and_then(|text| write(path, text)));
    }
    if let Some(path) = &prepared.outputs.excel {
        let workbook = Workbook {
            parameters: &show::parameters(&prepared.plan),
            generation: generation_parameters(&prepared.plan),
            summaries: &report.summaries,
            rows,
            keys,
            between_turns: args.verbose,
        };
        keep(
            problems,
            workbook.to_bytes().map_err(Into::into).and_then(|bytes| write(path, bytes)),
        );
    }
}

/// Conversations that were begun and did not reach their end.
fn unfinished(end: &RunEnd) -> Vec<u32> {
    let mut list = end.summary.unfinished.clone();
    list.extend(&end.summary.failed);
    list.sort_unstable();
    list
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write '{}'", path.display()))
}

fn keep(problems: &mut Vec<String>, result: Result<(), impl Into<anyhow::Error>>) {
    if let Err(error) = result {
        problems.push(crate::exit::describe(&error.into()));
    }
}

/// How the run went, in a number; says so where it is not well.
fn exit_code(report: &RunReport, records: &[RequestRecord]) -> ExitCode {
    let main = || records.iter().filter(|record| record.phase == Phase::Main);
    let failures = || main().filter_map(|record| record.outcome.failure());
    let requests = report.counts.requests;
    if report.counts.interrupted {
        return ExitCode::Interrupted;
    }
    if failures().any(|failure| failure.kind == FailureKind::Mismatch) {
        return ExitCode::GoalMissed;
    }
    let conversations = &report.counts.conversations;
    if requests.completed > 0 && requests.completed >= requests.failed {
        if conversations.finished > 0 || conversations.failed == 0 {
            return ExitCode::Done;
        }
        output::warn(format!("no conversation finished, {} failed", conversations.failed));
        return ExitCode::GoalMissed;
    }
    if requests.completed == 0 {
        output::warn("no request completed");
    } else {
        output::warn(format!(
            "{} of {} requests completed, fewer than half",
            requests.completed,
            requests.completed + requests.failed
        ));
    }
    let no_connection = failures().all(|failure| failure.kind == FailureKind::Connect);
    if requests.completed == 0 && requests.failed > 0 && no_connection {
        ExitCode::Unreachable
    } else {
        ExitCode::GoalMissed
    }
}
