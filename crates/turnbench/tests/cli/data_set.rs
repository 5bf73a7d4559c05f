//! What a data set knows beyond its text reaches the server, and only what is wanted of it is
//! read.

use crate::support::case::{Case, plain};
use crate::support::stub::Behaviour;
use serde_json::{Value, json};

fn case(list: &Value) -> Case {
    let case = Case::new(Behaviour::default());
    case.conversations(list);
    case
}

fn ran(case: &Case, args: &[&str]) -> String {
    let run = case.run(args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.failures(), []);
    run.stderr
}

#[test]
fn recorded_answers_become_history_on_demand() {
    let case = case(&json!([plain("a", 3)]));
    ran(&case, &["--history", "recorded", "-o", "out.json"]);
    let last = case.stub.bodies()[2]["messages"].clone();
    assert_eq!(last[1]["content"], "recorded answer 1 of a");
    assert_eq!(last[3]["content"], "recorded answer 2 of a");
    // What is written is what was sent.
    assert_eq!(case.json("out.json")[0]["messages"][1]["content"], "recorded answer 1 of a");
}

#[test]
fn prompts_that_stand_alone_are_sent_without_a_history() {
    let mut conversation = plain("a", 3);
    let turn =
        |standalone: bool| json!({"standalone": standalone, "min_tokens": 3, "max_tokens": 9});
    conversation["recorded"] = json!([turn(false), turn(true), turn(false)]);
    let case = case(&json!([conversation]));
    ran(&case, &[]);
    assert_eq!(case.message_counts(), [1, 1, 3]);
    let bodies = case.stub.bodies();
    assert_eq!(bodies[1]["messages"][0]["content"], "question 2 of a");
    assert_eq!(bodies[2]["messages"][2]["content"], "question 3 of a");
    for body in bodies {
        assert_eq!((&body["min_tokens"], &body["max_tokens"]), (&json!(3), &json!(9)));
    }
    // Flags go before what was recorded.
    let fixed = ["--limit-min-tokens", "5", "--limit-max-tokens", "5", "--run-dir", "again"];
    assert_eq!(case.run(&fixed).code, Some(0));
    assert_eq!(case.stub.bodies()[3]["max_tokens"], 5);
}

#[test]
fn keys_of_the_data_set_are_sent_beside_the_messages() {
    let mut conversation = plain("a", 2);
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    conversation["request"] = json!({"tools": tools, "temperature": 0.5});
    let case = case(&json!([conversation, plain("b", 1)]));
    ran(&case, &["--extra-body", r#"{"temperature": 0}"#]);
    for body in case.stub.bodies() {
        let of_a = body["messages"][0]["content"] == "question 1 of a";
        assert_eq!(body["tools"], if of_a { tools.clone() } else { Value::Null });
        assert_eq!(body["temperature"], 0);
    }
}

#[test]
fn compressed_lines_are_an_input_file_too() {
    let case = case(&json!([]));
    let lines: String = ["a", "b", "c"].map(|id| plain(id, 1).to_string() + "\n").concat();
    std::fs::write(case.path("input.json"), zstd::encode_all(lines.as_bytes(), 1).unwrap())
        .unwrap();
    ran(&case, &["--max-conversations", "2"]);
    assert_eq!(case.finished(), 2);
    // Read no further than it was needed, so that there is no digest of the whole.
    let plan = case.json("run/plan.json");
    assert_eq!(plan["workload"]["source"], json!({"kind": "data_set", "format": "conversations"}));
}

#[test]
fn a_file_of_several_formats_is_refused_with_their_names() {
    let case = case(&json!([]));
    let header = "Timestamp,Request tokens,Response tokens,ContextTokens,GeneratedTokens";
    case.write("input.json", &format!("{header}\n1,10,5,10,5\n"));
    let run = case.run(&[]);
    let expect =
        "error: input.json: it could be burstgpt or azure\nhint: --input-format burstgpt\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), expect));
    ran(&case, &["--input-format", "burstgpt"]);
}

#[test]
fn lengths_in_recorded_requests_are_the_turns_and_flags_go_before_them() {
    let mut conversation = plain("a", 1);
    conversation["request"] = json!({"max_tokens": 3, "stream": false, "n": 2, "top_k": 1});
    let case = case(&json!([conversation]));
    let told = ran(&case, &[]);
    for key in ["stream", "n"] {
        assert!(told.contains(&format!("have the key {key}, which is not sent")), "{told}");
    }
    assert_eq!(
        case.run(&["--run-dir", "none", "--limit-min-tokens", "5", "--limit-max-tokens", "5"]).code,
        Some(0)
    );
    let bodies = case.stub.bodies();
    assert_eq!((&bodies[0]["max_tokens"], &bodies[0]["min_tokens"]), (&json!(3), &Value::Null));
    assert_eq!((&bodies[1]["max_tokens"], &bodies[1]["min_tokens"]), (&json!(5), &json!(5)));
    for body in &bodies {
        let seen = (&body["stream"], &body["n"], &body["top_k"]);
        assert_eq!(seen, (&json!(true), &Value::Null, &json!(1)));
    }
}

#[test]
fn flags_for_data_sets_are_refused_beside_a_generator_config() {
    let case = case(&json!([]));
    let config = crate::support::bin::root().join("examples/generate_multi_turn.json");
    std::fs::copy(config, case.path("input.json")).unwrap();
    let run = case.run(&["--sample", "1"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("'input.json' is a generator config; filters,"), "{}", run.stderr);
}

#[test]
fn filters_tell_what_they_drop() {
    let case = case(&json!([plain("a", 1), plain("b", 2), plain("c", 2)]));
    let told = ran(&case, &["--min-turns", "3", "--max-model-len", "100000"]);
    assert!(told.contains("1 conversation dropped: fewer messages than --min-turns"), "{told}");
    assert_eq!(case.finished(), 2);
    let run = case.run(&["--min-turns", "9", "--run-dir", "none"]);
    assert_eq!(run.code, Some(2));
}

#[test]
fn a_trace_is_replayed_with_its_lengths() {
    let recorded = json!([
        {"prompt_tokens": 40, "min_tokens": 3, "max_tokens": 3, "hash_ids": [1, 2, 3],
            "standalone": true},
        {"prompt_tokens": 33, "min_tokens": 4, "max_tokens": 4, "hash_ids": [1, 2, 9],
            "standalone": true},
    ]);
    let trace = json!({"id": "t", "messages": [], "hash_block_size": 16, "recorded": recorded});
    let case = case(&json!([trace]));
    let told = ran(&case, &[]);
    assert!(told.contains("2 prompts with 73 tokens are made up"), "{told}");
    let bodies = case.stub.bodies();
    assert_eq!(case.message_counts(), [1, 1]);
    assert_eq!((&bodies[0]["max_tokens"], &bodies[1]["max_tokens"]), (&json!(3), &json!(4)));
    let [first, second] = [0, 1]
        .map(|turn: usize| bodies[turn]["messages"][0]["content"].as_str().unwrap().to_owned());
    let shared = first.bytes().zip(second.bytes()).take_while(|(a, b)| a == b).count();
    assert!(shared > first.len() / 2 && shared < second.len(), "{first}\n{second}");
    let report = case.report();
    assert_eq!(report["counts"]["conversations"]["finished"], 1);
}
