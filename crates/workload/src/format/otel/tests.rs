#![expect(clippy::needless_pass_by_value, reason = "rows are written down where they are used")]

use proptest::prelude::*;
use serde_json::{Value, json};
use turnbench_model::{Content, Conversation, Nanos, TurnRules};

use super::FORMAT;
use crate::format::testing::{
    Seen, lines, mutated, read, read_anyway, sample, source, source_of_bytes,
};

/// Span of the first call, messages of each turn, and where it forks off.
type Shape<'a> = (&'a str, Vec<usize>, Option<(&'a str, u32, Option<u32>)>);

fn shape(seen: &Seen) -> Vec<Shape<'_>> {
    let turns = |it: &Conversation| {
        let turns = it.turns(TurnRules::default());
        assert!(turns.iter().all(|turn| turn.answer.is_some()), "{}", it.id);
        assert!(it.recorded.is_empty() || it.recorded.len() == turns.len(), "{}", it.id);
        turns.iter().map(|turn| turn.messages.len()).collect()
    };
    let mut shapes = Vec::new();
    for it in &seen.conversations {
        let span = it.id.split_once('/').map_or(it.id.as_str(), |(_, span)| span);
        let parent = it.parent.as_ref().map(|it| (it.id.as_str(), it.after_turn, it.before_turn));
        shapes.push((span, turns(it), parent));
    }
    shapes
}

fn read_sample(name: &str) -> Seen {
    let seen = read(&FORMAT, sample(name));
    assert_eq!((seen.skips.len(), seen.remarks.len(), &seen.error), (0, 0, &None), "{name}");
    seen
}

#[test]
fn calls_that_extend_one_another_are_one_conversation() {
    for (name, span) in [
        ("otel/simple_chain.json", "capital_question"),
        ("otel/simple_chain_alt.json", "capital_question"),
    ] {
        let seen = read_sample(name);
        assert_eq!(shape(&seen), [(span, vec![1, 1, 1], None)], "{name}");
        let recorded = &seen.conversations[0].recorded;
        let times: Vec<_> =
            recorded.iter().map(|it| it.sent_at_ns.unwrap().0 / 1_000_000).collect();
        assert_eq!(times, [0, 3000, 6000]);
        assert_eq!(recorded[1].think_time_ns, Some(Nanos::from_millis(500)));
        assert_eq!(recorded[1].latency_ns, Some(Nanos::from_millis(2000)));
        assert_eq!((recorded[1].min_tokens, recorded[1].max_tokens), (None, Some(500)));
        assert_eq!(recorded[1].model.as_deref(), Some("gpt-4"));
        assert_eq!(seen.conversations[0].request["temperature"], json!(0.7));
    }
}

#[test]
fn of_parallel_requests_one_goes_on_and_the_other_is_a_fork_with_its_history() {
    let seen = read_sample("otel/parallel_requests.json");
    let trace = "test_trace_002/span_001";
    assert_eq!(
        shape(&seen),
        [("span_001", vec![1, 1, 3, 1], None), ("span_003", vec![3], Some((trace, 1, Some(3))))]
    );
    let fork = &seen.conversations[1];
    assert_eq!((fork.messages.len(), fork.recorded[0].messages_count), (4, Some(3)));
}

#[test]
fn calls_that_extend_nothing_stand_for_themselves() {
    let seen = read_sample("otel/multi_agent_research.json");
    let spans: usize = shape(&seen).iter().map(|(_, turns, _)| turns.len()).sum();
    assert_eq!((seen.conversations.len(), spans), (12, 12));
    let messages: usize = shape(&seen).iter().flat_map(|(_, turns, _)| turns).sum();
    assert_eq!(messages, 37);
}

#[test]
fn a_chain_stands_among_independent_calls() {
    let seen = read_sample("otel/prefix_sharing_example.json");
    let shape = shape(&seen);
    let turns: usize = shape.iter().map(|(_, turns, _)| turns.len()).sum();
    assert_eq!((shape.len(), turns), (4, 7));
    assert!(shape.contains(&("span_conv_turn1", vec![2, 1, 1, 1], None)), "{shape:?}");
    let chain = seen.conversations.iter().find(|it| it.id.ends_with("turn1")).unwrap();
    assert!(
        chain.recorded.iter().all(|it| it.min_tokens.is_some() && it.min_tokens == it.max_tokens)
    );
    assert!(chain.recorded.iter().all(|it| it.prompt_tokens.is_some()));
}

/// A span with these messages and this answer.
fn span(id: &str, parent: Option<&str>, input: Value, output: &str) -> Value {
    json!({"trace_id": "t", "span_id": id, "parent_span_id": parent, "attributes": {
        "gen_ai.operation.name": "chat", "gen_ai.input.messages": input.to_string(),
        "gen_ai.output.text": output}})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

fn rows(rows: &[Value]) -> Seen {
    read(&FORMAT, source(&lines(rows)))
}

#[test]
fn callers_are_found_through_spans_that_are_no_calls() {
    let tool = json!({"span_id": "b", "parent_span_id": "a", "attributes": {}});
    let agent = json!({"span_id": "e", "attributes": {"gen_ai.operation.name": "invoke_agent",
        "gen_ai.input.messages": "[]"}});
    let seen = rows(&[
        span("a", None, json!([user("1")]), "x"),
        tool,
        span("c", Some("b"), json!([user("sub")]), "result"),
        agent,
        span(
            "d",
            None,
            json!([user("1"), assistant(" x\n"), user("2"), assistant("result"), user("3")]),
            "y",
        ),
    ]);
    assert_eq!(seen.skips, Vec::<String>::new());
    assert_eq!(shape(&seen), [("a", vec![1, 3], None), ("c", vec![1], Some(("t/a", 1, Some(2))))]);
}

#[test]
fn an_answer_that_was_not_recorded_is_taken_from_the_next_request() {
    let seen = rows(&[
        span("a", None, json!([user("1")]), ""),
        span("b", None, json!([user("1"), assistant("x"), user("2")]), "y"),
    ]);
    assert_eq!(shape(&seen), [("a", vec![1, 1], None)]);
    let last = rows(&[span("a", None, json!([user("1")]), "")]);
    assert_eq!(last.conversations[0].messages.len(), 1);
}

#[test]
fn sessions_are_kept_apart() {
    let in_session = |mut span: Value, session: &str| {
        span["attributes"]["gen_ai.conversation.id"] = json!(session);
        span
    };
    let first = json!([user("hi")]);
    let second = json!([user("hi"), assistant("x"), user("2")]);
    let seen = rows(&[
        in_session(span("a", None, first.clone(), "x"), "one"),
        in_session(span("b", None, first, "x"), "two"),
        in_session(span("c", None, second.clone(), "y"), "one"),
        in_session(span("d", None, second, "z"), "two"),
    ]);
    assert_eq!(shape(&seen), [("a", vec![1, 1], None), ("b", vec![1, 1], None)]);
    assert_eq!(seen.conversations[1].messages[3].content.text(), "z");
}

#[test]
fn parts_of_newer_conventions_become_the_apis() {
    let input = json!([
        {"role": "user", "parts": [{"type": "text", "content": "weather?"},
            {"type": "uri", "modality": "image", "uri": "https://x/y.png"}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "id": "1", "name": "get", "arguments": {"at": "Paris"}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "rainy"}]},
    ]);
    let output = json!([{"role": "assistant", "finish_reason": "stop",
        "parts": [{"type": "text", "content": "rain"}]}]);
    let row = json!({"context": {"span_id": "a"}, "parent_id": null, "attributes": {
        "gen_ai.input.messages": input, "gen_ai.output.messages": output,
        "gen_ai.system_instructions": [{"type": "text", "content": "be brief"}],
        "gen_ai.tool.definitions": [{"type": "function", "name": "get"}],
        "gen_ai.request.stop_sequences": ["x"]}});
    let seen = rows(&[row]);
    assert_eq!((seen.skips, seen.conversations.len()), (Vec::new(), 1));
    let conversation = &seen.conversations[0];
    let messages = json!(conversation.messages);
    assert_eq!(
        messages,
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "weather?"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [{"id": "1",
                "type": "function", "function": {"name": "get", "arguments": "{\"at\":\"Paris\"}"}}]},
            {"role": "tool", "content": "rainy", "tool_call_id": "1"},
            {"role": "assistant", "content": "rain"},
        ])
    );
    let turns = conversation.turns(TurnRules::default());
    assert_eq!((turns.len(), turns[0].messages.clone()), (1, 0..4));
    assert_eq!(conversation.request["stop"], json!(["x"]));
    assert_eq!(conversation.request["tools"][0]["function"], json!({"name": "get"}));
}

#[test]
fn otlp_batches_are_read_and_belong_together() {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let batch = |id: &str, at: u64, input: Value, output: &str| {
        let attributes = json!([
            text("gen_ai.input.messages", &input.to_string()),
            text("gen_ai.output.text", output),
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "7"}},
            {"key": "gen_ai.request.stop_sequences", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
        ]);
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "t", "spanId": id,
            "parentSpanId": "", "startTimeUnixNano": at.to_string(),
            "endTimeUnixNano": (at + 5).to_string(), "attributes": attributes}]}]}]})
    };
    let at = 1_771_999_200_000_000_000;
    let seen = rows(&[
        batch("b", at + 20, json!([user("1"), assistant("x"), user("2")]), "y"),
        batch("a", at, json!([user("1")]), "x"),
    ]);
    assert_eq!(shape(&seen), [("a", vec![1, 1], None)]);
    let recorded = &seen.conversations[0].recorded[1];
    assert_eq!((recorded.sent_at_ns, recorded.latency_ns), (Some(Nanos(20)), Some(Nanos(5))));
    assert_eq!((recorded.think_time_ns, recorded.min_tokens), (Some(Nanos(15)), Some(7)));
    assert_eq!(seen.conversations[0].request["stop"], json!(["x"]));
}

#[test]
fn settings_that_change_within_a_conversation_are_remarked_on() {
    let mut first = span("a", None, json!([user("1")]), "x");
    first["attributes"]["gen_ai.request.temperature"] = json!(1);
    let seen = rows(&[first, span("b", None, json!([user("1"), assistant("x"), user("2")]), "y")]);
    assert_eq!(
        seen.remarks,
        ["in.data:2: span b has other settings or tools than the first request \
                               of its conversation, which are sent"]
    );
}

fn check_skip(attributes: Value, expect: &str) {
    let good = span("a", None, json!([user("1")]), "x");
    let seen = rows(&[good, json!({"span_id": "b", "attributes": attributes})]);
    assert_eq!((seen.conversations.len(), seen.skips), (1, vec![expect.to_owned()]));
}

#[test]
fn calls_that_cannot_be_read_are_skipped_by_reason() {
    check_skip(
        json!({"gen_ai.request.model": "m"}),
        "model call without messages: in.data:2: attributes.gen_ai.input.messages is missing, \
         allowed is the messages of the request",
    );
    check_skip(
        json!({"gen_ai.input.messages": "hello"}),
        "malformed messages: in.data:2: attributes.gen_ai.input.messages is \"hello\", allowed is \
         a list of messages, or JSON text of one",
    );
    check_skip(
        json!({"gen_ai.input.messages": "[]"}),
        "no messages: in.data:2: attributes.gen_ai.input.messages is \"[]\", allowed is a list \
         with one message at least",
    );
    check_skip(
        json!({"gen_ai.input.messages": [{"role": "human", "content": "x"}]}),
        "unknown role: in.data:2: attributes.gen_ai.input.messages[0].role is \"human\", allowed \
         is system, developer, user, assistant, tool or function",
    );
    check_skip(
        json!({"gen_ai.input.messages": [{"role": "user", "content": null}]}),
        "message without content: in.data:2: attributes.gen_ai.input.messages[0].content is null, \
         allowed is a string or a list of parts",
    );
    check_skip(
        json!({"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "smell"}]}]}),
        "unknown part: in.data:2: attributes.gen_ai.input.messages[0].parts[0].type is \"smell\", \
         allowed is text, reasoning, tool_call, tool_call_response, uri or blob",
    );
    let mut late = span("b", None, json!([user("1")]), "x");
    late["start_time"] = json!("yesterday");
    let expect = "malformed time: in.data:1: start_time is \"yesterday\", allowed is a time such \
                  as 2026-02-25T10:00:00.5Z, or nanoseconds since 1970";
    assert_eq!(rows(&[late]).skips, [expect]);
}

#[test]
fn spans_of_documents_are_named_by_their_place() {
    let text = json!({"spans": [span("a", None, json!([user("1")]), "x"), 5]}).to_string();
    let seen = read(&FORMAT, source(&text));
    assert_eq!(seen.skips, ["no object: in.data:1: spans[1] is 5, allowed is a JSON object"]);
    assert_eq!(seen.conversations[0].messages[0].content, Content::Text("1".into()));
}

#[test]
fn documents_without_traces_share_neither_ids_nor_the_clock() {
    let document = |id: &str, second: u32| {
        let mut span = span(id, None, json!([user(&second.to_string())]), "x");
        span["trace_id"] = Value::Null;
        span["start_time"] = format!("2026-01-01T00:00:{second:02}Z").into();
        json!({"spans": [span]})
    };
    let rows = [document("1", 10), document("1", 5), document("2", 4), document("2", 12)];
    let seen = read(&FORMAT, source(&lines(&rows)));
    let ids: Vec<&str> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["row-0/1", "row-1/1", "row-2/2", "row-3/2"]);
    let times: Vec<_> =
        seen.conversations.iter().map(|it| it.recorded[0].sent_at_ns.unwrap().0).collect();
    assert_eq!(times, [0, 0, 0, 2_000_000_000]);
    assert_eq!(
        seen.remarks,
        ["in.data: spans begin before those of the file's first document; calls before those \
          count as sent with the first"]
    );
}

#[test]
fn no_more_conversations_are_made_than_asked_for() {
    let spans =
        [span("a", None, json!([user("1")]), "x"), span("b", None, json!([user("2")]), "x")];
    let seen = read_anyway(&FORMAT, source(&lines(&spans)).with_conversations_max(Some(1)));
    assert_eq!(seen.conversations.len(), 1);
}

#[test]
fn other_formats_rows_are_left_to_them() {
    for (row, expect) in [
        (json!({"spans": [{"span_id": "a", "attributes": {}}]}), true),
        (json!({"resourceSpans": []}), true),
        (json!([{"context": {}, "attributes": {}}]), true),
        (json!({"spans": [1]}), false),
        (json!({"messages": [], "span_id": "a"}), false),
    ] {
        assert_eq!((FORMAT.sniff)(source(&row.to_string()).peek()), expect, "{row}");
    }
}

const SEEDS: [&str; 3] = [
    r#"{"spans": [{"span_id": "a", "start_time": "2026-02-25T10:00:00", "attributes":
        {"gen_ai.input.messages": [{"role": "user", "content": "x"}], "gen_ai.output.text": "y"}},
        {"span_id": "b", "parent_span_id": "b", "end_time": 5, "attributes": {"gen_ai.input.messages":
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user",
        "content": "z"}], "gen_ai.usage.output_tokens": 7, "gen_ai.request.seed": 1}}]}"#,
    r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "a", "startTimeUnixNano": "5",
        "attributes": [{"key": "gen_ai.input.messages", "value": {"arrayValue": {"values":
        [{"kvlistValue": {"values": [{"key": "role", "value": {"stringValue": "user"}}]}}]}}}]}]}]}]}"#,
    r#"[{"context": {"span_id": "a"}, "attributes": {"gen_ai.input.messages": [{"role": "tool", "parts":
        [{"type": "tool_call_response", "id": 1, "response": {}}, {"type": "blob", "mime_type": "a/b",
        "content": ""}]}], "gen_ai.system_instructions": "[]", "gen_ai.tool.definitions": "[]"}}]"#,
];

proptest! {
    #[test]
    fn no_rows_make_the_reader_panic(bytes in mutated(&SEEDS)) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
