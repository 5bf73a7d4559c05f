use super::answer::{Finished, Meta, RequestMetrics, reason_name};
use super::json::{push_ids, push_string};
use crate::engine::FinishReason;

/// The name of a streamed part.
pub(crate) const CHUNK: &str = "chat.completion.chunk";

/// The body of a plain answer.
pub(crate) fn whole(meta: &Meta, answer: &Finished<'_>) -> String {
    let mut out = meta.open("chat.completion");
    out.push_str("{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    push_string(&mut out, answer.text);
    out.push_str(
        ",\"refusal\":null,\"annotations\":null,\"audio\":null,\"function_call\":null,\
         \"reasoning\":null},\"logprobs\":null,\"finish_reason\":",
    );
    push_string(&mut out, reason_name(answer.reason));
    out.push_str(",\"stop_reason\":null,\"token_ids\":");
    push_ids(&mut out, answer.ids.map(|(_, answer)| answer));
    out.push_str(",\"routed_experts\":null}],\"service_tier\":null");
    meta.push_fingerprint(&mut out);
    answer.usage.push_whole(&mut out);
    out.push_str(",\"prompt_logprobs\":null,\"prompt_token_ids\":");
    push_ids(&mut out, answer.ids.map(|(prompt, _)| prompt));
    out.push_str(",\"prompt_text\":null,\"kv_transfer_params\":null,\"ec_transfer_params\":null");
    if let Some(details) = &answer.cached_details {
        details.push(&mut out);
    }
    RequestMetrics::push_whole(answer.metrics.as_ref(), &mut out);
    out
}

/// The choice of the first event: the role, before any token.
pub(crate) const ROLE_CHOICE: &str = "{\"index\":0,\"delta\":{\"role\":\"assistant\",\
     \"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}";

/// What follows choices and usage in the first event.
pub(crate) fn push_prompt(out: &mut String, prompt: Option<&[u32]>) {
    out.push_str(",\"prompt_token_ids\":");
    push_ids(out, prompt);
    out.push_str(",\"prompt_text\":null");
}

/// The choice of an event with text.
pub(crate) fn push_choice(
    out: &mut String,
    text: &str,
    ids: Option<&[u32]>,
    finish: Option<FinishReason>,
) {
    out.push_str("{\"index\":0,\"delta\":{\"content\":");
    push_string(out, text);
    out.push_str("},\"logprobs\":null,\"finish_reason\":");
    match finish {
        None => out.push_str("null"),
        Some(reason) => {
            push_string(out, reason_name(reason));
            out.push_str(",\"stop_reason\":null");
        }
    }
    out.push_str(",\"token_ids\":");
    push_ids(out, ids);
    out.push('}');
}
