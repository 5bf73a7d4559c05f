use proptest::prelude::*;
use turnbench_model::{Conversation, Nanos, Parent};

use super::FORMAT;
use crate::format::Item;
use crate::format::testing::{mutated, read, read_anyway, sample, source, source_of_bytes};

fn ids(all: &[Conversation]) -> Vec<(&str, Vec<u64>)> {
    let names =
        |it: &Conversation| it.recorded.iter().flat_map(|turn| turn.hash_ids.clone()).collect();
    all.iter().map(|it| (it.id.as_str(), names(it))).collect()
}

#[test]
fn requests_of_a_session_are_turns_and_its_parent_waits() {
    let seen = read(&FORMAT, sample("dynamo/dynamo-agentic.jsonl"));
    assert_eq!((&seen.skips, &seen.error), (&vec![], &None));
    let expect = [("parent", vec![501, 504]), ("child", vec![502, 503])];
    assert_eq!(ids(&seen.conversations), expect);
    let fork = Parent { id: "parent".into(), after_turn: 1, before_turn: Some(2) };
    assert_eq!(seen.conversations[1].parent, Some(fork));
    let last = &seen.conversations[0].recorded[1];
    let ms = |count: u64| Some(Nanos(count * 1_000_000));
    assert_eq!((last.sent_at_ns, last.think_time_ns, last.latency_ns), (ms(100), ms(90), ms(10)));
    assert_eq!((last.prompt_tokens, last.max_tokens), (Some(4), Some(2)));
    assert_eq!(seen.conversations[0].hash_block_size, Some(4));
}

#[test]
fn requests_without_a_session_stand_alone() {
    let seen = read(&FORMAT, sample("dynamo/dynamo-standard.jsonl"));
    assert_eq!((&seen.skips, &seen.error), (&vec![], &None));
    let expect = [("standard-1", vec![401]), ("standard-2", vec![402])];
    assert_eq!(ids(&seen.conversations), expect);
    let limited = sample("dynamo/dynamo-standard.jsonl").with_conversations_max(Some(1));
    assert_eq!(read(&FORMAT, limited).conversations.len(), 1);
}

#[test]
fn agentic_requests_are_forked_and_joined() {
    let seen = read(&FORMAT, sample("dynamo/agentic-mooncake.jsonl"));
    assert_eq!((&seen.skips, &seen.error), (&vec![], &None));
    let expect = [("agent-play/root", vec![301, 303]), ("agent-play/child", vec![302])];
    assert_eq!(ids(&seen.conversations), expect);
    let fork = Parent { id: "agent-play/root".into(), after_turn: 1, before_turn: Some(2) };
    assert_eq!(seen.conversations[1].parent, Some(fork));
    let turns = &seen.conversations[0].recorded;
    assert_eq!((turns[0].sent_at_ns, turns[1].sent_at_ns), (Some(Nanos(0)), None));
    assert_eq!(turns[1].think_time_ns, Some(Nanos(1_000_000)));
    assert_eq!(turns[1].model.as_deref(), Some("tiny-model"));
}

const AGENTIC: &str = r#"{"schema":"dynamo.agentic_mooncake","version":2,"block_size":4,"hash_id_scope":"local"}
{"request_id":"a","play_id":"p","session_id":"s","input_length":4,"output_length":2,"hash_ids":[3],"dependencies":[{"request_id":"a","relation":"spawn"}]}
{"request_id":"a","play_id":"q","session_id":"s","input_length":4,"hash_ids":[3],"not_before_ms":5}
"#;

#[test]
fn plays_share_nothing_and_nothing_is_its_own_parent() {
    let seen = read(&FORMAT, source(AGENTIC));
    assert_eq!(ids(&seen.conversations), [("p/s", vec![3]), ("q/s", vec![7])]);
    assert!(seen.conversations.iter().all(|it| it.parent.is_none()));
}

#[test]
fn names_with_slashes_are_no_one_session() {
    let row = |play, session| {
        let turn = "\"input_length\":4,\"hash_ids\":[1],\"request_id\":\"r\"";
        format!("{{\"play_id\":\"{play}\",\"session_id\":\"{session}\",{turn}}}\n")
    };
    let text = [AGENTIC.lines().next().unwrap(), "\n", &row("a/b", "c"), &row("a", "b/c")].concat();
    let seen = read(&FORMAT, source(&text));
    assert_eq!(ids(&seen.conversations), [("a/b/c", vec![1]), ("a/b/c-2", vec![3])]);
}

#[test]
fn skips_are_handed_out_as_they_come() {
    for text in [AGENTIC, REQUESTS] {
        let text = format!("{}\n5\n}}", text.lines().next().unwrap());
        let mut items = (FORMAT.read)(source(&text)).unwrap();
        assert!(matches!(items.next(), Some(Ok(Item::Skipped(_)))));
        assert!(matches!(items.next(), Some(Err(_))));
    }
}

fn check_skip(row: &str, expect: &str) {
    let seen = read(&FORMAT, source(&format!("{AGENTIC}{row}")));
    assert_eq!(seen.skips, [expect]);
}

#[test]
fn odd_rows_are_skipped_by_reason() {
    check_skip("5", "no object: in.data:4: the document is 5, allowed is a JSON object");
    check_skip(
        r#"{"play_id": "p", "session_id": "s", "input_length": 4}"#,
        "unnamed request: in.data:4: request_id is missing, allowed is a string, or a whole number",
    );
    check_skip(
        r#"{"schema":"dynamo.agentic_mooncake","version":3}"#,
        "unknown schema: in.data:4: version is 3, allowed is 2",
    );
    let text = r#"{"schema":"dynamo.request.trace.v1","event_type":"request_end","request":{}}
{"schema":"dynamo.request.trace.v9","event_type":"request_end"}"#;
    assert_eq!(
        read(&FORMAT, source(text)).skips,
        [
            "no prompt length: in.data:1: request.replay.input_length is missing, allowed is a \
             whole number of tokens, from 1",
            "unknown schema: in.data:2: schema is \"dynamo.request.trace.v9\", allowed is \
             \"dynamo.request.trace.v1\"",
        ]
    );
}

const REQUESTS: &str = r#"{"schema":"dynamo.request.trace.v1","event_type":"request_end","event_time_unix_ms":9,"agent_context":{"session_id":"a","parent_session_id":"a"},"request":{"output_tokens":2,"request_received_ms":1,"total_time_ms":1,"replay":{"trace_block_size":4,"input_length":4,"input_sequence_hashes":[1]}}}"#;

proptest! {
    #[test]
    fn no_rows_make_the_reader_panic(bytes in mutated(&[AGENTIC, REQUESTS])) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
