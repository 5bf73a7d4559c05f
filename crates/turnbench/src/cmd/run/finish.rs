use turnbench_client::run::RunEnd;
use turnbench_metrics::{
    ConversationCounts, PromptFacts, ReportBuilder, RunFacts, RunReport, ServerReport,
};
use turnbench_model::{Compat, FailureKind, Plan};
use turnbench_report::StatsKeys;
use turnbench_rundir::{REPORT_FILE, RUN_FACTS_FILE, RunDir};
use turnbench_workload::{BlocksOfRun, run_reuse};

use super::outputs::{stats_keys, write_conversations, write_statistics};
use super::prepare::Prepared;
use super::problems::Problems;
use super::read_back::{WrittenBeside, read_back};
use super::{Finished, Replayed};
use crate::args::{OutputFormat, RunArgs};
use crate::cmd::{output, show};
use crate::exit::{Exit, ExitCode};

/// Computes the report, writes every file, prints. A file that cannot be written does not keep the
/// others from being written.
pub(crate) fn finish(
    args: &RunArgs,
    prepared: &Prepared,
    run_dir: Option<&RunDir>,
    replayed: Replayed,
) -> Result<Finished, Exit> {
    let Replayed { end, mut recorded, observed } = replayed;
    let end = &end;
    let mut problems = Problems::default();
    problems.extend(recorded.disk_error.take());
    let facts = facts(args, prepared, end);
    if let Some(run_dir) = run_dir {
        problems.keep(run_dir.write_json(RUN_FACTS_FILE, &facts));
    }
    let is_own = stats_keys(prepared.plan.compat) == StatsKeys::All;
    let failed = prepared.outputs.failed_requests(is_own);
    let server = observed.map(|observed| {
        problems.extend(observed.disk_error);
        ServerReport::of(observed.figures)
    });
    let beside = WrittenBeside {
        run_dir,
        failed: failed.as_deref(),
        interrupted: end.interrupted,
        server: server.as_ref(),
    };
    let mut tally = read_back(prepared, &mut recorded, beside)?;
    problems.append(tally.problems);
    take_in(&mut tally.builder, server, tally.prompts, &prepared.plan);
    let report = tally.builder.report(&prepared.environment, &facts);
    if let Some(run_dir) = run_dir {
        problems.keep(run_dir.write_json(REPORT_FILE, &report));
    }
    write_statistics(&mut problems, prepared, tally.builder.rows(), &report, args.verbose);
    write_conversations(&mut problems, prepared, end, &tally.answers, &mut recorded.lines);
    let parameters = show::parameters(&prepared.plan);
    match args.format {
        OutputFormat::Json => output::print(&show::json(&report)?)?,
        OutputFormat::Table => output::print(&show::table(&report, &parameters))?,
    }
    for problem in problems.iter() {
        output::warn(problem);
    }
    let is_whole = problems.is_empty() && end.shards_panicked == 0;
    let code = if is_whole { exit_code(&report) } else { ExitCode::Internal };
    Ok(Finished { report, code, run_dir: run_dir.map(|run_dir| run_dir.path().to_owned()) })
}

/// Gives a report what the records do not tell: the server's own account, and what of the prompts there
/// was to be reused.
pub(crate) fn take_in(
    builder: &mut ReportBuilder<'_>,
    server: Option<ServerReport>,
    prompts: Option<(BlocksOfRun, PromptFacts)>,
    plan: &Plan,
) {
    let capacity = server.as_ref().and_then(ServerReport::device_capacity_tokens);
    if let Some(server) = server {
        builder.observed(server);
    }
    if let Some((blocks, facts)) = prompts {
        builder.reusable(run_reuse(&blocks, facts, capacity, plan.ledger.kv_bytes_per_token));
    }
}

/// What the records do not tell.
pub(super) fn facts(args: &RunArgs, prepared: &Prepared, end: &RunEnd) -> RunFacts {
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
        record_waits: end.record_waits_count,
        shards: end.shards.clone(),
        warm_connections: end.warm_connections.clone(),
        between_turns: args.verbose,
    }
}

/// How the run went, in a number; says so where it is not well.
fn exit_code(report: &RunReport) -> ExitCode {
    let failures = || report.counts.failures.iter();
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
