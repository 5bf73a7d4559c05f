//! What a run says of the server's own metrics.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended, plain};
use crate::support::served::{Served, truth};

fn run(folder: &Path, url: &str, more: &[&str]) -> Ended {
    let list = json!([plain("a", 3), plain("b", 2), plain("c", 2)]);
    std::fs::write(folder.join("list.json"), list.to_string()).unwrap();
    let mut command = turnbench(folder);
    command.args(["run", "-i", "list.json", "-m"]).arg(root().join("testdata/tokenizer/bpe"));
    command.args(["--served-model-name", "sim", "--url", url, "--run-dir", "run"]);
    ended(command.args(more))
}

fn report(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("run/report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The reading of a figure.
fn figure<'a>(report: &'a Value, figure: &str) -> &'a Value {
    let readings = report["server"]["figures"]["readings"].as_array().unwrap();
    readings.iter().find(|reading| reading["figure"] == figure).unwrap_or(&Value::Null)
}

#[test]
fn growth_of_the_counters_is_what_the_server_did_in_the_run_proper() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &["--truth", "truth.jsonl"]);
    let args = ["-p", "2", "--warmup-step", "--metrics-interval", "0.05"];
    let ended = run(folder.path(), &server.url, &args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let truth = truth(&folder.path().join("truth.jsonl"));
    let truth: Vec<_> =
        truth.iter().filter(|entry| entry["path"] == "/v1/chat/completions").collect();
    // The warm-up step sends the first turn of each of the three conversations, the run the others.
    let (warmup, main) = truth.split_at(3);
    assert_eq!(main.len(), 4);
    let sum = |entries: &[&Value], key: &str| -> f64 {
        entries.iter().map(|entry| entry[key].as_f64().unwrap()).sum()
    };
    let report = report(folder.path());
    for (id, key) in [
        ("prompt_tokens", "prompt_tokens"),
        ("prefix_cache_queries", "prompt_tokens"),
        ("prefix_cache_hits", "cached_tokens"),
        ("cached_tokens", "cached_tokens"),
        ("cached_tokens_device", "cached_tokens"),
        ("generation_tokens", "output_tokens"),
    ] {
        let reading = figure(&report, id);
        assert_eq!(reading["growth"], sum(main, key), "{id}: {reading}");
        assert_eq!(reading["warmup_growth"], sum(warmup, key), "{id}: {reading}");
    }
    assert_eq!(figure(&report, "requests_finished")["growth"], 4.0);
    assert_eq!(figure(&report, "ttft_seconds")["histogram"]["count"], 4.0);
    let ratio = sum(main, "cached_tokens") / sum(main, "prompt_tokens");
    assert_eq!(report["server"]["cached_ratio"], ratio);
    assert_eq!(report["server"]["figures"]["sources"][0]["failures"], 0);
    assert!(ended.stdout.contains("prompt tokens cached ("), "{}", ended.stdout);
    let again = turnbench(folder.path()).args(["report", "run", "--format", "json"]).output();
    let again: Value = serde_json::from_slice(&again.unwrap().stdout).unwrap();
    assert_eq!(again["server"], report["server"]);
}

#[test]
fn only_before_and_after_tell_the_growth_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &[]);
    let ended = run(folder.path(), &server.url, &["--metrics-interval", "0"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(figure(&report(folder.path()), "requests_finished")["growth"], 7.0);
    let lines = std::fs::read_to_string(folder.path().join("run/server_metrics.jsonl")).unwrap();
    assert!(!lines.contains("\"during\"") && lines.contains("\"before\""), "{lines}");
}

#[test]
fn metrics_elsewhere_are_asked_there_and_none_end_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &[]);
    let nowhere = format!("{}/nowhere", server.url);
    let ended = run(folder.path(), &server.url, &["--metrics-url", &nowhere]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("metrics not reported: {nowhere}: HTTP status 404")), "{text}");
    let report = report(folder.path());
    assert_eq!(report["server"]["figures"]["readings"], json!([]));
    assert!(report["server"].get("cached_tokens").is_none(), "{}", report["server"]);
}

#[test]
fn without_metrics_nothing_is_asked_and_nothing_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &[]);
    let ended = run(folder.path(), &server.url, &["--no-metrics"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(report(folder.path()).get("server").is_none());
    assert!(!folder.path().join("run/server_metrics.jsonl").exists());
    assert!(!ended.stdout.contains("as its counters say"), "{}", ended.stdout);
}

#[test]
fn urls_that_do_not_answer_are_waited_for_together() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &[]);
    // The kernel takes connections, and nobody answers.
    let silent: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let own = format!("{}/metrics", server.url);
    let mut urls = vec![own.clone()];
    urls.extend(silent.iter().map(|it| format!("http://{}/metrics", it.local_addr().unwrap())));
    let args: Vec<_> = urls.iter().flat_map(|url| ["--metrics-url", url]).collect();
    let ended = run(folder.path(), &server.url, &args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(figure(&report(folder.path()), "requests_finished")["growth"], 7.0);
    let lines = std::fs::read_to_string(folder.path().join("run/server_metrics.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let failed: Vec<_> = lines.iter().filter(|line| line["error"].is_string()).collect();
    assert_eq!(failed.len(), 3, "asked once each");
    let part = |line: &Value, key: &str| line[key].as_i64().unwrap();
    let last_asked = failed.iter().map(|it| part(it, "at_ns") - part(it, "half_width_ns")).max();
    let first_over = failed.iter().map(|it| part(it, "at_ns") + part(it, "half_width_ns")).min();
    assert!(last_asked < first_over, "{failed:?}");
}

fn check_error(args: &[&str], expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), "http://127.0.0.1:1", args);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(expect), "{}", ended.stderr);
}

#[test]
fn odd_flags_are_refused() {
    check_error(&["--metrics-interval", "-1"], "--metrics-interval is -1; it must be from 0.05 to");
    check_error(&["--metrics-interval", "nan"], "--metrics-interval is NaN; it must be from");
    check_error(&["--metrics-url", "h:9/metrics"], "--metrics-url `h:9/metrics`");
    check_error(&["--metrics-url", "http://h", "--no-metrics"], "cannot be used with");
}
