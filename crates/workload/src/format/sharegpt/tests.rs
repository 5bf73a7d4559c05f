use proptest::prelude::*;
use serde_json::{Value, json};

use super::FORMAT;
use crate::format::testing::{Seen, mutated, read, read_anyway, sample, source, source_of_bytes};

/// The messages of each conversation, as `id: role=text …`.
fn shown(seen: &Seen) -> Vec<String> {
    let one = |conversation: &turnbench_model::Conversation| {
        let messages = conversation.messages.iter().map(|message| {
            let role = message.role.chars().next().unwrap_or('?');
            format!("{role}={}", message.content.text())
        });
        format!("{}: {}", conversation.id, messages.collect::<Vec<_>>().join(" "))
    };
    seen.conversations.iter().map(one).collect()
}

/// An item of these speakers, by their first letters, saying `text0`, `text1`, ….
fn item(id: &str, speakers: &str, text: &str) -> Value {
    let entries: Vec<Value> = speakers
        .chars()
        .enumerate()
        .map(|(index, speaker)| {
            let from = match speaker {
                'h' => "human",
                'g' => "gpt",
                's' => "system",
                _ => "robot",
            };
            json!({"from": from, "value": format!("{text}{index}")})
        })
        .collect();
    json!({"id": id, "conversations": entries})
}

fn check(items: &[Value], conversations: &[&str], skips: &[&str]) {
    let list = Value::from(items.to_vec()).to_string();
    let lines: Vec<String> = items.iter().map(|item| format!("{item}\n")).collect();
    let lines = lines.concat();
    for text in [list, lines] {
        let seen = read(&FORMAT, source(&text));
        assert_eq!(shown(&seen), conversations);
        let reasons: Vec<&str> =
            seen.skips.iter().map(|skip| skip.split(": ").next().unwrap_or_default()).collect();
        assert_eq!(reasons, skips, "{:?}", seen.skips);
        assert_eq!(seen.error, None);
    }
}

#[test]
fn parts_are_joined_in_order_wherever_they_stand() {
    check(
        &[
            item("a_2", "hg", "y"),
            item("b", "hg", "b"),
            item("a_0", "hg", "x"),
            item("c_d_8", "hg", "d"),
            item("c_d_10", "hg", "e"),
        ],
        &["a: u=x0 a=x1 u=y0 a=y1", "b: u=b0 a=b1", "c_d: u=d0 a=d1 u=e0 a=e1"],
        &[],
    );
    let text = format!("[{},{}]", item("a_0", "hg", "x"), item("a_2", "ghg", "y"));
    assert_eq!(read(&FORMAT, source(&text)).remarks, ["1 merged"]);
}

#[test]
fn where_parts_meet_the_message_without_a_counterpart_goes() {
    let other = item("z", "hg", "z");
    let joined = |first: Value, second: Value| {
        let text = Value::from(vec![first, second, other.clone()]).to_string();
        shown(&read(&FORMAT, source(&text))).swap_remove(0)
    };
    let answers = joined(item("a_0", "hg", "x"), item("a_1", "ghg", "y"));
    assert_eq!(answers, "a: u=x0 a=x1 u=y1 a=y2");
    let questions = joined(item("a_0", "hgh", "x"), item("a_1", "hg", "y"));
    assert_eq!(questions, "a: u=x0 a=x1 u=y0 a=y1");
    let repeated = joined(item("a_0", "hgh", "x"), {
        let mut item = item("a_1", "hg", "y");
        item["conversations"][0]["value"] = "x2".into();
        item
    });
    assert_eq!(repeated, "a: u=x0 a=x1 u=x2 a=y1");
    let fits = joined(item("a_0", "hgh", "x"), item("a_1", "ghg", "y"));
    assert_eq!(fits, "a: u=x0 a=x1 u=x2 a=y0 u=y1 a=y2");
}

#[test]
fn numbers_may_be_names_of_whole_conversations() {
    check(
        &[item("a_0", "hg", "x"), item("a_1", "hg", "y")],
        &["a_0: u=x0 a=x1", "a_1: u=y0 a=y1"],
        &[],
    );
    // However many names there are.
    let sets = ["math", "chat"].map(|set| (0..10).map(move |number| format!("{set}_{number}")));
    let items: Vec<Value> = sets.into_iter().flatten().map(|id| item(&id, "hg", "x")).collect();
    assert_eq!(read(&FORMAT, source(&Value::from(items).to_string())).conversations.len(), 20);
    // One that lacks its last answer or its first question says nothing of the others.
    check(
        &[item("a_0", "ghg", "x"), item("a_1", "hg", "y"), item("a_2", "hgh", "z")],
        &["a_0: u=x1 a=x2", "a_1: u=y0 a=y1", "a_2: u=z0 a=z1"],
        &[],
    );
    // Numbers that count messages are certain, and so is a part that begins with an answer.
    let certain = ["a: u=x0 a=x1 u=y0 a=y1"];
    check(&[item("a_0", "hg", "x"), item("a_2", "hg", "y")], &certain, &[]);
    let missing = ["a: u=x0 a=x1 u=y0 a=y1 u=z0 a=z1"];
    let items = [item("a_0", "hg", "x"), item("a_2", "hg", "y"), item("a_8", "hg", "z")];
    check(&items, &missing, &[]);
    let certain = ["a: u=x0 a=x1 u=y1 a=y2"];
    check(&[item("a_0", "hg", "x"), item("a_1", "ghg", "y")], &certain, &[]);
    let many: Vec<Value> = (0..=super::parts::PARTS_MAX)
        .map(|number| item(&format!("set_{number}"), "hg", "x"))
        .chain([item("b_0", "hg", "b")])
        .collect();
    let seen = read(&FORMAT, source(&Value::from(many).to_string()));
    assert_eq!(seen.conversations.len(), super::parts::PARTS_MAX + 2);
}

#[test]
fn conversations_begin_with_a_question_and_end_with_an_answer() {
    check(
        &[
            item("a", "ghg", "x"),
            item("b", "shgh", "x"),
            item("c", "h", "x"),
            item("d", "g", "x"),
            item("e", "", "x"),
        ],
        &["a: u=x1 a=x2", "b: s=x0 u=x1 a=x2"],
        &["no question with an answer"; 3],
    );
}

#[test]
fn odd_items_are_skipped_with_their_place() {
    let mut no_text = item("f_0", "hg", "x");
    no_text["conversations"][1]["value"] = Value::Null;
    let mut empty = item("g_0", "hg", "x");
    empty["conversations"][0]["value"] = "".into();
    let items = [
        item("a_0", "hr", "x"),
        item("a_2", "hg", "x"),
        json!({"id": "b_0"}),
        json!({"id": "c_0", "conversations": {}}),
        json!(5),
        json!({"id": "d_0", "conversations": ["x"]}),
        json!({"id": "e_0", "conversations": [{"value": "x"}]}),
        no_text,
        empty,
        item("h_0", "hg", "x"),
        item("h_0", "hg", "y"),
        json!({"id": 7, "conversations": item("", "hg", "n")["conversations"]}),
        json!({"conversations": item("", "hg", "m")["conversations"], "tools": "{"}),
    ];
    let seen = read(&FORMAT, source(&Value::from(items.to_vec()).to_string()));
    assert_eq!(shown(&seen), ["h_0: u=x0 a=x1", "7: u=n0 a=n1"]);
    let allowed = super::speaker::ALLOWED;
    assert_eq!(
        seen.skips,
        [
            &format!(
                "unknown speaker: in.data: [0].conversations[1].from is \"robot\", allowed is \
                 {allowed}"
            ),
            "part of a conversation that is skipped: in.data: [1].id is \"a_2\", allowed is an id \
             of a conversation whose parts are all in order",
            "no list of messages: in.data: [2].conversations is missing, allowed is a list",
            "no list of messages: in.data: [3].conversations is {}, allowed is a list",
            "no object: in.data: [4] is 5, allowed is a JSON object",
            "malformed message: in.data: [5].conversations[0] is \"x\", allowed is a JSON object",
            &format!(
                "message without a speaker: in.data: [6].conversations[0].from is missing, \
                 allowed is {allowed}"
            ),
            "message without text: in.data: [7].conversations[1].value is null, allowed is a \
             string",
            "empty question: in.data: [8].conversations[0].value is \"\", allowed is a question \
             that is not empty",
            "an id that another item has: in.data: [10].id is \"h_0\", allowed is an id that no \
             other item has",
            "malformed tools: in.data: [12].tools is \"{\", allowed is a list of {\"type\": \
             \"function\", \"function\": {…}}, or that as a string",
        ]
    );
}

#[test]
fn halves_of_surrogate_pairs_are_skipped_and_broken_files_end() {
    for id in ["b_0", "b"] {
        let good = item(id, "hg", "x").to_string();
        let bad = r#"{"id":"c","conversations":[{"from":"human","value":"\ud83d"}]}"#;
        let seen = read(&FORMAT, source(&format!("[{good},{bad}]")));
        assert_eq!(shown(&seen), [format!("{id}: u=x0 a=x1")]);
        assert!(seen.skips[0].starts_with("half of a surrogate pair"), "{:?}", seen.skips);
        let cut = read(&FORMAT, source(&format!("[{good},{bad},{}", &good[..40])));
        let error = cut.error.unwrap();
        assert!(error.contains("malformed JSON in item 2, at byte"), "{error}");
    }
    let mut bytes = format!("[{},", item("a_0", "hg", "x")).into_bytes();
    bytes.extend(b"{\"id\":\"\xff\"}]");
    let error = read(&FORMAT, source_of_bytes(&bytes)).error.unwrap();
    assert!(error.contains("invalid UTF-8 at byte"), "{error}");
}

#[test]
fn a_compressed_file_is_read_as_well() {
    let text =
        Value::from(vec![item("a_2", "hg", "y"), item("a_0", "hg", "x"), item("b", "hg", "z")]);
    let packed = zstd::encode_all(text.to_string().as_bytes(), 1).unwrap();
    let seen = read(&FORMAT, source_of_bytes(&packed));
    assert_eq!(shown(&seen), ["a: u=x0 a=x1 u=y0 a=y1", "b: u=z0 a=z1"]);
}

#[test]
fn an_item_that_is_skipped_takes_no_others_place() {
    let items = [item("a_0", "r", "x"), item("b_0", "hg", "y"), item("c", "hg", "z")];
    let limited = source(&Value::from(items.to_vec()).to_string()).with_conversations_max(Some(2));
    assert_eq!(shown(&read(&FORMAT, limited)), ["b_0: u=y0 a=y1", "c: u=z0 a=z1"]);
}

#[test]
fn what_cannot_be_kept_is_named() {
    let good = item("a", "hg", "x").to_string();
    let check = |value: &str, expect: &str| {
        let bad = format!(r#"{{"conversations":[{{"from":"human","value":{value}}}]}}"#);
        let seen = read(&FORMAT, source(&format!("{good}\n{bad}")));
        assert_eq!((seen.conversations.len(), seen.error), (1, None));
        assert_eq!(seen.skips[0].split(": ").next(), Some(expect), "{value}");
    };
    check(r#""\ud83d""#, "half of a surrogate pair, which no text can hold");
    check(r#""\ud83d\u0041""#, "half of a surrogate pair, which no text can hold");
    check("1e999", "number too large");
    check(&format!("{}{}", "[".repeat(200), "]".repeat(200)), "nested too deep");
}

#[test]
fn role_content_entries_keep_what_the_api_knows() {
    let call =
        json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let text = json!({"conversation": [
        {"role": "user", "content": [{"type": "text", "text": "q"}], "language": "English"},
        {"role": "assistant", "content": null, "tool_calls": call},
        {"role": "tool", "content": "r", "tool_call_id": "c"},
        {"role": "assistant", "content": "a", "reasoning_content": "why"},
    ], "system": "s"});
    let seen = read(&FORMAT, source(&text.to_string()));
    let conversation = &seen.conversations[0];
    assert_eq!(conversation.id, "row-0");
    assert_eq!(
        serde_json::to_value(&conversation.messages).unwrap(),
        json!([
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": null, "tool_calls": call},
            {"role": "tool", "content": "r", "tool_call_id": "c"},
            {"role": "assistant", "content": "a", "reasoning_content": "why"},
        ])
    );
}

#[test]
fn function_calls_become_tool_calls_that_observations_answer() {
    let turn = |from: &str, value: &str| json!({"from": from, "value": value});
    let text = json!([{"messages": [
        turn("human", "q"),
        turn("function_call", r#"[{"name":"f","arguments":{"a":1}},{"name":"g","arguments":{}}]"#),
        turn("observation", r#"[{"x":1},"two"]"#),
        turn("gpt", "a"),
        turn("human", "q2"),
        turn("function_call", r#"{"name":"h","arguments":{}}"#),
        turn("observation", "three"),
        turn("gpt", "a2"),
    ], "tools": r#"[{"name":"f","parameters":{}}]"#}]);
    let seen = read(&FORMAT, source(&text.to_string()));
    let conversation = &seen.conversations[0];
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    assert_eq!(conversation.request["tools"], tools);
    let messages = serde_json::to_value(&conversation.messages).unwrap();
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(
        messages[1]["tool_calls"],
        json!([call("call_0", "f", "{\"a\":1}"), call("call_1", "g", "{}")])
    );
    let result =
        |id: &str, text: &str| json!({"role": "tool", "content": text, "tool_call_id": id});
    assert_eq!(messages[2], result("call_0", "{\"x\":1}"));
    assert_eq!(messages[3], result("call_1", "two"));
    assert_eq!(messages[6]["tool_calls"], json!([call("call_2", "h", "{}")]));
    assert_eq!(messages[7], result("call_2", "three"));
}

/// Conversations, messages and tool calls of a real file.
fn counts(name: &str) -> (usize, usize, usize, usize) {
    let seen = read(&FORMAT, sample(name));
    assert_eq!((seen.skips.len(), &seen.error), (0, &None), "{name}: {:?}", seen.skips);
    let messages: Vec<_> = seen.conversations.iter().flat_map(|one| &one.messages).collect();
    let calls = messages.iter().filter(|message| message.extra.contains_key("tool_calls")).count();
    let with_tools =
        seen.conversations.iter().filter(|one| one.request.contains_key("tools")).count();
    (seen.conversations.len(), messages.len(), calls, with_tools)
}

#[test]
fn files_from_the_field_are_read_whole() {
    assert_eq!(counts("sharegpt/fastchat-dummy_conversation-first60.json"), (60, 240, 0, 0));
    assert_eq!(counts("sharegpt/inference-perf-e2e-sharegpt.json"), (2, 4, 0, 0));
    let (conversations, messages, calls, with_tools) =
        counts("sharegpt/llamafactory-glaive_toolcall_en_demo-first25.json");
    // All have the key, 12 with anything in it.
    assert_eq!((conversations, messages, calls, with_tools), (25, 166, 15, 12));
}

#[test]
fn chat_requests_are_not_taken() {
    let recognized = |text: &str| (FORMAT.sniff)(source(text).peek());
    assert!(!recognized(r#"[{"id":"a","messages":[{"role":"user","content":"x"}]}]"#));
    assert!(!recognized(r#"{"session_id":"a","turns":[]}"#));
    assert!(!recognized("a,b"));
    let from_value = r#"{"id":"a","messages":[{"from":"human","value":"x"}]}"#;
    assert!(recognized(from_value));
    let others = crate::FORMATS.iter().filter(|format| format.name != FORMAT.name);
    let peek = source(from_value);
    assert!(others.into_iter().all(|format| !(format.sniff)(peek.peek())));
    assert!(recognized(
        r#"[{"conversations":[]},{"conversations":[{"role":"user","content":"x"}]}]"#
    ));
}

const SEEDS: &[&str] = &[
    r#"[{"id":"a_0","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]},{"id":"a_1","conversations":[{"from":"gpt","value":"b"}]}]"#,
    r#"{"id":"a","system":"s","tools":"[]","conversations":[{"from":"function_call","value":"{\"name\":\"f\"}"},{"from":"observation","value":"[]"}]}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn conversations_of_any_file_ask_first_and_end_with_an_answer(bytes in mutated(SEEDS)) {
        for conversation in read_anyway(&FORMAT, source_of_bytes(&bytes)).conversations {
            let roles: Vec<&str> =
                conversation.messages.iter().map(|message| message.role.as_str()).collect();
            prop_assert_eq!(roles.iter().find(|role| **role != "system"), Some(&"user"));
            prop_assert_eq!(roles.last(), Some(&"assistant"));
        }
    }
}
