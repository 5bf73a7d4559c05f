use proptest::prelude::*;
use serde_json::json;
use turnbench_model::{Nanos, TurnRules};

use super::{FORMAT, Rows, SESSIONS_SPARE};
use crate::format::FORMATS;
use crate::format::testing::{Seen, mutated, read, read_anyway, sample, source, source_of_bytes};

fn check(name: &str, rows: usize, sums: (u64, u64, usize), last_ms: u64) {
    let seen = read(&FORMAT, sample(name));
    assert_eq!((&seen.skips, &seen.remarks, &seen.error), (&vec![], &vec![], &None), "{name}");
    let turns: Vec<_> = seen.conversations.iter().flat_map(|it| &it.recorded).collect();
    assert_eq!(turns.len(), rows, "{name}");
    let sum = |all: Vec<Option<u32>>| all.into_iter().flatten().map(u64::from).sum::<u64>();
    let prompts = sum(turns.iter().map(|turn| turn.prompt_tokens).collect());
    let answers = sum(turns.iter().map(|turn| turn.max_tokens).collect());
    let ids = turns.iter().map(|turn| turn.hash_ids.len()).sum();
    assert_eq!((prompts, answers, ids), sums, "{name}");
    let last = turns.iter().filter_map(|turn| turn.sent_at_ns).max();
    assert_eq!(last, Some(Nanos(last_ms * 1_000_000)), "{name}");
    for one in &seen.conversations {
        let has_ids = one.recorded.iter().any(|turn| !turn.hash_ids.is_empty());
        assert_eq!(one.hash_block_size, has_ids.then_some(512), "{name}");
        assert!(one.messages.is_empty() && one.recorded.iter().all(|turn| turn.standalone));
    }
}

#[test]
fn traces_from_the_field_are_read_whole() {
    check(
        "mooncake/conversation_trace-first350.jsonl.zst",
        350,
        (4_959_579, 129_425, 9_860),
        123_000,
    );
    check("mooncake/synthetic_trace-first300.jsonl.zst", 300, (3_853_165, 57_331, 7_721), 86_790);
    check("aiperf-mooncake/precise_schedule.jsonl", 8, (2_800, 2_056, 10), 5_000);
    check("aiperf-mooncake/production_trace.jsonl", 10, (7_680, 1_856, 12), 1_500);
    check("dynamo/mooncake.jsonl", 2, (56, 7, 2), 20);
    check("dynamo/mooncake_tiny.jsonl", 16, (154_607, 4_347, 313), 3_052);
}

#[test]
fn requests_are_named_after_their_id_or_row() {
    let names = |name| -> Vec<String> {
        let seen = read(&FORMAT, sample(name));
        seen.conversations.into_iter().take(2).map(|it| it.id).collect()
    };
    assert_eq!(names("dynamo/mooncake.jsonl"), ["m1", "m2"]);
    assert_eq!(names("dynamo/mooncake_tiny.jsonl"), ["row-0", "row-1"]);
}

fn rows(rows: &[serde_json::Value]) -> Seen {
    let lines: Vec<String> = rows.iter().map(serde_json::Value::to_string).collect();
    read(&FORMAT, source(&lines.join("\n")))
}

#[test]
fn rows_of_a_session_are_the_turns_of_a_conversation() {
    let seen = rows(&[
        json!({"session_id": "a", "timestamp": 5, "input_length": 600, "output_length": 4, "hash_ids": [1, 2]}),
        json!({"session_id": 7, "timestamp": 6.5, "input_length": 9}),
        json!({"timestamp": 7, "input_length": 9, "output_length": 1}),
        json!({"session_id": "a", "delay": 1500, "input_length": 1030, "output_length": 4, "hash_ids": [1, 2, 3]}),
    ]);
    let shape: Vec<_> =
        seen.conversations.iter().map(|it| (it.id.as_str(), it.recorded.len())).collect();
    assert_eq!(shape, [("row-2", 1), ("a", 2), ("7", 1)]);
    let a = &seen.conversations[1];
    assert_eq!(a.recorded[1].think_time_ns, Some(Nanos(1_500_000_000)));
    assert_eq!(a.recorded[1].hash_ids, [1, 2, 3]);
    assert_eq!(seen.conversations[2].recorded[0].sent_at_ns, Some(Nanos(6_500_000)));
    assert_eq!(seen.conversations[2].hash_block_size, None);
}

#[test]
fn no_more_sessions_are_kept_than_asked_for() {
    let row = |session| json!({"session_id": session, "input_length": 9}).to_string();
    let rows: Vec<String> = (0..100).chain([0, 99]).map(row).collect();
    let seen = read(&FORMAT, source(&rows.join("\n")).with_conversations_max(Some(1)));
    assert_eq!(seen.conversations.len(), 1 + SESSIONS_SPARE);
    assert_eq!(seen.conversations[0].recorded.len(), 2);
}

#[test]
fn nothing_is_remembered_of_sessions_beyond_those_asked_for() {
    let row =
        |session: usize| json!({"session_id": session, "text_input": "x", "delay": 0}).to_string();
    let text: Vec<String> = (0..100).map(row).collect();
    let source = source(&text.join("\n"));
    let mut rows = Rows::new(source.peek(), Some(2));
    for row in source.rows() {
        rows.parts(&row.unwrap()).unwrap();
    }
    assert_eq!(rows.sessions.len(), 2 + SESSIONS_SPARE);
}

#[test]
fn a_session_with_text_has_no_holes() {
    let bad = json!({"session_id": "s", "delay": "x", "text_input": "q2"});
    let session =
        |id: &str, text: &str| json!({"session_id": id, "timestamp": 0, "text_input": text});
    let expect = "malformed time: in.data:2: delay is \"x\", allowed is a number of milliseconds, 0 \
                  or more";
    let file = [session("s", "q1"), bad.clone(), session("s", "q3"), bad, session("t", "q1")];
    let seen = rows(&file);
    let ids: Vec<_> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((ids, &seen.skips[..]), (vec!["t"], &[expect.to_owned()][..]));
    // The same where the bad row is the first.
    let seen = rows(&[session("t", "q1"), file[1].clone(), session("s", "q3")]);
    assert_eq!((seen.conversations.len(), seen.skips), (1, vec![expect.to_owned()]));
    // One is taken in the place of another.
    let lines: Vec<String> = file.iter().map(ToString::to_string).collect();
    let seen = read(&FORMAT, source(&lines.join("\n")).with_conversations_max(Some(1)));
    assert_eq!(seen.conversations[0].id, "t");
    // Prompts of lengths go on from nothing.
    let row = |length: u32| json!({"session_id": "s", "input_length": length});
    let seen = rows(&[row(4), row(0), row(5)]);
    assert_eq!((seen.conversations[0].recorded.len(), seen.skips.len()), (2, 1));
}

#[test]
fn dates_become_times_since_the_first() {
    let row = |time: u64| json!({"timestamp": time, "input_length": 4});
    let times = |rows_of: &[u64]| -> Vec<u64> {
        let seen = rows(&rows_of.iter().copied().map(row).collect::<Vec<_>>());
        seen.conversations.iter().map(|it| it.recorded[0].sent_at_ns.unwrap().0).collect()
    };
    assert_eq!(times(&[1_700_000_000_000, 1_700_000_001_000]), [0, 1_000_000_000]);
    assert_eq!(times(&[500, 20]), [500_000_000, 20_000_000]);
}

#[test]
fn another_block_size_than_the_first_is_remarked_on() {
    let row = |size| json!({"input_length": 64, "hash_ids": [1, 2], "block_size": size});
    assert!(rows(&[row(32), row(32)]).remarks.is_empty());
    let expect = "in.data: block_size differs from the 32 tokens that all blocks count for";
    assert_eq!(rows(&[row(32), row(16), row(64)]).remarks, [expect]);
}

fn said(roles: &[&str]) -> serde_json::Value {
    roles.iter().map(|role| json!({"role": role, "content": "x"})).collect()
}

#[test]
fn messages_that_end_with_an_answer_are_no_request() {
    let seen = rows(&[
        json!({"timestamp": 0, "messages": said(&["user"])}),
        json!({"timestamp": 1, "messages": said(&["user", "assistant"])}),
    ]);
    assert_eq!(seen.conversations.len(), 1);
    let expect = "messages that end with an answer: in.data:2: messages[1].role is \"assistant\", \
                  allowed is the role of someone to be answered\nhint: --input-format openai makes \
                  turns of the answers in a chat log";
    assert_eq!(seen.skips, [expect]);
}

/// Names of the formats that a file of these rows may have.
fn formats(rows: &[serde_json::Value]) -> Vec<&'static str> {
    let lines: Vec<String> = rows.iter().map(serde_json::Value::to_string).collect();
    let source = source(&lines.join("\n"));
    let formats = FORMATS.iter().filter(|format| (format.sniff)(source.peek()));
    formats.map(|format| format.name).collect()
}

#[test]
fn a_log_of_chats_with_times_is_not_a_trace() {
    let answered = said(&["user", "assistant", "user", "assistant"]);
    let log = json!({"messages": answered, "timestamp": 1_700_000_000});
    assert_eq!(formats(&[log.clone(), log.clone()]), ["openai"]);
    let request = json!({"messages": said(&["user"]), "timestamp": 1});
    assert_eq!(formats(&[log.clone(), request.clone(), request.clone()]), ["mooncake"]);
    let named = json!({"id": "a", "messages": answered, "timestamp": 5});
    assert_eq!(formats(&[named]), ["conversations"]);
    let stated = json!({"messages": said(&["user"]), "timestamp": "2019-01-01"});
    assert_eq!(formats(&[stated]), ["openai"]);
    let counted = json!({"messages": answered, "timestamp": 5, "output_length": 4});
    assert_eq!(formats(&[counted]), ["mooncake"]);
}

#[test]
fn times_may_begin_with_the_second_row() {
    let messages = said(&["user"]);
    for text in [json!({"text_input": "x"}), json!({"messages": messages})] {
        let row = |more: serde_json::Value| {
            let mut row = text.clone();
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row
        };
        let file = [row(json!({"session_id": "s"})), row(json!({"session_id": "s", "delay": 5}))];
        assert_eq!(formats(&file), ["mooncake"]);
    }
}

#[test]
fn text_in_place_of_lengths_is_sent() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let seen = rows(&[
        json!({"timestamp": 0, "session_id": "t", "text_input": "one", "output_length": 4}),
        json!({"session_id": "t", "text_input": "two", "delay": 3}),
        json!({"session_id": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools,
               "output_length": 9, "extra": {"top_k": 3}}),
        json!({"session_id": "m", "messages": [
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"},
            {"role": "user", "content": "and?"}], "tools": tools, "extra": {"top_k": 4}}),
        json!({"timestamp": 9, "payload": {"model": "x", "stream": true, "max_tokens": 5, "seed": 1,
               "messages": [{"role": "user", "content": "hi"}]}}),
    ]);
    assert_eq!((&seen.skips, &seen.error), (&vec![], &None));
    let [payload, text, messages] = &seen.conversations[..] else { panic!("{seen:?}") };
    assert_eq!(payload.request, *json!({"seed": 1}).as_object().unwrap());
    let recorded = &payload.recorded[0];
    assert_eq!((recorded.model.as_deref(), recorded.max_tokens), (Some("x"), Some(5)));
    let turns = text.turns(TurnRules::default());
    assert_eq!(turns.iter().map(|it| it.messages.clone()).collect::<Vec<_>>(), [0..1, 1..2]);
    assert!(!turns[1].standalone && text.recorded[0].min_tokens == Some(4));
    let turns = messages.turns(TurnRules::default());
    assert_eq!(turns.iter().map(|it| it.messages.clone()).collect::<Vec<_>>(), [0..1, 1..4]);
    assert!(turns.iter().all(|it| it.standalone));
    assert_eq!(messages.request, *json!({"top_k": 3, "tools": tools}).as_object().unwrap());
    assert_eq!(
        seen.remarks,
        ["in.data: session_id has rows with other tools or extra keys than its first row, whose \
          are sent"]
    );
}

fn check_size(rows_of: &[(u32, u64)], expect: u32, remarked: bool) {
    let row = |&(length, ids): &(u32, u64)| json!({"input_length": length, "hash_ids": (0..ids).collect::<Vec<_>>()});
    let seen = rows(&rows_of.iter().map(row).collect::<Vec<_>>());
    assert_eq!(seen.conversations[0].hash_block_size, Some(expect), "{rows_of:?}");
    let remark = format!("in.data: hash_ids has blocks of {expect} tokens, by the lengths");
    let expect = if remarked { vec![remark] } else { vec![] };
    assert_eq!(seen.remarks, expect, "{rows_of:?}");
}

#[test]
fn the_size_of_blocks_follows_from_lengths_where_512_cannot_be() {
    check_size(&[(600, 2), (10, 1)], 512, false);
    check_size(&[(100, 7), (64, 4), (16, 1)], 16, true);
    check_size(&[(1025, 2), (2048, 2), (5, 1)], 1024, true);
    check_size(&[(768, 2), (1024, 3), (100, 1)], 512, false);
    check_size(&[(7, 3), (9, 1000), (1, 1)], 512, false);
    let seen = rows(&[json!({"input_length": 9, "hash_ids": [1, 2, 3], "block_size": 4})]);
    assert_eq!(seen.conversations[0].hash_block_size, Some(4));
}

fn check_skip(row: serde_json::Value, expect: &str) {
    let good = json!({"timestamp": 1, "input_length": 4, "output_length": 2});
    let seen = rows(&[good, row]);
    assert_eq!(seen.skips, [expect]);
    assert_eq!(seen.conversations.len(), 1);
}

#[test]
fn odd_rows_are_skipped_by_reason() {
    check_skip(
        json!({"timestamp": 1}),
        "no prompt length: in.data:2: input_length is missing, allowed is a whole number of tokens, \
         from 1",
    );
    check_skip(
        json!({"input_length": null, "hash_ids": [1]}),
        "no prompt length: in.data:2: input_length is null, allowed is a whole number of tokens, \
         from 1",
    );
    check_skip(
        json!({"input_length": 0}),
        "prompt without tokens: in.data:2: input_length is 0, allowed is a whole number of tokens, \
         from 1",
    );
    check_skip(
        json!({"input_length": 5, "output_length": 0}),
        "answer without tokens: in.data:2: output_length is 0, allowed is a whole number of \
         tokens, from 1",
    );
    check_skip(
        json!({"input_length": 5, "output_length": 1e30}),
        "malformed token count: in.data:2: output_length is 1e+30, allowed is a whole number of \
         tokens, 1 to 4294967295",
    );
    check_skip(
        json!({"input_length": 5, "hash_ids": {"a": 1}}),
        "malformed hash_ids: in.data:2: hash_ids is an object, allowed is a list of whole numbers",
    );
    check_skip(
        json!({"input_length": 5, "hash_ids": [1, 0.5]}),
        "malformed hash_ids: in.data:2: hash_ids[1] is 0.5, allowed is a whole number of up to 64 \
         bits",
    );
    check_skip(
        json!({"input_length": 5, "delay": -3}),
        "malformed time: in.data:2: delay is -3, allowed is a number of milliseconds, 0 or more",
    );
    check_skip(
        json!({"text_input": 5, "timestamp": 2}),
        "malformed text: in.data:2: text_input is 5, allowed is a string",
    );
    check_skip(
        json!({"input_length": 5, "extra": []}),
        "malformed extra: in.data:2: extra is [], allowed is a JSON object",
    );
    check_skip(
        json!([1]),
        "no object: in.data:2: the document is a list of 1, allowed is a JSON object",
    );
}

#[test]
fn a_session_has_text_or_lengths() {
    let seen = rows(&[
        json!({"session_id": "a", "input_length": 4}),
        json!({"session_id": "a", "text_input": "x"}),
    ]);
    assert_eq!(
        seen.skips,
        [
            "text and lengths in one session: in.data:2: session_id is \"a\", allowed is a session of \
          which all rows have text, or none; the session's first row is of the other kind"
        ]
    );
}

#[test]
fn unknown_keys_are_remarked_on_once() {
    let row = json!({"input_length": 4, "priority": 3});
    let seen = rows(&[row.clone(), row]);
    assert_eq!(seen.remarks, ["in.data: priority is an unknown key and has no effect"]);
}

#[test]
fn other_formats_rows_are_left_to_them() {
    let is_mine = |text: &str| (FORMAT.sniff)(source(text).peek());
    for text in [
        r#"{"chat_id": 1, "input_length": 4, "hash_ids": [1], "timestamp": 1}"#,
        r#"{"messages": [{"role": "user", "content": "x"}], "max_tokens": 4}"#,
        r#"{"session_id": "a", "turns": [{"text": "x"}]}"#,
        r#"{"text": "x", "output_length": 4}"#,
        r#"{"text_input": "x", "ref_output": "y"}"#,
        r#"[{"id": "a", "messages": []}]"#,
        "[]",
        "",
        "a,b\n1,2\n",
    ] {
        assert!(!is_mine(text), "{text}");
    }
    for name in ["agentic-mooncake", "applied-compute-agentic", "dynamo-agentic", "dynamo-standard"]
    {
        let file = sample(&format!("dynamo/{name}.jsonl"));
        assert!(!(FORMAT.sniff)(file.peek()), "{name}");
    }
    assert!(is_mine(r#"[{"input_length": 4}]"#));
    assert!(is_mine(r#"{"text_input": "x", "output_length": 4}"#));
}

const SEED: &str = r#"{"timestamp": 1, "session_id": "a", "input_length": 20, "output_length": 3, "hash_ids": [7, 8]}
{"session_id": "a", "delay": 1, "messages": [{"role": "user", "content": "x"}], "tools": [], "extra": {"a": 1}}
{"payload": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 3}}"#;

proptest! {
    #[test]
    fn no_rows_make_the_reader_panic(bytes in mutated(&[SEED])) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
