use turnbench_metrics::RunReport;
use turnbench_model::{Plan, WorkloadSource};
use turnbench_report::{
    Parameters, ReferenceStyle, client_text, correction_text, headlines_text, outcome_text,
    run_report_json, statistics_text, turns_text,
};

use super::output;
use crate::exit::Exit;

/// The whole report as JSON.
pub(crate) fn json(report: &RunReport) -> Result<String, Exit> {
    Ok(run_report_json(report)? + "\n")
}

/// The reference's block (parameters, rates, table), then what it does not tell.
pub(crate) fn table(report: &RunReport, parameters: &Parameters) -> String {
    let style = ReferenceStyle { color: output::color(), width: None };
    let mut text = statistics_text(parameters, generation(&report.plan), &report.summaries, style);
    for block in [
        correction_text(&report.ttft_correction),
        outcome_text(report),
        turns_text(report),
        headlines_text(report),
        client_text(report),
    ] {
        if !block.is_empty() {
            text.push_str(&block);
        }
    }
    text
}

/// Generation parameters of the table; none for a list of conversations.
pub(crate) fn generation(plan: &Plan) -> &[(String, String)] {
    match &plan.workload.source {
        WorkloadSource::Generator { parameters } => parameters,
        WorkloadSource::Conversations => &[],
    }
}

/// The parameters above the table. As many open conversations as clients is what "None" means.
pub(crate) fn parameters(plan: &Plan) -> Parameters {
    let active = plan.load.max_active_conversations;
    Parameters::of(plan, (active != plan.load.num_clients).then_some(active))
}
