//! `turnbench serve --raw-speed`: a run against it, its truth, and the flags that have no meaning
//! with it.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
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

/// CPU time of a process so far, user and system, in clock ticks of 10 ms (proc(5), `stat`).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let field = |index| after_name.split_whitespace().nth(index).unwrap().parse::<u64>().unwrap();
    field(11) + field(12)
}

#[test]
fn without_file_descriptors_a_server_neither_spins_nor_forgets_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    let simulated = ["--decode-ms", "1", "--decode-ms-per-seq", "0", "--model", &tokenizer];
    check_out_of_files(folder.path(), &["--raw-speed", "--itl-ms", "1"]);
    check_out_of_files(folder.path(), &simulated);
}

fn check_out_of_files(folder: &Path, flags: &[&str]) {
    let server = Served::start_with_files(folder, 24, flags);
    let address = server.url.strip_prefix("http://").unwrap();
    let connect = || TcpStream::connect(address).unwrap();
    let mut streaming = connect();
    // It takes half a second, that is 50 ticks.
    let body = concat!(
        r#"{"model":"sim","messages":[{"role":"user","content":"a"}],"stream":true,"#,
        r#""max_tokens":500,"ignore_eos":true}"#,
    );
    let head =
        format!("Host: a\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\n{head}");
    write!(streaming, "{head}\r\n\r\n{body}").unwrap();
    let mut reader = BufReader::new(streaming);
    reader.read_line(&mut String::new()).unwrap();

    let before = cpu_ticks(server.id());
    let others: Vec<TcpStream> = std::iter::repeat_with(connect).take(40).collect();
    let mut last = connect();
    last.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut line = String::new();
    while !line.starts_with("data: [DONE]") {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "cut off");
    }
    let spent = cpu_ticks(server.id()) - before;
    assert!(spent < 25, "{spent} ticks, {flags:?}");

    drop((others, reader));
    line.clear();
    BufReader::new(last).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
}
