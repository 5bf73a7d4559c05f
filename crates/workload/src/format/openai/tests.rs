use proptest::prelude::*;
use serde_json::{Value, json};
use turnbench_model::{Content, Conversation, TurnRules};

use super::FORMAT;
use crate::format::testing::{
    Seen, lines, mutated, read, read_anyway, sample, source, source_of_bytes,
};

fn rows(rows: &[Value]) -> Seen {
    read(&FORMAT, source(&lines(rows)))
}

/// The only conversation of a row.
fn one(row: Value) -> Conversation {
    let seen = rows(&[row]);
    assert_eq!((seen.skips, seen.error), (Vec::new(), None));
    seen.conversations.into_iter().next().unwrap()
}

/// A row beside a good one is skipped with this complaint.
fn check_skip(row: Value, expect: &str) {
    let good = json!({"messages": [{"role": "user", "content": "x"}]});
    let seen = rows(&[good, row]);
    assert_eq!((seen.conversations.len(), seen.skips), (1, vec![expect.to_owned()]));
}

fn roles(conversation: &Conversation) -> String {
    let letters = conversation.messages.iter().map(|message| &message.role[..1]);
    letters.collect()
}

#[test]
fn messages_and_their_keys_are_kept_and_null_is_absent() {
    let calls =
        json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let parts = json!([{"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": "t"}]);
    let conversation = one(json!({"messages": [
        {"role": "developer", "content": "s", "name": null},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": null, "tool_calls": calls, "reasoning_content": "r"},
        {"role": "tool", "tool_call_id": "1", "content": "out"},
        {"role": "assistant", "content": "done", "tool_calls": null},
    ]}));
    assert_eq!((conversation.id.as_str(), roles(&conversation).as_str()), ("row-0", "duata"));
    let messages = &conversation.messages;
    assert!(messages[0].extra.is_empty() && messages[4].extra.is_empty());
    assert_eq!(messages[1].content, Content::Parts(parts.as_array().unwrap().clone()));
    assert_eq!(
        Value::Object(messages[2].extra.clone()),
        json!({"tool_calls": calls, "reasoning_content": "r"})
    );
    assert_eq!(messages[3].extra["tool_call_id"], "1");
    assert!(conversation.recorded.is_empty() && conversation.request.is_empty());
}

#[test]
fn keys_of_the_request_go_into_every_request_and_caps_to_every_turn() {
    let turn = |text: &str| {
        [json!({"role": "user", "content": text}), json!({"role": "assistant", "content": "a"})]
    };
    let messages = [turn("1"), turn("2")].concat();
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let conversation = one(json!({
        "id": 7, "messages": messages, "tools": tools, "temperature": 0.5, "stop": null,
        "model": "m", "max_tokens": 9.0, "max_completion_tokens": 5, "extra_body": {"top_k": 3},
    }));
    assert_eq!(conversation.id, "7");
    let request = json!({"tools": tools, "temperature": 0.5, "top_k": 3});
    assert_eq!(Value::Object(conversation.request.clone()), request);
    assert_eq!(conversation.recorded.len(), 2);
    for turn in &conversation.recorded {
        assert_eq!((turn.min_tokens, turn.max_tokens), (None, Some(5)));
        assert_eq!(turn.model.as_deref(), Some("m"));
    }
}

#[test]
fn extra_body_is_of_the_request_but_not_what_the_run_sets() {
    let seen = rows(&[json!({
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "model": "m", "top_k": 2, "max_tokens": 9,
        "extra_body": {"messages": [], "stream": false, "model": "z", "max_tokens": 7, "top_k": 3,
            "min_tokens": 2, "guided_json": null, "new": 1},
    })]);
    let conversation = &seen.conversations[0];
    assert_eq!(Value::Object(conversation.request.clone()), json!({"top_k": 3, "new": 1}));
    let turn = &conversation.recorded[0];
    assert_eq!((turn.min_tokens, turn.max_tokens), (Some(2), Some(7)));
    assert_eq!(turn.model.as_deref(), Some("z"));
    assert_eq!(
        seen.remarks,
        [
            "in.data: extra_body.stream is set by the run; what stands here has no effect",
            "in.data: extra_body.messages has no effect here",
        ]
    );
}

#[test]
fn tools_are_also_read_from_text_and_wrapped() {
    let question = json!([{"role": "user", "content": "x"}]);
    let tools = |tools: Value| one(json!({"messages": question, "tools": tools})).request;
    let wrapped = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    assert_eq!(tools(wrapped.clone())["tools"], wrapped);
    assert_eq!(tools(json!(wrapped.to_string()))["tools"], wrapped);
    assert_eq!(tools(json!([{"name": "f", "parameters": {}}]))["tools"], wrapped);
    for none in [json!(null), json!(""), json!([]), json!("[]")] {
        assert!(tools(none).is_empty());
    }
}

#[test]
fn a_batch_row_is_one_request_whatever_it_quotes() {
    let conversation =
        one(json!({"custom_id": "r", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "m", "user": "u", "stream": true, "messages": [
            {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"},
            {"role": "user", "content": "3"}]}}));
    let turns = conversation.turns(TurnRules::default());
    assert_eq!((turns.len(), turns[0].messages.clone(), turns[0].answer), (1, 0..3, None));
    assert_eq!((conversation.id.as_str(), &conversation.request["user"]), ("r", &json!("u")));
    assert!(!conversation.request.contains_key("stream"));
}

#[test]
fn rows_that_are_no_conversations_are_skipped_by_reason() {
    let with = |message: Value| json!({"messages": [message]});
    check_skip(json!(5), "no object: in.data:2: the document is 5, allowed is a JSON object");
    check_skip(
        json!({"messages": []}),
        "no messages: in.data:2: messages is [], allowed is a list with one message at least",
    );
    check_skip(
        json!({"messages": null}),
        "no messages: in.data:2: messages is null, allowed is a list with one message at least",
    );
    check_skip(
        json!({"text": "x"}),
        "no messages: in.data:2: messages is missing, allowed is a list with one message at least",
    );
    check_skip(
        with(Value::Null),
        "malformed message: in.data:2: messages[0] is null, allowed is a JSON object",
    );
    check_skip(
        with(json!({"role": "human", "content": "x"})),
        "unknown role: in.data:2: messages[0].role is \"human\", allowed is system, developer, \
         user, assistant, tool or function",
    );
    check_skip(
        with(json!({"role": "user", "content": null})),
        "message without content: in.data:2: messages[0].content is null, allowed is a string or \
         a list of parts",
    );
    check_skip(
        with(json!({"role": "user", "content": [7]})),
        "malformed message: in.data:2: messages[0].content is a list of 1, allowed is a list of \
         objects",
    );
    check_skip(
        with(json!({"role": "assistant", "content": "x"})),
        "no message to answer: in.data:2: messages is a list of 1, allowed is a list with a \
         message to answer",
    );
    let user = json!([{"role": "user", "content": "x"}]);
    check_skip(
        json!({"messages": user, "max_tokens": 1e30}),
        "malformed token count: in.data:2: max_tokens is 1e+30, allowed is a whole number of \
         tokens, 1 to 4294967295",
    );
    check_skip(
        json!({"messages": user, "tools": "[{"}),
        "malformed tools: in.data:2: tools is \"[{\", allowed is a list of {\"type\": \
         \"function\", \"function\": {…}}, or that as a string",
    );
}

#[test]
fn items_of_a_list_are_named_by_index_and_bad_bytes_by_line() {
    let list = r#"[{"messages": [{"role": "user", "content": "x"}]}, {"messages": [{"role": 5}]}]"#;
    let seen = read(&FORMAT, source(list));
    let expect = "malformed message: in.data: [1].messages[0].role is 5, allowed is a role, such \
                  as \"user\" or \"assistant\"";
    assert_eq!(seen.skips, [expect]);
    let bytes =
        b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n{\"messages\": \"\xff\"}";
    let error = read(&FORMAT, source_of_bytes(bytes)).error.unwrap();
    assert_eq!(error, "in.data:2: invalid UTF-8 at byte 63, expected UTF-8 text");
}

#[test]
fn unknown_keys_are_remarked_on_once() {
    let row = json!({"messages": [{"role": "user", "content": "x"}], "score": 1, "n": 2});
    assert_eq!(
        rows(&[row.clone(), row]).remarks,
        [
            "in.data: score is an unknown key and has no effect",
            "in.data: n is set by the run; what stands here has no effect",
        ]
    );
}

#[test]
fn vllms_batch_example_is_read() {
    let seen = read(&FORMAT, sample("openai/vllm-openai_example_batch.jsonl"));
    assert_eq!((seen.skips.len(), seen.remarks.len()), (0, 0));
    let facts: Vec<_> = seen.conversations.iter().map(|it| (it.id.as_str(), roles(it))).collect();
    assert_eq!(facts, [("request-1", "su".to_owned()), ("request-2", "su".to_owned())]);
    assert_eq!(seen.conversations[0].recorded[0].max_tokens, Some(1000));
}

#[test]
fn llama_factorys_parts_become_the_apis() {
    let plain = read(&FORMAT, sample("openai/llamafactory-v1_sft_demo-first25.jsonl"));
    assert_eq!((plain.conversations.len(), plain.skips.len(), plain.remarks.len()), (25, 0, 0));
    assert!(plain.conversations.iter().all(|it| roles(it) == "ua"));
    assert_eq!(plain.conversations[0].messages[0].content, Content::Text("hi".into()));

    let file = "openai/llamafactory-reason_tool_use_demo_50-first6.jsonl";
    let tools = read(&FORMAT, sample(file));
    assert_eq!((tools.conversations.len(), tools.skips.len(), tools.remarks.len()), (6, 0, 0));
    let all: String = tools.conversations.iter().map(roles).collect();
    let count = |role| all.matches(role).count();
    // Of five tool messages, two hold the results of two and of three calls.
    assert_eq!((count('s'), count('u'), count('a'), count('t')), (6, 8, 13, 8));
    assert!(tools.conversations.iter().all(|it| it.request["tools"].is_array()));
    let areas = &tools.conversations[2].messages;
    let calls = areas[2].extra["tool_calls"].as_array().unwrap();
    assert_eq!(calls[1]["function"], json!({"name": "circle_area", "arguments": "{\"radius\":3}"}));
    assert!(areas[2].extra["reasoning_content"].as_str().unwrap().starts_with("Okay, the user"));
    assert_eq!(areas[2].content, Content::Null);
    for (call, result) in calls.iter().zip(&areas[3..5]) {
        assert_eq!(call["id"], result.extra["tool_call_id"]);
        assert!(result.content.text().starts_with("{'area'"), "{result:?}");
    }
}

#[test]
fn llama_factorys_odd_parts_are_skipped() {
    let with = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    check_skip(
        with(json!({"type": "image_url", "value": "1.jpg"})),
        "media that is a file: in.data:2: messages[0].content[0].value is \"1.jpg\", allowed is a \
         URL that begins with http://, https:// or data:",
    );
    check_skip(
        with(json!({"type": "tool_call", "value": "{}"})),
        "malformed tool call: in.data:2: messages[0].content[0].value is \"{}\", allowed is JSON \
         text of {\"name\", \"arguments\"}",
    );
    check_skip(
        with(json!({"type": "smell", "value": "x"})),
        "malformed message: in.data:2: messages[0].content[0].type is \"smell\", allowed is text, \
         reasoning, tool_call, image_url, audio_url or video_url",
    );
}

#[test]
fn images_beside_the_messages_are_not_sent_and_said_so() {
    let seen = read(&FORMAT, sample("openai/llamafactory-mllm_demo.json"));
    let count: usize = seen.conversations.iter().map(|it| it.messages.len()).sum();
    assert_eq!((seen.conversations.len(), count, seen.skips.len()), (6, 24, 0));
    let expect = "llamafactory-mllm_demo.json: [0].images is not sent; its placeholders stay in the \
                  messages as text";
    assert_eq!(seen.remarks, [expect]);
}

#[test]
fn other_formats_rows_are_left_to_them() {
    let message = json!([{"role": "user", "content": "x"}]);
    for (row, expect) in [
        (json!({"messages": message}), true),
        (json!({"id": "a", "messages": message}), false),
        (json!({"id": "a", "messages": message, "request": {}, "x": 1}), false),
        (json!({"id": "a", "messages": message, "tools": []}), true),
        (json!({"id": "a", "messages": message, "timestamp": 5}), false),
        (json!({"messages": message, "output_length": 5}), false),
        (json!({"messages": message, "timestamp": "2026-11-24T10:00:00Z"}), true),
        (json!({"messages": [{"from": "human", "value": "x"}]}), false),
        (json!({"id": "a", "conversations": message}), false),
        (json!({"custom_id": "a", "body": {}}), true),
        (json!({"body": {}}), false),
        (json!({"text": "x"}), false),
    ] {
        let source = source(&row.to_string());
        assert_eq!((FORMAT.sniff)(source.peek()), expect, "{row}");
    }
}

const SEEDS: [&str; 3] = [
    r#"{"custom_id": "r", "body": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 7}}"#,
    r#"{"id": 1, "messages": [{"role": "user", "content": [{"type": "text", "value": "x"}]}, {"role":
        "assistant", "content": [{"type": "tool_call", "value": "{\"name\": \"f\", \"arguments\": {}}"}]},
        {"role": "tool", "content": [{"type": "text", "value": "[]"}]}], "tools": "[{\"name\": 1}]"}"#,
    r#"[{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"text": ""}]},
        {"role": "assistant", "content": null, "tool_calls": []}], "temperature": 1, "n": 1e99}]"#,
];

proptest! {
    #[test]
    fn no_rows_make_the_reader_panic(bytes in mutated(&SEEDS)) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
