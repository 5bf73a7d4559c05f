use turnbench_metrics::RunReport;
use turnbench_model::{Conversation, Plan, Tokenizer};
use turnbench_report::{
    Parameters, ReferenceStyle, client_text, conversations_text, correction_text,
    generation_parameters, generator_text, headlines_text, ledger_text, outcome_text,
    run_report_json, server_text, statistics_text, turns_text, verdict_text,
};

use turnbench_workload::conversation_stats;

use super::output;
use crate::exit::{Exit, WithExitCode};

/// The whole report as JSON.
pub(crate) fn json(report: &RunReport) -> Result<String, Exit> {
    Ok(run_report_json(report)?)
}

/// The reference's block (parameters, rates, table), then what it does not tell.
pub(crate) fn table(report: &RunReport, parameters: &Parameters) -> String {
    let mut text = statistics_text(
        parameters,
        generation_parameters(&report.plan),
        &report.summaries,
        style(),
    );
    let width = output::width();
    for block in [
        correction_text(&report.ttft_correction, width),
        outcome_text(report, width),
        turns_text(report, width),
        server_text(report, width),
        ledger_text(report, width),
        headlines_text(report),
        verdict_text(report, width),
        client_text(report, width),
    ] {
        if !block.is_empty() {
            text.push_str(&block);
        }
    }
    text
}

/// The parameters above the table. As many open conversations as clients is what "None" means.
pub(crate) fn parameters(plan: &Plan) -> Parameters {
    let active = plan.load.max_active_conversations;
    Parameters::of(plan, (active != plan.load.num_clients).then_some(active))
}

/// The table about a list of conversations, as the reference prints it before the run.
pub(crate) fn messages_table(conversations: &[Conversation]) -> String {
    let counts: Vec<usize> = conversations.iter().map(|one| one.messages.len()).collect();
    conversations_text(&counts, style())
}

/// The tables that `print_stats` of a generator config asks for.
pub(crate) fn generator_tables(
    conversations: &[Conversation],
    tokenizer: &dyn Tokenizer,
) -> Result<String, Exit> {
    let stats = conversation_stats(conversations, tokenizer).or_usage()?;
    Ok(generator_text(&stats, style()))
}

fn style() -> ReferenceStyle {
    ReferenceStyle { color: output::color() }
}
