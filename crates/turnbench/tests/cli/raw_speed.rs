//! `turnbench serve --raw-speed`: a run against it, its truth, and the flags that have no meaning
//! with it.
#![cfg(target_os = "linux")]

use std::path::Path;

use serde_json::json;

use crate::support::bin::{root, turnbench};
use crate::support::case::{ended, plain, records};
use crate::support::served::{Served, truth};

/// The code and the first line of complaint of `turnbench serve` with these arguments.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let mut command = turnbench(Path::new("."));
    command.args(["serve", "--port", "0"]).args(args);
    let run = ended(command.timeout(std::time::Duration::from_mins(1)));
    (run.code, run.stderr)
}

#[test]
fn a_run_gets_whole_answers_and_the_truth_has_a_line_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let list = json!([plain("a", 2), plain("b", 3)]);
    std::fs::write(folder.path().join("list.json"), list.to_string()).unwrap();
    let args = ["--raw-speed", "--truth", "truth.jsonl", "--ttft-ms", "2", "--itl-ms", "0.5"];
    let server = Served::start_plain(folder.path(), &args);
    let mut command = turnbench(folder.path());
    command.args(["run", "-i", "list.json", "-m"]).arg(root().join("testdata/tokenizer/bpe"));
    command.args(["--served-model-name", "sim", "--url", &server.url, "--run-dir", "run"]);
    command.args(["--limit-min-tokens", "20", "--limit-max-tokens", "20"]);
    let run = ended(command.arg("--send-conversation-id"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("2 finished of 2"), "{}", run.stdout);
    assert_eq!(server.interrupt(), (Some(0), String::new()));

    let records = records(&folder.path().join("run"));
    let truth = truth(&folder.path().join("truth.jsonl"));
    assert_eq!((records.len(), truth.len()), (5, 5), "{truth:?}");
    for record in &records {
        let of_conversation =
            |line: &&serde_json::Value| line["x_session_id"] == *record.conversation_id;
        let mut lines = truth.iter().filter(of_conversation);
        let line = lines.nth(record.turn as usize - 1).expect("a truth");
        assert_eq!(
            (&line["output_tokens"], &line["finish_reason"]),
            (&json!(20), &json!("length"))
        );
        assert_eq!(record.usage.as_ref().unwrap().completion_tokens, Some(20));
        assert!(record.answer.content.starts_with(" the river runs"));
        let at = |field: &str| line[field].as_u64().unwrap();
        assert!(at("first_token_unix_ns") >= at("arrival_unix_ns") + 2_000_000, "{line}");
    }
}

#[test]
fn flags_of_the_simulation_have_no_meaning_with_it() {
    for flags in [
        &["--kv-blocks", "100"][..],
        &["--api-key", "k"],
        &["--decode-ms", "1"],
        &["--tokens-per-chunk", "2"],
        &["--seed", "1"],
    ] {
        let (code, stderr) = refused(&[&["--raw-speed"], flags].concat());
        assert_eq!(code, Some(2), "{stderr}");
        let expect =
            format!("error: the argument '--raw-speed' cannot be used with '{} <", flags[0]);
        assert!(stderr.starts_with(&expect), "{stderr}");
    }
}

#[test]
fn its_own_flags_have_no_meaning_without_it() {
    for flag in ["--raw-tokens", "--events-per-write", "--ttft-ms", "--itl-ms"] {
        let (code, stderr) = refused(&[flag, "1"]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("--raw-speed"), "{stderr}");
    }
}

#[test]
fn values_that_cannot_work_are_named_by_their_flags() {
    for (args, expect) in [
        (&["--raw-tokens", "0"][..], "'0' for '--raw-tokens <TOKENS>'"),
        (&["--events-per-write", "0"], "it must be a whole number from 1 to 1024"),
        (&["--events-per-write", "2000"], "'2000' for '--events-per-write <N>'"),
        (&["--ttft-ms", "-1"], "--ttft-ms is -1; it must be from 0 to 3600000 milliseconds"),
        (&["--itl-ms", "nan"], "--itl-ms is NaN; it must be from 0 to 3600000 milliseconds"),
        (&["--itl-ms", "1e9"], "--itl-ms is 1000000000; it must be from 0 to 3600000 milliseconds"),
        (&["--truth", "no/x.jsonl"], "--truth: cannot create the truth file no/x.jsonl"),
    ] {
        let (code, stderr) = refused(&[&["--raw-speed"], args].concat());
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(expect), "{args:?}: {stderr}");
    }
}
