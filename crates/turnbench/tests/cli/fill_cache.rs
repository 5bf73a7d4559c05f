//! `turnbench run --fill-cache`: as many conversations as the cache's size asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended, records};
use crate::support::served::Served;

/// Conversations in the workload.
const CONVERSATIONS: usize = 40;

/// 40 conversations of 3 to 8 turns in `config.json`, with a prefix in common.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = root().join("testdata/text/book.txt").display().to_string();
    let constant = |value| json!({"distribution": "constant", "value": value});
    let uniform = |min, max| json!({"distribution": "uniform", "min": min, "max": max});
    let config = json!({
        "filetype": "generate_conversations", "num_conversations": CONVERSATIONS, "text_files": [text],
        "prompt_input": {
            "num_turns": uniform(6, 16), "common_prefix_num_tokens": constant(96),
            "prefix_num_tokens": constant(60), "num_tokens": uniform(60, 120),
        },
        "prompt_output": {"num_tokens": uniform(8, 24)},
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn run(folder: &Path, server: &Served, more: &[&str]) -> Ended {
    let mut command = turnbench(folder);
    command.args(["run", "-i", "config.json", "-m"]).arg(root().join("testdata/tokenizer/bpe"));
    command.args(["--served-model-name", "sim", "--url", &server.url, "--run-dir", "run"]);
    ended(command.args(more))
}

fn plan(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("run/plan.json")).unwrap()).unwrap()
}

/// Mean of what all open conversations have in the cache, by the server's token counts: from when as
/// many are open as may be, until no more can be opened.
fn working_set_tokens(folder: &Path, active: usize, shared_tokens: f64) -> f64 {
    let mut records = records(&folder.join("run"));
    records.sort_by_key(|record| record.stamps.sent_ns);
    let mut open: BTreeMap<u32, f64> = BTreeMap::new();
    let (mut sums, mut opened) = (Vec::new(), BTreeSet::new());
    for record in &records {
        let usage = record.usage.as_ref().unwrap();
        let tokens = usage.prompt_tokens.unwrap() + usage.completion_tokens.unwrap() - 1;
        open.insert(record.conversation, tokens as f64 - shared_tokens);
        opened.insert(record.conversation);
        // One that has taken the place of another has nothing yet.
        if (active..CONVERSATIONS).contains(&opened.len()) {
            sums.push(shared_tokens + open.values().sum::<f64>());
        }
        if record.ends_conversation {
            open.remove(&record.conversation);
        }
    }
    assert!(sums.len() > 40, "{} sums", sums.len());
    sums.iter().sum::<f64>() / sums.len() as f64
}

#[test]
fn open_conversations_are_the_multiple_of_the_cache_that_was_asked_for() {
    let folder = folder();
    let server = Served::start(folder.path(), &["--kv-blocks", "400"]);
    let done = run(folder.path(), &server, &["--fill-cache", "1.5x"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("times the cache's 6384 (by the server's metrics)"),
        "{}",
        done.stderr
    );
    let plan = plan(folder.path());
    let active = plan["load"]["max_active_conversations"].as_u64().unwrap();
    assert!(active > 8 && active < 30, "{active}");
    let shared = plan["fill"]["shared_tokens"].as_f64().unwrap();
    assert!(shared >= 80.0, "{shared}");
    let tokens = working_set_tokens(folder.path(), active as usize, shared);
    let ratio = tokens / (1.5 * 399.0 * 16.0);
    assert!((0.9..=1.1).contains(&ratio), "{ratio}: {}", done.stderr);
}

#[test]
fn the_size_of_the_cache_may_be_told() {
    let folder = folder();
    let server = Served::start(folder.path(), &[]);
    let level = json!({"place": 0, "reported_as": null, "ttft_ms": 1.0, "prompts": 9, "reload": null,
        "break_even": null,
        "reach": {"tokens": 5000.0, "tokens_low": 4900.0, "tokens_high": 5100.0, "bytes": null}});
    let report = json!({"schema_version": 1, "url": "u", "model": "m", "server_version": null,
        "end": {"how": "complete"}, "elapsed_ns": 1, "budget_ns": 1, "requests": 9,
        "failed_requests": 0, "fresh_tokens": 9, "newer_tokens_max": 9, "prompt_tokens": null,
        "kv_bytes_per_token": null, "block_tokens": null, "reported_capacity_tokens": null,
        "reports_cached_tokens": true, "caches_prompts": true, "recompute": null,
        "levels": [level], "end_found": true, "revisits": [], "notes": []});
    std::fs::write(folder.path().join("tiers.json"), report.to_string()).unwrap();
    let sizes: [(&[&str], &str); 3] = [
        (&["--cache-size", "5000tokens"], "times the cache's 5000 (as told)"),
        (
            &["--cache-size", "10MB", "--kv-bytes-per-token", "2000"],
            "times the cache's 5000 (as told)",
        ),
        (&["--cache-size", "tiers.json"], "times the cache's 5000 (as cache tiers found)"),
    ];
    for (size, told) in sizes {
        let _ = std::fs::remove_dir_all(folder.path().join("run"));
        let args = [&["--fill-cache", "1", "-n", "1", "--no-metrics"], size].concat();
        let done = run(folder.path(), &server, &args);
        assert_eq!(done.code, Some(0), "{size:?}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{size:?}: {}", done.stderr);
    }
}

#[test]
fn what_cannot_be_filled_is_refused_before_anything_is_sent() {
    let folder = folder();
    let server = Served::start(folder.path(), &["--truth", "truth.jsonl"]);
    let cases: [(&[&str], &str); 7] = [
        (&["--fill-cache", "0x"], "such as 1.5x"),
        (&["--fill-cache", "1.5x", "-k", "4"], "cannot be used with"),
        (&["--cache-size", "5000tokens"], "--fill-cache"),
        (&["--fill-cache", "1.5x", "--no-metrics"], "hint: --cache-size tells it"),
        (&["--fill-cache", "1.5x", "--cache-size", "1GiB"], "hint: --kv-bytes-per-token"),
        (&["--fill-cache", "9x", "--cache-size", "90000tokens"], "the workload has 40"),
        (
            &["--fill-cache", "1x", "--cache-size", "2000tokens", "-p", "20"],
            "every client needs one of its own",
        ),
    ];
    for (args, told) in cases {
        let done = run(folder.path(), &server, args);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{args:?}: {}", done.stderr);
    }
    assert!(!folder.path().join("run").exists());
    let truth = std::fs::read_to_string(folder.path().join("truth.jsonl")).unwrap_or_default();
    assert_eq!(truth, "");
}
