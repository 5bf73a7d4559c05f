use std::sync::Arc;

use turnbench_client::run::{RunInput, Script};

use super::prepare::Prepared;

/// What the client crate replays.
pub(crate) fn run_input(prepared: &Prepared) -> RunInput {
    let plan = &prepared.plan;
    let scripts = prepared
        .conversations
        .iter()
        .zip(&prepared.answer_tokens)
        .map(|(conversation, tokens)| Script::new(conversation, tokens, &plan.request))
        .collect();
    RunInput {
        scripts,
        request: plan.request.clone(),
        model: plan.target.served_model_name.clone(),
        headers: prepared.headers.clone(),
        connector: Arc::clone(&prepared.connector),
        clients_count: plan.load.num_clients,
        connections_warm: plan.client.connections_warm,
        warmup: plan.load.warmup_step,
    }
}
