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
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    RunInput {
        scripts,
        request: plan.request.clone(),
        model: plan.target.served_model_name.clone(),
        headers: prepared.headers.clone(),
        connector: Arc::clone(&prepared.connector),
        clients_count: plan.load.num_clients,
        shards_count: cores.min(plan.load.num_clients),
        warmup: plan.load.warmup_step,
    }
}
