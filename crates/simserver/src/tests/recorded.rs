use serde_json::Value;

use super::{Client, options, start};
use crate::ServerOptions;
use crate::recordings::{Parts, Recording};

/// The same request as a real server got must get the same bytes, but for dates and ids.
fn check(client: &mut Client, name: &str) {
    let recording = Recording::load(name);
    client.send(&recording.wire());
    let answer = client.response(recording.request["method"] == "HEAD");
    assert_eq!(answer.normalised(), recording.parts().normalised(), "{name}");
}

#[test]
fn refusals_and_small_routes_are_the_recorded_bytes() {
    let server = start(options());
    let mut client = Client::connect(&server);
    for name in [
        "models",
        "version",
        "health",
        "ping",
        "load",
        "tokenizer_info",
        "err_wrong_method",
        "err_wrong_method2",
        "err_head_models",
        "err_unknown_route",
        "err_unknown_route_post",
        "err_wrong_model",
        "err_wrong_model_stream",
        "err_empty_body",
        "err_empty_messages",
        "err_json_array",
        "err_malformed_json",
        "err_not_json_type",
        "err_max_tokens_huge",
        "err_min_gt_max",
        "err_n_zero",
        "err_negative_max_tokens",
        "err_negative_min",
        "err_negative_temperature",
        "err_no_messages",
        "err_string_max_tokens",
        "err_top_p",
        "err_zero_max_tokens",
        "err_prompt_too_long",
        "err_prompt_too_long_stream",
        "err_comp_bad_ids",
        "err_comp_empty_ids",
        "chat_streamopts_nostream",
        "tokenize_wrong_model",
        "tokenize_messages_both",
        "detokenize_bad",
    ] {
        check(&mut client, &format!("basic/{name}"));
    }
}

#[test]
fn a_server_with_a_key_refuses_with_the_recorded_bytes() {
    let mut options = ServerOptions {
        api_key: Some("sk-golden".to_owned()),
        request_id_headers: false,
        prompt_tokens_details: false,
        ..options()
    };
    // The recorded prompts have more tokens with the tokenizer of these tests.
    options.engine.max_model_len = 8192;
    let server = start(options);
    let mut client = Client::connect(&server);
    for name in ["none", "wrong", "wrong_stream", "basic", "none_models", "none_health"] {
        check(&mut client, &format!("auth/auth_{name}"));
    }
    check(&mut client, "auth/auth_none_version");
    for name in ["auth_ok", "auth_lower", "plain_chat", "plain_request_id", "plain_chat_long_0"] {
        check_shape(&mut client, &format!("auth/{name}"));
    }
}

/// JSON with every value replaced by its kind: names, their order and nulls remain.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => 0.into(),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// The head without the length: answers have other words here.
fn head_outline(parts: Parts) -> Vec<String> {
    let mut head = parts.normalised().head;
    for field in &mut head {
        if field.starts_with("content-length") {
            "content-length".clone_into(field);
        }
    }
    head
}

fn body_shapes(parts: &Parts) -> Vec<String> {
    let shapes = parts.chunks.iter().map(|chunk| {
        let json = chunk.strip_prefix("data: ").unwrap_or(chunk);
        serde_json::from_str(json).map_or_else(|_| chunk.clone(), |json| shape(&json).to_string())
    });
    // How many events there are depends on how busy the recorded server was.
    let mut shapes: Vec<String> = shapes.collect();
    shapes.dedup();
    shapes
}

fn check_shape(client: &mut Client, name: &str) {
    let recording = Recording::load(name);
    client.send(&recording.wire());
    let (answer, recorded) = (client.response(false), recording.parts());
    assert_eq!(body_shapes(&answer), body_shapes(&recorded), "{name}");
    assert_eq!(head_outline(answer), head_outline(recorded), "{name}");
}

#[test]
fn answers_have_the_recorded_heads_and_shapes() {
    let server = start(options());
    let mut client = Client::connect(&server);
    for name in [
        "chat_plain",
        "chat_return_token_ids",
        "chat_stream",
        "chat_stream_usage",
        "chat_stream_usage_continuous",
        "chat_stream_continuous_only",
        "chat_max_tokens_1_stream",
        "chat_min_max_ignore_eos",
        "chat_return_token_ids_stream",
        "chat_request_id_hdr",
        "chat_request_id_hdr_stream",
        "comp_text",
        "err_no_model",
        "err_unknown_field",
        "err_bad_role",
        "err_message_no_content",
        "tokenize_prompt",
        "tokenize_messages_strs",
    ] {
        check_shape(&mut client, &format!("basic/{name}"));
    }
    let mut client = Client::connect(&server);
    check_shape(&mut client, "basic/chat_conn_close");
}

#[test]
fn per_request_metrics_are_where_they_were_recorded() {
    let server =
        start(ServerOptions { per_request_metrics: true, request_id_headers: false, ..options() });
    let mut client = Client::connect(&server);
    for name in ["pm_chat", "pm_comp", "pm_max1", "pm_chat_stream_usage", "pm_comp_stream"] {
        check_shape(&mut client, &format!("permetrics/{name}"));
    }
}
