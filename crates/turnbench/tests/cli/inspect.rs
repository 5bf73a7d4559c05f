//! `turnbench inspect`: what it shows of a workload, in tables and in JSON. What the numbers are is
//! tested where they are computed.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended, plain};
use crate::support::schema;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn inspect(folder: &Path, args: &[&str]) -> Ended {
    ended(turnbench(folder).arg("inspect").args(args))
}

fn table(folder: &Path, args: &[&str]) -> String {
    let run = inspect(folder, args);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
    for line in run.stdout.lines() {
        assert!(line.chars().count() <= 80 && line == line.trim_end(), "{line:?}");
    }
    run.stdout
}

fn report(folder: &Path, args: &[&str]) -> Value {
    let run = inspect(folder, &[args, &["--format", "json"]].concat());
    assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
    let report = serde_json::from_str(&run.stdout).unwrap();
    schema::check("workload-report", &report);
    report
}

/// Conversations of one to twelve turns that share a system message; every third has a tool.
fn conversations() -> String {
    let conversation = |number: usize| {
        let mut one = plain(&format!("talk {number}"), number % 12 + 1);
        let messages = one["messages"].as_array_mut().unwrap();
        let rules = "You are the helper of a library. Answer in short sentences. ".repeat(3);
        messages.insert(0, json!({"role": "system", "content": rules}));
        if number.is_multiple_of(3) {
            messages.insert(2, json!({"role": "tool", "content": "42", "tool_call_id": "1"}));
        }
        one
    };
    json!((0..24).map(conversation).collect::<Vec<_>>()).to_string()
}

/// A trace in which every second prompt begins as the first one.
fn trace() -> String {
    let row = |number: u64| {
        let first = if number.is_multiple_of(2) { 0 } else { 1_000 + number };
        let (time, answer) = (number * number * 40, 20 + number);
        json!({"timestamp": time, "input_length": 1_100 + number, "output_length": answer,
            "hash_ids": [first, 1, 10 + number]})
    };
    (0..40).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", row(number));
        text
    })
}

#[test]
fn conversations_are_shown_in_tables_of_80_columns() {
    let folder = folder(&[("in.json", &conversations())]);
    let text = table(folder.path(), &["in.json", "--block-size", "64,16"]);
    insta::assert_snapshot!("inspect_conversations", text);
}

#[test]
fn a_trace_is_shown_from_its_block_names() {
    let folder = folder(&[("trace.jsonl", &trace())]);
    insta::assert_snapshot!("inspect_trace", table(folder.path(), &["trace.jsonl"]));
}

#[test]
fn lengths_alone_say_what_is_not_known() {
    let rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n";
    let folder = folder(&[("lengths.csv", rows)]);
    insta::assert_snapshot!("inspect_lengths", table(folder.path(), &["lengths.csv"]));
}

#[test]
fn json_keeps_to_its_schema_and_holds_the_same_numbers() {
    let folder = folder(&[("in.json", &conversations()), ("trace.jsonl", &trace())]);
    let text = report(folder.path(), &["in.json", "--block-size=16", "--block-size=32"]);
    assert_eq!((&text["conversations"], &text["format"]), (&json!(24), &json!("conversations")));
    assert_eq!(text["token_basis"]["tokenizer"], json!("builtin:o200k_base"));
    let sizes: Vec<_> =
        text["reuse"].as_array().unwrap().iter().map(|one| &one["block_size"]).collect();
    assert_eq!(sizes, [16, 32]);
    let names = report(folder.path(), &["trace.jsonl"]);
    assert_eq!(names["token_basis"], json!({"source": "block_names"}));
    assert_eq!(names["reuse"][0]["any_request_tokens"], json!(19 * 1_024));
}

#[test]
fn text_made_for_a_trace_shares_what_its_names_share() {
    let folder = folder(&[("trace.jsonl", &trace())]);
    let names = &report(folder.path(), &["trace.jsonl"])["reuse"][0];
    let flags = ["trace.jsonl", "-m", "builtin:o200k_base", "--block-size", "512"];
    let text = &report(folder.path(), &flags)["reuse"][0];
    for key in ["block_size", "requests", "prompt_tokens", "any_request_tokens"] {
        assert_eq!(names[key], text[key], "{key}");
    }
    assert_eq!((&names["answers_cached"], &text["answers_cached"]), (&json!(false), &json!(true)));
}

#[test]
fn a_trace_keeps_its_own_block_size_and_says_so() {
    let folder = folder(&[("trace.jsonl", &trace())]);
    let run = inspect(folder.path(), &["trace.jsonl", "--block-size", "16"]);
    assert_eq!(run.code, Some(0));
    let expect =
        "warning: --block-size has no effect: the trace names blocks of 512 tokens\nhint: ";
    assert!(run.stderr.starts_with(expect), "{}", run.stderr);
    assert_eq!(run.stdout, table(folder.path(), &["trace.jsonl"]));
}

#[test]
fn a_model_brings_its_chat_template() {
    let folder = folder(&[("in.json", &conversations())]);
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for file in std::fs::read_dir(root().join("testdata/tokenizer/bpe")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), model.join(file.file_name())).unwrap();
    }
    let template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
    std::fs::write(model.join("chat_template.jinja"), template).unwrap();
    let rendered = report(folder.path(), &["in.json", "-m", "model"]);
    let basis =
        json!({"source": "chat_template", "tokenizer": "model", "rejected_conversations": 0});
    assert_eq!(rendered["token_basis"], basis);
    std::fs::remove_file(model.join("chat_template.jinja")).unwrap();
    let plain = report(folder.path(), &["in.json", "-m", "model"]);
    let total = |report: &Value| report["prompt_tokens"]["total"].as_f64().unwrap();
    assert!(total(&rendered) > total(&plain));
}

#[test]
fn generator_configs_are_made_first_and_none_counts_no_tokens() {
    let config = root().join("examples/generate_multi_turn.json");
    let config = config.to_str().unwrap();
    let made = report(Path::new("."), &[config]);
    assert_eq!((&made["conversations"], &made["format"]), (&json!(24), &json!("generator config")));
    let other = report(Path::new("."), &[config, "--seed", "1"]);
    assert_ne!(made["prompt_tokens"], other["prompt_tokens"]);
    let folder = folder(&[("in.json", &conversations())]);
    let none = report(folder.path(), &["in.json", "--tokenizer", "none"]);
    assert_eq!((&none["token_basis"], &none["reuse"]), (&json!({"source": "none"}), &json!([])));
}

#[test]
fn what_cannot_be_inspected_is_refused() {
    let folder = folder(&[("in.json", &conversations())]);
    let config = root().join("examples/generate_multi_turn.json");
    let config = config.to_str().unwrap();
    for (args, expect) in [
        (&["none.json"][..], "error: cannot read none.json: No such file or directory"),
        (
            &["in.json", "--block-size", "16,0"],
            "error: invalid value '0' for '--block-size <TOKENS>': it must be a whole number from 1",
        ),
        (
            &["in.json", "--tokenizer", "server"],
            "error: --tokenizer is 'server', but no server is asked here",
        ),
        (
            &[config, "--tokenizer", "none"],
            "error: --tokenizer is none, but the file is a generator config",
        ),
        (&["in.json", "-m", "a/b/c"], "error: --model: \"a/b/c\""),
    ] {
        let run = inspect(folder.path(), args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.starts_with(expect), "{args:?}: {}", run.stderr);
    }
}
