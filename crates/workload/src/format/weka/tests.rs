use proptest::prelude::*;
use turnbench_model::{Nanos, Parent};

use super::FORMAT;
use crate::format::testing::{mutated, read, read_anyway, sample, source, source_of_bytes};

fn check(name: &str, conversations: usize, requests: usize, sums: (u64, u64)) {
    let seen = read(&FORMAT, sample(&format!("weka/{name}")));
    assert_eq!((seen.skips.len(), seen.remarks.len(), &seen.error), (0, 0, &None), "{name}");
    assert_eq!(seen.conversations.len(), conversations, "{name}");
    let turns: Vec<_> = seen.conversations.iter().flat_map(|it| &it.recorded).collect();
    assert_eq!(turns.len(), requests, "{name}");
    let sum = |all: Vec<Option<u32>>| all.into_iter().flatten().map(u64::from).sum::<u64>();
    assert_eq!(sum(turns.iter().map(|turn| turn.prompt_tokens).collect()), sums.0, "{name}");
    assert_eq!(sum(turns.iter().map(|turn| turn.max_tokens).collect()), sums.1, "{name}");
    assert!(seen.conversations.iter().all(|it| it.hash_block_size == Some(64)), "{name}");
    assert!(turns.iter().all(|turn| turn.standalone), "{name}");
}

#[test]
fn traces_from_the_field_are_read_whole() {
    check("trace_0022.json.zst", 1, 7, (271_839, 2_436));
    check("trace_0026.json", 1, 3, (52_760, 5_294));
    check("trace_0032.json.zst", 1, 3, (383_525, 6_928));
    check("trace_0291-subagent.json.zst", 3, 32, (2_254_119, 19_504));
}

#[test]
fn sub_agents_are_conversations_that_fork() {
    let seen = read(&FORMAT, sample("weka/trace_0291-subagent.json.zst"));
    let parents: Vec<_> =
        seen.conversations.iter().map(|it| (it.id.as_str(), it.parent.clone())).collect();
    let fork = |before_turn| {
        let id = "trace_0291".to_owned();
        Some(Parent { id, after_turn: 16, before_turn: Some(before_turn) })
    };
    assert_eq!(
        parents,
        [
            ("trace_0291", None),
            ("trace_0291/agent_001", fork(17)),
            ("trace_0291/agent_002", fork(18)),
        ]
    );
    let second = &seen.conversations[1].recorded[1];
    assert_eq!(second.sent_at_ns, Some(Nanos(1_153_013_000_000)));
    assert_eq!(second.think_time_ns, Some(Nanos(3_000_000_000)));
    assert_eq!(second.latency_ns, Some(Nanos(2_880_000_000)));
    assert_eq!(second.model.as_deref(), Some("claude-haiku-4-5-20251001"));
}

#[test]
fn streamed_requests_have_a_time_to_first_token() {
    let seen = read(&FORMAT, sample("weka/trace_0032.json.zst"));
    let ttft: Vec<_> = seen.conversations[0].recorded.iter().map(|it| it.ttft_ns).collect();
    assert_eq!(ttft, [Some(Nanos(4_070_000_000)), None, None]);
    let think = seen.conversations[0].recorded[1].think_time_ns;
    assert_eq!(think, Some(Nanos(91_000_000_000)));
}

const TWO: &str = r#"[{"id": "a", "block_size": 4, "hash_id_scope": "local", "requests": [
    {"t": 0, "type": "n", "in": 9, "out": 1, "hash_ids": [1, 2]},
    {"t": 1, "type": "subagent", "agent_id": "x", "requests": [
        {"t": 0, "type": "subagent", "requests": [
            {"t": 0.5, "type": "n", "in": 4, "out": 1, "api_time": 2, "hash_ids": [3]}]}]},
    {"t": 5, "type": "n", "in": 9, "out": 1, "hash_ids": [1, 2]}]},
    {"block_size": 4, "requests": [{"type": "n", "in": 9, "out": 1, "hash_ids": [1, 2]}]}]"#;

#[test]
fn traces_share_nothing_with_one_another() {
    let seen = read(&FORMAT, source(TWO));
    let ids: Vec<_> = seen
        .conversations
        .iter()
        .map(|it| (it.id.as_str(), it.recorded[0].hash_ids.as_slice()))
        .collect();
    let expect: [(&str, &[u64]); 3] = [("a", &[1, 2]), ("a/x/agent-0", &[3]), ("row-1", &[5, 6])];
    assert_eq!(ids, expect);
    let global = TWO
        .replace("local", "global")
        .replace("{\"block_size\"", "{\"hash_id_scope\": \"global\", \"block_size\"");
    let seen = read(&FORMAT, source(&global));
    assert_eq!(seen.conversations[2].recorded[0].hash_ids, [1, 2]);
}

#[test]
fn an_agent_that_only_starts_others_is_no_parent() {
    let seen = read(&FORMAT, source(TWO));
    assert_eq!(seen.conversations[1].parent, None);
    assert_eq!(seen.conversations[1].recorded[0].sent_at_ns, Some(Nanos(1_500_000_000)));
}

fn check_skip(request: &str, expect: &str) {
    let text = format!(
        "{{\"id\": \"a\", \"block_size\": 4, \"requests\": [{request}, \
         {{\"t\": 1, \"type\": \"n\", \"in\": 5, \"out\": 2}}]}}"
    );
    let seen = read_anyway(&FORMAT, source(&text));
    assert_eq!(seen.conversations.len(), 1, "{request}");
    assert!(seen.skips[0].starts_with(expect), "{:?}", seen.skips);
}

#[test]
fn odd_requests_are_skipped_by_reason() {
    check_skip("5", "no object: in.data:1: requests[0] is 5, allowed is a JSON object");
    check_skip(r#"{"type": "x"}"#, "unknown request type: in.data:1: requests[0].type is \"x\"");
    check_skip(r#"{"type": "n", "out": 1}"#, "no prompt length: in.data:1: requests[0].in is");
    check_skip(r#"{"type": "n", "in": 0}"#, "prompt without tokens: ");
    check_skip(r#"{"type": "n", "in": 4, "out": 0}"#, "answer without tokens: ");
    check_skip(r#"{"type": "n", "in": 4, "t": -1}"#, "malformed time: in.data:1: requests[0].t");
    check_skip(
        r#"{"type": "n", "in": 4, "hash_ids": [18446744073709551616]}"#,
        "malformed hash_ids: in.data:1: requests[0].hash_ids[0] is 1.8446744073709552e+19",
    );
    check_skip(r#"{"type": "subagent", "agent_id": "x"}"#, "no requests: ");
    check_skip(r#"{"type": "subagent", "agent_id": "x", "requests": []}"#, "no requests: ");
    check_skip(r#"{"type": "subagent", "duration_ms": "long"}"#, "malformed time: ");
}

#[test]
fn a_trace_without_requests_is_skipped() {
    let seen = read_anyway(&FORMAT, source("[{\"id\": \"a\"}, 5, {\"block_size\": 0}]"));
    assert_eq!(seen.conversations.len(), 0);
    assert_eq!(
        seen.skips,
        [
            "no requests: in.data: [0].requests is missing, allowed is a list of requests",
            "no object: in.data: [1] is 5, allowed is a JSON object",
            "malformed block_size: in.data: [2].block_size is 0, allowed is a whole number of \
             tokens, from 1",
        ]
    );
}

#[test]
fn every_bad_request_is_told_where_all_are_bad() {
    let text = r#"{"block_size": 4, "requests": [{"t": 0, "type": "n", "in": 0}, 5]}
        {"id": "b", "requests": [{"type": "n", "in": 4}]}"#;
    let seen = read(&FORMAT, source(text));
    assert_eq!(
        seen.skips,
        [
            "prompt without tokens: in.data:1: requests[0].in is 0, allowed is a whole number of \
             tokens, from 1",
            "no object: in.data:1: requests[1] is 5, allowed is a JSON object",
        ]
    );
    assert_eq!(seen.conversations.len(), 1);
}

#[test]
fn hashes_spoil_no_trace_that_follows() {
    let trace = |id: u64| {
        format!(
            "{{\"requests\": [{{\"t\": 0, \"type\": \"n\", \"in\": 9, \"hash_ids\": [{id}]}}]}}\n"
        )
    };
    let text: String = [u64::MAX, 1 << 63, 7].map(trace).concat();
    let seen = read(&FORMAT, source(&text));
    assert_eq!((seen.skips.len(), &seen.error), (0, &None));
    let ids: Vec<_> = seen.conversations.iter().map(|it| &it.recorded[0].hash_ids[..]).collect();
    assert_eq!(ids, [&[0][..], &[1], &[9]]);
}

#[test]
fn requests_tell_what_it_is_without_other_keys() {
    let is_mine = |text: &str| (FORMAT.sniff)(source(text).peek());
    assert!(is_mine(r#"{"id": "T", "requests": [{"t": 0, "type": "n", "in": 64, "out": 3}]}"#));
    assert!(is_mine(r#"{"requests": [{"t": 0.5, "type": "subagent", "requests": []}]}"#));
    assert!(is_mine(r#"{"requests": [], "block_size": 64}"#));
    // The keys beside may lie beyond what is looked at.
    let request =
        "{\"t\": 0, \"type\": \"s\", \"in\": 64, \"hash_ids\": [1, 2, 3]}, ".repeat(1 << 15);
    let late = format!("{{\"requests\": [{request}{{}}], \"block_size\": 64}}");
    assert!(late.len() > 1 << 20 && is_mine(&late));
    for text in [
        r#"{"requests": []}"#,
        r#"{"requests": [{"t": 0, "type": "x", "in": 64}]}"#,
        r#"{"requests": [{"t": "noon", "type": "n", "in": 64}]}"#,
        r#"{"requests": [{"type": "n", "in": 64}]}"#,
    ] {
        assert!(!is_mine(text), "{text}");
    }
}

proptest! {
    #[test]
    fn no_trace_makes_the_reader_panic(bytes in mutated(&[TWO])) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
