use serde_json::{Map, Value, json};

use crate::format::Skipped;
use crate::format::remarks::Remarks;
use crate::json_file::Node;

/// Keys of a chat request that go into every request of the conversation; a row that has one is a
/// request, whatever else it has. The API's (reference of 2025), then those that servers add.
pub(super) const REQUEST: [&str; 36] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "response_format",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "prediction",
    "service_tier",
    "top_k",
    "min_p",
    "repetition_penalty",
    "length_penalty",
    "stop_token_ids",
    "include_stop_str_in_output",
    "ignore_eos",
    "skip_special_tokens",
    "chat_template_kwargs",
    "add_generation_prompt",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "extra_body",
];

/// Keys of a request that become a part of what was recorded of the turns.
pub(super) const OF_TURNS: [&str; 4] =
    ["model", "max_tokens", "max_completion_tokens", "min_tokens"];

/// Keys that are kept elsewhere.
const ELSEWHERE: [&str; 4] = ["id", "custom_id", "messages", "extra_body"];

/// Keys that the run sets itself.
const OF_THE_RUN: [&str; 3] = ["stream", "stream_options", "n"];

/// Whether a key of a recorded request may go beside the messages: it has no place of its own, and
/// the run doesn't set it.
pub(crate) fn is_extra(key: &str) -> bool {
    key != "messages" && !OF_TURNS.contains(&key) && !OF_THE_RUN.contains(&key)
}

/// Media that some data sets name beside the messages, which have `<image>` in their place.
const MEDIA: [&str; 4] = ["image", "images", "audios", "videos"];

/// The keys that go beside the messages; `batch` rows are requests with all they have.
pub(super) fn request(
    body: &Node,
    batch: bool,
    remarks: &mut Remarks,
) -> Result<Map<String, Value>, Skipped> {
    let mut request = Map::new();
    add(&mut request, body, batch, remarks)?;
    let more = body.key("extra_body");
    match more.not_null() {
        Some(Value::Object(keys)) => {
            add(&mut request, &more, true, remarks)?;
            for key in ELSEWHERE.iter().filter(|key| keys.contains_key(**key)) {
                remarks.note(&more, key, "has no effect here");
            }
        }
        Some(_) => remarks.note(body, "extra_body", "is no object and has no effect"),
        None => {}
    }
    Ok(request)
}

/// Adds the keys of an object that go beside the messages: all of a request, else those that are
/// known to be of one.
fn add(
    request: &mut Map<String, Value>,
    node: &Node,
    all: bool,
    remarks: &mut Remarks,
) -> Result<(), Skipped> {
    let Some(Value::Object(keys)) = node.value() else { return Ok(()) };
    for (key, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
        let name = key.as_str();
        let mut remark = |text| remarks.note(node, key, text);
        match name {
            "tools" => {
                if let Some(tools) = tools(&node.key(key))? {
                    request.insert(key.clone(), tools);
                }
            }
            _ if ELSEWHERE.contains(&name) || OF_TURNS.contains(&name) => {}
            _ if OF_THE_RUN.contains(&name) => {
                remark("is set by the run; what stands here has no effect");
            }
            _ if all || REQUEST.contains(&name) => {
                request.insert(key.clone(), value.clone());
            }
            _ if MEDIA.contains(&name) => {
                remark("is not sent; its placeholders stay in the messages as text");
            }
            _ => remark("is an unknown key and has no effect"),
        }
    }
    Ok(())
}

/// Tools as the API has them: data sets also hold the list as a string of JSON, and functions
/// without their wrapping. `None` where there are none.
pub(crate) fn tools(node: &Node) -> Result<Option<Value>, Skipped> {
    let refuse = || {
        let allowed = "a list of {\"type\": \"function\", \"function\": {…}}, or that as a string";
        Skipped::new("malformed tools", node.refuse(allowed))
    };
    let parsed;
    let tools = match node.not_null() {
        None => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => {
            parsed = serde_json::from_str::<Value>(text).map_err(|_| refuse())?;
            &parsed
        }
        Some(value) => value,
    };
    let tools = tools.as_array().ok_or_else(refuse)?;
    if !tools.iter().all(Value::is_object) {
        return Err(refuse());
    }
    let wrapped = tools.iter().map(|tool| match tool.as_object() {
        Some(keys) if keys.contains_key("name") && !keys.contains_key("function") => {
            let mut function = keys.clone();
            function.shift_remove("type");
            json!({"type": "function", "function": function})
        }
        _ => tool.clone(),
    });
    Ok((!tools.is_empty()).then(|| wrapped.collect()))
}

/// A number of tokens; absent and `null` are the same.
pub(crate) fn tokens(node: &Node) -> Result<Option<u32>, Skipped> {
    let Some(value) = node.not_null() else { return Ok(None) };
    // Tables keep whole numbers as floating-point ones where some are missing.
    let whole = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|it| it.fract() == 0.0 && (0.0..=4e9).contains(it))?;
        Some(number as u64)
    });
    let tokens = whole.and_then(|tokens| u32::try_from(tokens).ok()).filter(|&tokens| tokens > 0);
    tokens.map(Some).ok_or_else(|| {
        let allowed = format!("a whole number of tokens, 1 to {}", u32::MAX);
        Skipped::new("malformed token count", node.refuse(&allowed))
    })
}
