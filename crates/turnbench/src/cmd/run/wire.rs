use std::sync::Arc;

use turnbench_client::run::{RunInput, Script};

use super::prepare::Prepared;

/// What the client crate replays.
pub(crate) fn run_input(prepared: &Prepared) -> RunInput {
    let plan = &prepared.plan;
    RunInput {
        scripts: Script::of_workload(
            &prepared.conversations,
            &prepared.answer_tokens,
            &plan.request,
        ),
        request: plan.request.clone(),
        model: plan.target.served_model_name.clone(),
        headers: prepared.headers.clone(),
        connector: Arc::clone(&prepared.connector),
        clients_count: plan.load.num_clients,
        connections_warm: plan.client.connections_warm,
        warmup: plan.load.warmup_step,
    }
}
