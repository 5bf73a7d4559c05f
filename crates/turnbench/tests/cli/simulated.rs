//! `turnbench run` against `turnbench serve`: real workloads, real token counts, and the server's
//! own account of what it did.

use std::path::Path;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended, plain, records};
use crate::support::served::{Served, truth};
use serde_json::{Value, json};
use turnbench_model::RequestRecord;

/// `turnbench run` on a file of `folder`.
fn run(folder: &Path, server: &Served, input: &str, more: &[&str]) -> Ended {
    let mut command = turnbench(folder);
    command.args(["run", "-i", input, "-m"]).arg(root().join("testdata/tokenizer/bpe"));
    command.args(["--served-model-name", "sim", "--url", &server.url, "--run-dir", "run"]);
    ended(command.args(more))
}

/// A generator config: 4 conversations of 6 messages, prompts of about 100 tokens.
fn write_config(folder: &Path) {
    let text = root().join("testdata/text/book.txt").display().to_string();
    let constant = |value| json!({"distribution": "constant", "value": value});
    let config = json!({
        "filetype": "generate_conversations", "num_conversations": 4, "text_files": [text],
        "prompt_input": {
            "num_turns": constant(6), "common_prefix_num_tokens": constant(64),
            "prefix_num_tokens": constant(50),
            "num_tokens": {"distribution": "uniform", "min": 80, "max": 120},
        },
        "prompt_output": {"num_tokens": {"distribution": "uniform", "min": 8, "max": 12}},
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

fn write_list(folder: &Path) {
    let list = json!([plain("a", 2), plain("b", 3)]);
    std::fs::write(folder.join("list.json"), list.to_string()).unwrap();
}

/// The truth about each record's request, found by conversation and turn.
fn with_truth(folder: &Path) -> Vec<(RequestRecord, Value)> {
    let truth = truth(&folder.join("truth.jsonl"));
    let records = records(&folder.join("run")).into_iter();
    records
        .map(|record| {
            let mut of_conversation = truth.iter().filter(|entry| {
                entry["path"] == "/v1/chat/completions"
                    && entry["x_session_id"] == *record.conversation_id
            });
            let entry = of_conversation.nth(record.turn as usize - 1).expect("a truth").clone();
            (record, entry)
        })
        .collect()
}

#[test]
fn a_generated_workload_runs_and_the_cache_shows() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server = Served::start(folder.path(), &["--truth", "truth.jsonl"]);
    let args =
        ["-p", "2", "-k", "4", "--send-conversation-id", "--stats-json-output", "stats.json"];
    let run = run(folder.path(), &server, "config.json", &args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("4 finished of 4"), "{}", run.stdout);
    let pairs = with_truth(folder.path());
    assert_eq!(pairs.len(), 12);
    for (record, truth) in &pairs {
        let usage = record.usage.clone().unwrap();
        assert_eq!(usage.prompt_tokens, truth["prompt_tokens"].as_u64(), "{truth}");
        assert_eq!(usage.completion_tokens, truth["output_tokens"].as_u64(), "{truth}");
        assert_eq!(usage.cached_tokens, truth["cached_tokens"].as_u64(), "{truth}");
        assert!(
            record.turn == 1 || usage.cached_tokens > Some(64),
            "turn {}: {truth}",
            record.turn
        );
        // min_tokens and max_tokens are the recorded answer's tokens.
        assert_eq!(record.max_tokens.map(u64::from), usage.completion_tokens, "{truth}");
    }
    let text = std::fs::read_to_string(folder.path().join("stats.json")).unwrap();
    let stats: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(stats.iter().all(|row| row["output_tokens_source"] == "server"), "{text}");
    let text = std::fs::read_to_string(folder.path().join("run/report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let cached: u64 = pairs.iter().map(|(_, truth)| truth["cached_tokens"].as_u64().unwrap()).sum();
    assert_eq!(report["cache"]["cached_tokens"], cached);
}

#[test]
fn what_the_device_cannot_hold_comes_back_from_the_tiers() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    // The device holds about two of the four conversations, the host less than one more.
    let tiers = [
        ["--kv-blocks", "64"],
        ["--tier", "host:40MiB,load=20GiB/s,store=20GiB/s"],
        ["--tier", "disk:1GiB,load=2GiB/s,store=2GiB/s,latency=50us"],
        ["--truth", "truth.jsonl"],
    ];
    let server = Served::start(folder.path(), &tiers.concat());
    let run = run(
        folder.path(),
        &server,
        "config.json",
        &["-p", "1", "-k", "4", "--send-conversation-id"],
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut sums = [0; 3];
    for (record, truth) in with_truth(folder.path()) {
        let usage = record.usage.clone().unwrap();
        let cached = ["device", "host", "disk"]
            .map(|tier| truth["cached_tokens_by_tier"][tier].as_u64().unwrap());
        assert_eq!(usage.cached_tokens, Some(cached.iter().sum()), "{truth}");
        let computed = truth["computed_tokens"].as_u64();
        assert_eq!(usage.prompt_tokens, computed.map(|it| it + cached.iter().sum::<u64>()));
        assert_eq!(truth["load_ns"].as_u64() > Some(0), cached[1] + cached[2] > 0, "{truth}");
        sums.iter_mut().zip(cached).for_each(|(sum, tokens)| *sum += tokens);
    }
    assert!(sums[2] > 0, "{sums:?}");
    assert_eq!(server.interrupt().0, Some(0));
    let truth = truth(&folder.path().join("truth.jsonl"));
    let tiers = &truth.last().unwrap()["tiers"];
    for (place, (tier, blocks)) in [("device", 63), ("host", 20), ("disk", 512)].iter().enumerate()
    {
        assert_eq!(
            (&tiers[place]["tier"], &tiers[place]["capacity_blocks"]),
            (&json!(tier), &json!(blocks))
        );
    }
    // A token has 131,072 bytes.
    for (place, sum) in sums.iter().enumerate().skip(1) {
        assert_eq!(tiers[place]["loaded_bytes"], sum * 131_072);
    }
}

#[test]
fn the_client_sees_no_token_before_the_server_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server = Served::start(folder.path(), &["--truth", "truth.jsonl"]);
    let run = run(folder.path(), &server, "config.json", &["-p", "4", "--send-conversation-id"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for (record, truth) in with_truth(folder.path()) {
        let at = |key: &str| truth[key].as_u64().unwrap();
        let stamps = &record.stamps;
        let sent = stamps.sent_ns.unwrap();
        // From the request's arrival on, each by the clock of its own side.
        let first = stamps.first_token.unwrap().at_ns.since(sent).0;
        assert!(first >= at("first_token_unix_ns") - at("received_unix_ns"), "{first} {truth}");
        let last = stamps.last_token.unwrap().at_ns.since(sent).0;
        assert!(last >= at("last_token_unix_ns") - at("received_unix_ns"), "{last} {truth}");
        assert!(at("first_token_unix_ns") >= at("first_token_due_unix_ns"), "{truth}");
        assert!(at("last_token_due_unix_ns") >= at("first_token_due_unix_ns"), "{truth}");
        assert_eq!(record.answer.chunks_ns.len() as u64, at("output_tokens"), "{truth}");
    }
}

#[test]
fn a_list_runs_with_and_without_streams_and_without_cache_reports() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    let server = Served::start(folder.path(), &["--no-prompt-tokens-details"]);
    for (args, dir) in [(&[][..], "a"), (&["--no-stream"], "b"), (&["--compat", "vllm"], "c")] {
        let run = run(folder.path(), &server, "list.json", &[args, &["--run-dir", dir]].concat());
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        assert!(run.stdout.contains("5 completed, 0 failed"), "{args:?}: {}", run.stdout);
        let records = records(&folder.path().join(dir));
        let cached =
            |record: &RequestRecord| record.usage.clone().and_then(|one| one.cached_tokens);
        assert!(records.iter().all(|record| cached(record).is_none()), "{args:?}");
    }
}

#[test]
fn the_servers_tokenizer_counts_as_the_local_one() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server = Served::start(folder.path(), &[]);
    let conversations = |args: &[&str], dir: &str| {
        let args = [args, &["-n", "2", "--run-dir", dir]].concat();
        let run = run(folder.path(), &server, "config.json", &args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        let records = records(&folder.path().join(dir)).into_iter();
        records.map(|record| (record.max_tokens, record.request_bytes)).collect::<Vec<_>>()
    };
    let local = conversations(&[], "local");
    assert_eq!(conversations(&["--tokenizer", "server"], "server"), local);
}

#[test]
fn no_tokenizer_is_enough_for_a_list() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    let server = Served::start(folder.path(), &["--answer-tokens-mean", "5"]);
    let run = run(folder.path(), &server, "list.json", &["--tokenizer", "none"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("warning: without a tokenizer"), "{}", run.stderr);
    assert!(run.stdout.contains("5 completed, 0 failed"), "{}", run.stdout);
    let records = records(&folder.path().join("run"));
    assert!(records.iter().all(|record| record.max_tokens.is_none()), "{records:?}");
    assert!(run.stdout.lines().any(|line| line.starts_with("output_num_tokens")), "{}", run.stdout);
}

#[test]
fn a_prompt_over_the_limit_is_vllms_400() {
    let folder = tempfile::tempdir().unwrap();
    let mut long = plain("long", 1);
    long["messages"][0]["content"] = json!("word ".repeat(400));
    let list = json!([long, plain("b", 1)]);
    std::fs::write(folder.path().join("list.json"), list.to_string()).unwrap();
    let server = Served::start(folder.path(), &["--max-model-len", "256"]);
    let run = run(folder.path(), &server, "list.json", &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("http_status 400: 1 attempt, 1 request given up"),
        "{}",
        run.stdout
    );
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains("maximum context length is 256"), "{}", run.stdout);
}

#[test]
fn a_key_is_demanded_and_accepted() {
    let folder = tempfile::tempdir().unwrap();
    write_list(folder.path());
    let server = Served::start(folder.path(), &["--api-key", "right"]);
    let refused = run(folder.path(), &server, "list.json", &["--api-key", "wrong"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("refuses the API key (HTTP 401)"), "{}", refused.stderr);
    let accepted = run(folder.path(), &server, "list.json", &["--api-key", "right"]);
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let answers = || {
        let folder = tempfile::tempdir().unwrap();
        write_list(folder.path());
        let server = Served::start(folder.path(), &["--seed", "5"]);
        let run = run(folder.path(), &server, "list.json", &[]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let records = records(&folder.path().join("run")).into_iter();
        records.map(|record| record.answer.content).collect::<Vec<_>>()
    };
    assert_eq!(answers(), answers());
}
