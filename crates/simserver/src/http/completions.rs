use super::answer::{Finished, Meta, RequestMetrics, reason_name};
use super::json::{push_ids, push_optional, push_string};
use crate::engine::FinishReason;

/// The name of an answer and of a streamed part.
pub(crate) const OBJECT: &str = "text_completion";

/// The body of a plain answer.
pub(crate) fn whole(meta: &Meta, answer: &Finished<'_>) -> String {
    let mut out = meta.open(OBJECT);
    out.push_str("{\"index\":0,\"text\":");
    push_string(&mut out, answer.text);
    out.push_str(",\"logprobs\":null,\"finish_reason\":");
    push_string(&mut out, reason_name(answer.reason));
    out.push_str(",\"stop_reason\":null,\"token_ids\":");
    push_ids(&mut out, answer.ids.map(|(_, answer)| answer));
    out.push_str(",\"prompt_logprobs\":null,\"prompt_token_ids\":");
    push_ids(&mut out, answer.ids.map(|(prompt, _)| prompt));
    out.push_str(",\"routed_experts\":null}],\"service_tier\":null");
    meta.push_fingerprint(&mut out);
    answer.usage.push_whole(&mut out);
    out.push_str(",\"kv_transfer_params\":null,\"ec_transfer_params\":null");
    if let Some(details) = &answer.cached_details {
        details.push(&mut out);
    }
    RequestMetrics::push_whole(answer.metrics.as_ref(), &mut out);
    out
}

/// The choice of an event. `prompt` goes into the first one, if asked for.
pub(crate) fn push_choice(
    out: &mut String,
    text: &str,
    prompt: Option<&[u32]>,
    ids: Option<&[u32]>,
    finish: Option<FinishReason>,
) {
    out.push_str("{\"index\":0,\"text\":");
    push_string(out, text);
    out.push_str(",\"logprobs\":null,\"finish_reason\":");
    push_optional(out, finish.map(reason_name));
    out.push_str(",\"stop_reason\":null,\"prompt_token_ids\":");
    push_ids(out, prompt);
    out.push_str(",\"token_ids\":");
    push_ids(out, ids);
    out.push('}');
}
