//! The cache ledger of a run against what the simulated server did.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended, records};
use crate::support::served::{Served, in_three_tries, truth};

/// A device of 64 blocks, a host of 96, and a disk that holds everything; blocks of 16 tokens.
const TIERS: [&str; 6] = [
    "--kv-blocks",
    "65",
    "--tier",
    "host:192MiB,load=20GiB/s,store=50GiB/s",
    "--tier",
    "disk:8GiB,load=4GiB/s,store=50GiB/s",
];
const TELL_TIERS: [&str; 2] = ["--extra-body", r#"{"return_cached_tokens_details":true}"#];

/// Five conversations of four turns, of up to 500 tokens: twice of what the device holds.
fn write_config(folder: &Path) {
    let text = root().join("testdata/text/book.txt").display().to_string();
    let constant = |value| json!({"distribution": "constant", "value": value});
    let config = json!({
        "filetype": "generate_conversations", "num_conversations": 5, "text_files": [text],
        "prompt_input": {
            "num_turns": constant(8), "common_prefix_num_tokens": constant(64),
            "prefix_num_tokens": constant(50),
            "num_tokens": {"distribution": "uniform", "min": 80, "max": 120},
        },
        "prompt_output": {"num_tokens": {"distribution": "uniform", "min": 8, "max": 12}},
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

fn run(folder: &Path, server: &Served, more: &[&str]) -> Ended {
    let mut command = turnbench(folder);
    command.args(["run", "-i", "config.json", "-m"]).arg(root().join("testdata/tokenizer/bpe"));
    command.args(["--served-model-name", "sim", "--url", &server.url, "--run-dir", "run"]);
    command.args(["--send-conversation-id", "-p", "1"]);
    if !more.contains(&"-k") {
        command.args(["-k", "5"]);
    }
    let ended = ended(command.args(more));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

fn ledger(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("run/report.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["ledger"].take()
}

/// The truth about chat requests, with the turn that each was of its conversation.
fn requests(folder: &Path) -> Vec<(u64, Value)> {
    let mut turns = std::collections::BTreeMap::<String, u64>::new();
    let chats = truth(&folder.join("truth.jsonl")).into_iter();
    let chats = chats.filter(|entry| entry["path"] == "/v1/chat/completions");
    chats
        .map(|entry| {
            let turn = turns.entry(entry["x_session_id"].as_str().unwrap().to_owned()).or_default();
            *turn += 1;
            (*turn, entry)
        })
        .collect()
}

/// Holds a ledger's sums against those of the truth.
fn check_sums(sums: &Value, entries: &[&Value]) {
    let sum = |of: &dyn Fn(&Value) -> u64| entries.iter().map(|entry| of(entry)).sum::<u64>();
    let by_tier = |tier: &str| sum(&|entry| entry["cached_tokens_by_tier"][tier].as_u64().unwrap());
    let cached = sum(&|entry| entry["cached_tokens"].as_u64().unwrap());
    assert_eq!(sums["requests"], entries.len() as u64);
    assert_eq!(sums["prompt_tokens"], sum(&|entry| entry["prompt_tokens"].as_u64().unwrap()));
    assert_eq!(sums["cached_tokens"], cached);
    assert_eq!(sums["cached_by_tier"]["device"], by_tier("device"));
    assert_eq!(sums["cached_by_tier"]["host"], by_tier("host"));
    assert_eq!(sums["cached_by_tier"]["storage"], by_tier("disk"));
    // With a last tier that holds everything and one request at a time nothing is lost.
    assert_eq!(sums["rendered_tokens"], sums["prompt_tokens"]);
    assert_eq!(sums["ideal_tokens"], cached, "{sums}");
}

#[test]
fn every_figure_of_three_tiers_is_the_servers_own() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server = Served::start(folder.path(), &[&TIERS[..], &["--truth", "truth.jsonl"]].concat());
    let ended = run(folder.path(), &server, &TELL_TIERS);
    let truth = requests(folder.path());
    assert_eq!(truth.len(), 20);
    let ledger = ledger(folder.path());
    check_sums(&ledger["total"], &truth.iter().map(|(_, entry)| entry).collect::<Vec<_>>());
    for turn in ledger["turns"].as_array().unwrap() {
        let of_turn = truth.iter().filter(|(of, _)| *of == turn["turn"]).map(|(_, entry)| entry);
        check_sums(turn, &of_turn.collect::<Vec<_>>());
    }
    for conversation in ledger["conversations"].as_array().unwrap() {
        let id = &conversation["conversation_id"];
        let of_it = truth.iter().map(|(_, entry)| entry);
        check_sums(
            conversation,
            &of_it.filter(|one| one["x_session_id"] == *id).collect::<Vec<_>>(),
        );
    }
    for tier in ["device", "host", "storage"] {
        assert!(ledger["total"]["cached_by_tier"][tier].as_u64() > Some(0), "{tier}: {ledger}");
    }
    let differences = ledger["differences"].as_array().unwrap();
    let ids: Vec<_> = differences.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let expect = [
        "prompt_length",
        "prompt_counter",
        "cached_counter",
        "device_counter",
        "host_counter",
        "storage_counter",
    ];
    assert_eq!(ids, expect);
    assert!(differences.iter().all(|one| one["finding"] == "agree"), "{differences:?}");
    assert_eq!(ledger["prompts"]["basis"]["source"], "server");
    assert_eq!(ledger["device_capacity_tokens"], 64 * 16);
    assert!(ended.stdout.contains("did all that a cache can do"), "{}", ended.stdout);
    again(folder.path(), &ledger);
    analyzed(folder.path(), &ledger);
}

/// `report` makes the same ledger from the run directory alone.
fn again(folder: &Path, ledger: &Value) {
    std::fs::remove_file(folder.join("config.json")).unwrap();
    let again = turnbench(folder).args(["report", "run", "--format", "json"]).output().unwrap();
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["ledger"], *ledger);
}

/// `cache analyze` tells the same of the run, in blocks of its size; larger ones serve no more.
fn analyzed(folder: &Path, ledger: &Value) {
    let analyze = |more: &[&str]| -> Value {
        let mut command = turnbench(folder);
        command.args(["cache", "analyze", "run", "--format", "json"]).args(more);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    let report = analyze(&[]);
    let total = &ledger["total"];
    assert_eq!(report["ideal_tokens"], total["ideal_tokens"]);
    assert_eq!(report["own_history_tokens"], total["own_history_tokens"]);
    assert_eq!(report["caches"][0]["size"]["tokens"], 64 * 16);
    assert_eq!(report["caches"][0]["lru_tokens"], total["lru_tokens"]);
    assert_eq!(report["needed"], ledger["needed"]);
    let larger = analyze(&["--block-size", "64"]);
    assert_eq!(larger["block_tokens"], 64);
    let (small, large) = (report["ideal_tokens"].as_u64(), larger["ideal_tokens"].as_u64());
    assert!(large < small && large > Some(0), "{large:?} of {small:?}");
}

#[test]
fn a_tier_that_stores_nothing_is_a_cache_that_is_too_small() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server =
        Served::start(folder.path(), &[&TIERS[..], &["--fault", "stores-nothing"]].concat());
    let ended = run(folder.path(), &server, &TELL_TIERS);
    let ledger = ledger(folder.path());
    let causes = &ledger["causes"];
    assert!(causes["capacity_tokens"].as_u64() > Some(500), "{causes}");
    // A request under way also holds the block that its answer is in the middle of.
    assert!(causes["other_tokens"].as_u64() <= Some(16), "{causes}");
    let cached = causes["cached_tokens"].as_u64().unwrap();
    let lru = ledger["total"]["lru_tokens"].as_u64().unwrap();
    assert!(lru - cached <= 16, "{causes}");
    let needed = causes["needed_cache_p50_tokens"].as_u64();
    assert!(needed > ledger["device_capacity_tokens"].as_u64(), "{causes}");
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("had been sent but was evicted, since"), "{text}");
    assert!(text.contains("To try: a cache, or a tier behind the device, of"), "{text}");
}

#[test]
fn counters_that_lie_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let faults = ["--fault", "wrong-counters=1.5"];
    let server = Served::start(folder.path(), &[&TIERS[..], &faults].concat());
    let ended = run(folder.path(), &server, &TELL_TIERS);
    let ledger = ledger(folder.path());
    let of = |id: &str| {
        let differences = ledger["differences"].as_array().unwrap();
        differences.iter().find(|one| one["id"] == id).unwrap_or(&Value::Null).clone()
    };
    // Answers and counters lie alike, and tell of more than can be.
    assert_eq!(of("cached_counter")["finding"], "agree", "{ledger}");
    assert_eq!(of("more_than_prompt")["finding"], "unexplained", "{ledger}");
    assert_eq!(ledger["total"]["efficiency"], 1.5);
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("The server's numbers cannot be true"), "{text}");
    assert!(!text.contains("To try:"), "{text}");
}

#[test]
fn what_is_not_reported_is_said_with_the_flag_and_nothing_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server = Served::start(folder.path(), &["--no-prompt-tokens-details"]);
    let ended = run(folder.path(), &server, &["--no-metrics", "--prompt-tokens", "messages"]);
    let ledger = ledger(folder.path());
    let total = &ledger["total"];
    assert_eq!(total["cached_tokens"], Value::Null);
    assert_eq!((&total["efficiency"], &ledger["causes"]), (&Value::Null, &Value::Null));
    assert!(total["ideal_tokens"].as_u64() > Some(0));
    assert_eq!(ledger["prompts"]["basis"]["source"], "messages");
    assert_eq!(ledger["prompts"]["block_size_source"], "assumed");
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("is not reported (vLLM: --enable-prompt-tokens-details"), "{text}");
    assert!(text.contains("the server's chat template is not in them"), "{text}");
}

#[test]
fn without_prompts_the_server_is_still_told_of() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let server = Served::start(folder.path(), &[]);
    run(folder.path(), &server, &["--prompt-tokens", "none"]);
    let ledger = ledger(folder.path());
    assert!(ledger["total"]["cached_tokens"].as_u64() > Some(0));
    assert_eq!(ledger["total"]["ideal_tokens"], Value::Null);
    assert!(!folder.path().join("run/prompt_blocks.jsonl").exists());
    let refused = turnbench(folder.path()).args(["cache", "analyze", "run"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("run: the blocks of its prompts are not known"), "{said}");
    assert_eq!(records(&folder.path().join("run")).len(), 20);
}

#[test]
fn prompts_rendered_here_are_those_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    // A model whose directory has a chat template, for both.
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    let tokenizer = root().join("testdata/tokenizer/bpe");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        if tokenizer.join(file).exists() {
            std::fs::copy(tokenizer.join(file), model.join(file)).unwrap();
        }
    }
    let template = "{% for m in messages %}<|end_of_text|>{{ m.role }}: {{ m.content }}\n{% endfor %}\
                    <|end_of_text|>assistant:";
    std::fs::write(model.join("chat_template.jinja"), template).unwrap();
    let server = Served::start_plain(
        folder.path(),
        &["--model", "model", "--decode-ms", "0.5", "--prefill-tokens-per-sec", "200000"],
    );
    run(folder.path(), &server, &["--tokenizer", "model"]);
    let ledger = ledger(folder.path());
    assert_eq!(ledger["prompts"]["basis"]["source"], "chat_template", "{ledger}");
    let total = &ledger["total"];
    assert_eq!(total["rendered_tokens"], total["prompt_tokens"]);
    assert_eq!(total["ideal_tokens"], total["cached_tokens"], "{ledger}");
}

/// A figure of the ledger, in its interval and within a tenth of the truth.
fn check_speed(figure: &Value, truth: f64) {
    let told = &figure["told"];
    let value = told["value"].as_f64().unwrap_or_else(|| panic!("{figure}"));
    assert!((value / truth - 1.0).abs() < 0.1, "{figure} of {truth}");
    assert!(told["low"].as_f64() <= Some(value) && Some(value) <= told["high"].as_f64());
}

#[test]
fn speeds_are_the_servers_and_a_slow_tier_is_called_one() {
    in_three_tries(check_speeds);
}

fn check_speeds() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let config = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let more = config.replace("\"num_conversations\":5", "\"num_conversations\":24");
    std::fs::write(folder.path().join("config.json"), more).unwrap();
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    let flags = ["--model", &tokenizer, "--decode-ms", "0.2", "--prefill-tokens-per-sec", "20000"];
    let tiers = ["--kv-blocks", "100", "--tier", "host:8GiB,load=1GiB/s,store=50GiB/s"];
    let server = Served::start_plain(folder.path(), &[&flags[..], &tiers].concat());
    let kv_bytes = ["--kv-bytes-per-token", "131072", "-k", "12"];
    let ended = run(folder.path(), &server, &[&TELL_TIERS[..], &kv_bytes].concat());
    let ledger = ledger(folder.path());
    let speeds = &ledger["speeds"];
    check_speed(&speeds["recompute_tokens_per_sec"], 20_000.0);
    let tiers = speeds["tiers"].as_array().unwrap();
    let host = tiers.iter().find(|tier| tier["tier"] == "host").unwrap();
    // 1 GiB/s of 131,072 bytes a token.
    check_speed(&host["reload_tokens_per_sec"], 8_192.0);
    assert_eq!(host["break_even"], "never", "{host}");
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("the cache made these requests slower"), "{text}");
    assert!(text.contains("To try: do without host, or make it faster."), "{text}");
}

fn check_error(args: &[&str], expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path());
    let mut command = turnbench(folder.path());
    command.args(["run", "-i", "config.json", "-m", "builtin:o200k_base"]);
    command.args(["--url", "http://127.0.0.1:1"]).args(args);
    let ended = ended(&mut command);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(expect), "{}", ended.stderr);
}

#[test]
fn flags_that_cannot_be_followed_are_refused() {
    check_error(
        &["--prompt-tokens", "template"],
        "--prompt-tokens is template, but the tokenizer has no chat template",
    );
    check_error(
        &["--tokenizer", "none", "--prompt-tokens", "messages"],
        "--prompt-tokens is messages, but there is no local tokenizer",
    );
    check_error(&["--block-size", "0"], "--block-size");
}
