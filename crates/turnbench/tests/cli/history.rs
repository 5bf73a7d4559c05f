//! What goes into the history of the next request: the server's own answers with their tool calls
//! and, on demand, their reasoning, and every recorded message as it was given.

use crate::support::answers::{REASONING, tool_call};
use crate::support::case::{Case, plain};
use crate::support::stub::Behaviour;
use serde_json::{Value, json};

/// Messages of the k-th request, from 0.
fn messages(case: &Case, request: usize) -> Value {
    case.stub.bodies()[request]["messages"].clone()
}

/// One conversation of one behaviour, run to its end.
fn run(behaviour: &str, conversation: &Value, args: &[&str]) -> Case {
    let case = Case::new(Behaviour::always(behaviour));
    case.conversations(&json!([conversation]));
    let run = case.run(args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.failures(), []);
    case
}

#[test]
fn the_servers_answers_replace_the_recorded_ones() {
    let case = run("normal", &plain("a", 2), &[]);
    let expect = json!([
        {"role": "user", "content": "question 1 of a"},
        {"role": "assistant", "content": "Reply to turn 1: question 1 of a"},
        {"role": "user", "content": "question 2 of a"},
    ]);
    assert_eq!(messages(&case, 1), expect);
}

#[test]
fn reasoning_counts_as_output_and_stays_out_of_the_history_unless_kept() {
    for stream in [&[][..], &["--no-stream"]] {
        let case = run("reasoning", &plain("a", 2), stream);
        let answer = &messages(&case, 1)[1];
        assert_eq!(answer.get("reasoning_content"), None, "{stream:?}");
        let record = &case.records()[0];
        assert_eq!(record.answer.reasoning, REASONING.concat(), "{stream:?}");

        let keep = [stream, &["--history-reasoning", "keep"]].concat();
        let case = run("reasoning", &plain("a", 2), &keep);
        let answer = &messages(&case, 1)[1];
        assert_eq!(answer["reasoning_content"], REASONING.concat(), "{stream:?}");
        assert_eq!(answer["content"], "Reply to turn 1: question 1 of a", "{stream:?}");
    }
    // The first token is the first one of the reasoning.
    let case = run("reasoning", &plain("a", 2), &["--stats-json-output", "stats.json"]);
    let record = &case.records()[0];
    assert_eq!(record.answer.first_chunk, REASONING[0]);
    let without = run("normal", &plain("a", 2), &["--stats-json-output", "stats.json"]);
    let tokens = |case: &Case| case.json("stats.json")[0]["output_num_tokens"].as_u64().unwrap();
    assert!(tokens(&case) > tokens(&without), "{} {}", tokens(&case), tokens(&without));
}

#[test]
fn tool_calls_go_into_the_history() {
    for args in [&[][..], &["--no-stream"]] {
        let case = run("tool_calls", &plain("a", 2), args);
        let expect = json!({"role": "assistant", "content": null, "tool_calls": [tool_call()]});
        assert_eq!(messages(&case, 1)[1], expect, "{args:?}");
        assert_eq!(case.records()[0].answer.tool_calls, [tool_call()], "{args:?}");
    }
}

#[test]
fn the_result_of_a_recorded_tool_call_follows_that_call() {
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_9",
        "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "call_9", "content": "42"});
    let conversation = json!({"id": "a", "messages": [
        {"role": "user", "content": "how many?"}, call, result,
        {"role": "assistant", "content": "42"},
    ]});
    let case = run("normal", &conversation, &[]);
    let expect = json!([{"role": "user", "content": "how many?"}, call, result]);
    assert_eq!(messages(&case, 1), expect);
}

#[test]
fn a_last_question_without_a_recorded_answer_is_asked() {
    for (turns, requests) in [(1, 1), (3, 2)] {
        let mut conversation = plain("a", 2);
        conversation["messages"].as_array_mut().unwrap().truncate(turns);
        let case = run("normal", &conversation, &["-o", "out.json"]);
        assert_eq!(case.stub.posts().len(), requests);
        assert_eq!(case.finished(), 1);
        let body = &case.stub.bodies()[requests - 1];
        assert_eq!((&body["max_tokens"], &body["min_tokens"]), (&Value::Null, &Value::Null));
        let written = case.json("out.json")[0]["messages"].as_array().unwrap().len();
        assert_eq!(written, turns + 1, "the answer is written too");
    }
}

#[test]
fn turns_without_recorded_answers_are_asked_one_by_one() {
    let questions = ["1", "2", "3"].map(|text| json!({"role": "user", "content": text}));
    let recorded = [(); 3].map(|()| json!({"messages_count": 1}));
    let conversation = json!({"id": "a", "messages": questions, "recorded": recorded});
    for flags in [&["-o", "out.json"][..], &["-o", "out.json", "--history", "recorded"]] {
        let case = run("normal", &conversation, flags);
        assert_eq!(case.stub.posts().len(), 3, "{flags:?}");
        let sent = messages(&case, 2);
        let roles = |list: &Value| -> Vec<String> {
            let role = |message: &Value| message["role"].as_str().unwrap().to_owned();
            list.as_array().unwrap().iter().map(role).collect()
        };
        assert_eq!(roles(&sent), ["user", "assistant", "user", "assistant", "user"]);
        let written = &case.json("out.json")[0]["messages"];
        assert_eq!(roles(written), ["user", "assistant", "user", "assistant", "user", "assistant"]);
        assert_eq!(written[1], sent[1], "answers are written where they were given");
    }
}

#[test]
fn a_prompt_with_a_history_of_its_own_is_one_request() {
    let message = |role, text| json!({"role": role, "content": text});
    let prompt = json!([message("user", "1"), message("assistant", "2"), message("user", "3")]);
    let mut messages_given = prompt.as_array().unwrap().clone();
    messages_given.push(message("assistant", "4"));
    let recorded = json!([{"messages_count": 3}]);
    let conversation = json!({"id": "a", "messages": messages_given, "recorded": recorded});
    let case = run("normal", &conversation, &[]);
    assert_eq!(case.stub.posts().len(), 1);
    assert_eq!(messages(&case, 0), prompt);
}

#[test]
fn messages_are_sent_as_given() {
    let system = json!({"role": "system", "content": "Be brief."});
    let picture = json!({"role": "user", "name": "ann", "content": [
        {"type": "text", "text": "what is it? é"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]});
    let conversation = json!({"id": "a", "messages": [
        system, picture, {"role": "assistant", "content": "a cat"},
        {"role": "developer", "content": "Now in French."},
        {"role": "user", "content": "and now?"}, {"role": "assistant", "content": "un chat"},
    ]});
    let case = run("normal", &conversation, &[]);
    assert_eq!(messages(&case, 0), json!([system, picture]));
    let second = messages(&case, 1);
    assert_eq!(second[3], json!({"role": "developer", "content": "Now in French."}));
    assert_eq!(second[4], json!({"role": "user", "content": "and now?"}));
    assert_eq!(second.as_array().unwrap().len(), 5);
}

#[test]
fn a_failed_conversation_is_written_as_unfinished_with_what_it_has() {
    let case = Case::new(Behaviour::script(&["normal", "http500"]));
    let run = case.run(&["-o", "out.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let list = case.json("out.json");
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, ["b", "a"], "finished ones first");
    assert_eq!((&list[0]["finished"], &list[1]["finished"]), (&Value::Null, &json!(false)));
    assert_eq!(list[1]["messages"][1]["content"], "Reply to turn 1: question 1 of a");
    assert_eq!(list[0]["messages"][3]["content"], "Reply to turn 3: question 2 of b");
}

#[test]
fn written_conversations_are_an_input_file_again() {
    let case = run("tool_calls", &plain("a", 2), &["-o", "out.json"]);
    std::fs::rename(case.path("out.json"), case.path("input.json")).unwrap();
    let again = case.run(&["--run-dir", "again"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}
