#![expect(clippy::needless_pass_by_value, reason = "rows are written down where they are used")]

use proptest::prelude::*;
use serde_json::{Value, json};
use turnbench_model::{Content, Nanos, TurnRules};

use super::FORMAT;
use crate::format::testing::{
    Seen, lines, mutated, read, read_anyway, sample, source, source_of_bytes,
};

fn rows(rows: &[Value]) -> Seen {
    read(&FORMAT, source(&lines(rows)))
}

/// A row of conversation "c".
fn row(turn: u32, role: &str, more: Value) -> Value {
    let mut row = json!({"conversation_id": "c", "turn": turn, "role": role});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn check_skip(rows_given: &[Value], expect: &str) {
    let seen = rows(rows_given);
    assert_eq!((seen.conversations.len(), seen.skips), (0, vec![expect.to_owned()]));
}

#[test]
fn the_published_conversations_are_read_whole() {
    let seen = read(&FORMAT, sample("mlperf-agentic/agentic_coding_2.5h-2conversations.jsonl.zst"));
    assert_eq!((seen.skips.len(), seen.remarks.len(), seen.error), (0, 0, None));
    let ids: Vec<&str> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["pallets__flask-5014", "psf__requests-1142"]);
    let count = |role| {
        let messages = seen.conversations.iter().flat_map(|it| &it.messages);
        messages.filter(|message| message.role == role).count()
    };
    // Of 54 and 86 rows; a tool row has as many results as there were calls.
    assert_eq!((count("system"), count("user"), count("assistant")), (2, 2, 70));
    let calls: usize = seen
        .conversations
        .iter()
        .flat_map(|it| &it.messages)
        .filter_map(|it| it.extra.get("tool_calls")?.as_array())
        .map(Vec::len)
        .sum();
    let last_calls = 2;
    assert_eq!(count("tool"), calls - last_calls);
    let mut delays = 0;
    for conversation in &seen.conversations {
        let turns = conversation.turns(TurnRules::default());
        assert_eq!(turns.len(), conversation.recorded.len());
        delays += conversation.recorded.iter().filter(|it| it.think_time_ns.is_some()).count();
        assert!(turns[..turns.len() - 1].iter().all(|turn| turn.keeps_recorded));
        assert_eq!(conversation.request["tools"][0]["function"]["name"], "bash");
    }
    assert_eq!(delays, 68);
    assert_eq!(seen.conversations[0].recorded[1].think_time_ns, Some(Nanos(119_197_000)));
}

#[test]
fn questions_with_reference_answers_are_conversations_of_one_turn() {
    let seen = read(&FORMAT, sample("mlperf-agentic/dummy_1k-first50.jsonl"));
    assert_eq!((seen.conversations.len(), seen.skips.len()), (50, 0));
    let first = &seen.conversations[0];
    assert_eq!((first.id.as_str(), first.messages.len()), ("row-0", 2));
    assert!(first.messages[1].content.text().starts_with("Response for prompt 0: "));
    let seen = rows(&[json!({"text_input": "q"}), json!({"text_input": "q", "ref_output": 5})]);
    assert_eq!(seen.conversations[0].messages.len(), 1);
    let expect = "malformed text: in.data:2: ref_output is 5, allowed is a string";
    assert_eq!(seen.skips, [expect]);
}

#[test]
fn rows_are_put_in_order_and_results_become_messages() {
    let results =
        json!([{"tool_call_id": "1", "content": "x"}, {"tool_call_id": "2", "content": {"y": 1}}]);
    let seen = rows(&[
        row(3, "tool", json!({"tool_results": results, "delay_seconds": 1.5})),
        row(2, "assistant", json!({"tool_calls": [{"id": "1"}, {"id": "2"}], "delay_seconds": 9})),
        row(1, "user", json!({"content": "q", "system": "s", "tools": [{"name": "f"}]})),
        row(4, "assistant", json!({"content": "a", "reasoning_content": null, "score": 1})),
        row(
            5,
            "user",
            json!({"content": "q", "system": "s", "tools": [{"name": "g"}], "score": 1}),
        ),
    ]);
    assert_eq!(
        seen.remarks,
        [
            "in.data: score is an unknown key and has no effect",
            "in.data: tools differs from the conversation's first tools and has no effect",
        ]
    );
    let conversation = &seen.conversations[0];
    let roles: Vec<&str> = conversation.messages.iter().map(|it| it.role.as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "assistant", "user"]);
    let messages = &conversation.messages;
    assert_eq!(messages[2].content, Content::Null);
    assert_eq!(messages[4].content, Content::Text(r#"{"y":1}"#.into()));
    assert_eq!(messages[4].extra["tool_call_id"], "2");
    assert!(messages[5].extra.is_empty());
    let times: Vec<_> = conversation.recorded.iter().map(|it| it.think_time_ns).collect();
    assert_eq!(times, [None, Some(Nanos(1_500_000_000)), None]);
}

#[test]
fn conversations_that_take_turns_are_whole_however_few_are_asked_for() {
    let row = |number: usize| {
        let id = format!("c{}", number % 20);
        let role = ["user", "assistant", "user"][number / 20];
        json!({"conversation_id": id, "turn": number / 20, "role": role, "content": "x"})
    };
    let text = lines(&(0..60).map(row).collect::<Vec<_>>());
    for max in [None, Some(2)] {
        let seen = read(&FORMAT, source(&text).with_conversations_max(max));
        assert_eq!((seen.skips.len(), &seen.error), (0, &None));
        assert!(seen.conversations.len() >= max.unwrap_or(20));
        assert!(seen.conversations.iter().all(|it| it.messages.len() == 3));
    }
}

#[test]
fn what_is_wrong_in_a_row_skips_its_conversation() {
    let good = row(1, "user", json!({"content": "x"}));
    check_skip(
        &[good.clone(), row(1, "assistant", json!({"content": "x"}))],
        "two rows in one place: in.data:2: turn is 1, allowed is another place than that of row 0",
    );
    check_skip(
        &[row(1, "human", json!({}))],
        "unknown role: in.data:1: role is \"human\", allowed is system, developer, user, assistant \
         or tool",
    );
    check_skip(
        &[good.clone(), row(2, "user", json!({"content": null}))],
        "message without content: in.data:2: content is null, allowed is a string or a list of \
         parts",
    );
    check_skip(
        &[good.clone(), row(2, "assistant", json!({}))],
        "message without content: in.data:2: content is missing, allowed is a string or a list of \
         parts",
    );
    check_skip(
        &[good.clone(), row(2, "user", json!({"content": "x", "delay_seconds": -1}))],
        "malformed time: in.data:2: delay_seconds is -1, allowed is a number of seconds, 0 or more",
    );
    check_skip(
        &[good.clone(), row(2, "tool", json!({"tool_results": [{"tool_call_id": "1"}]}))],
        "malformed tool result: in.data:2: tool_results[0].content is missing, allowed is the \
         tool's output",
    );
    check_skip(
        &[row(1, "assistant", json!({"content": "x"}))],
        "no message to answer: in.data:1: the document is an object, allowed is the first of rows \
         with a message to answer",
    );
    let seen = rows(&[good, json!({"turn": 2, "role": "user"})]);
    let expect = "no conversation_id: in.data:2: conversation_id is missing, allowed is a string \
                  or a whole number";
    assert_eq!((seen.conversations.len(), seen.skips), (1, vec![expect.to_owned()]));
}

#[test]
fn other_formats_rows_are_left_to_them() {
    for (row, expect) in [
        (json!({"conversation_id": "c", "turn": 1, "role": "user"}), true),
        (json!({"text_input": "x"}), true),
        (json!({"text_input": "x", "timestamp": 0}), false),
        (json!({"text_input": "x", "session_id": "s", "output_length": 5}), false),
        (json!({"conversation_id": "c", "turn": 1, "conversation": []}), false),
        (json!({"text": "x"}), false),
    ] {
        assert_eq!((FORMAT.sniff)(source(&row.to_string()).peek()), expect, "{row}");
    }
}

const SEEDS: [&str; 2] = [
    r#"{"conversation_id": "c", "turn": 1, "role": "user", "content": "x", "system": "s", "tools": []}
       {"conversation_id": "c", "turn": 2, "role": "assistant", "tool_calls": [{"id": "1"}]}
       {"conversation_id": "c", "turn": 3, "role": "tool", "tool_results": [{"tool_call_id": "1",
        "content": "x"}], "delay_seconds": 0.5} {"conversation_id": "d", "turn": 1, "role": "user"}"#,
    r#"[{"text_input": "x", "ref_output": "y"}, {"text_input": "x", "id": 1}]"#,
];

proptest! {
    #[test]
    fn no_rows_make_the_reader_panic(bytes in mutated(&SEEDS)) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
