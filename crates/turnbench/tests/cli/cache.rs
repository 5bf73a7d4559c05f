//! `turnbench cache analyze`: what caches of any size could do for a workload.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended};
use crate::support::schema;

/// Four prompts of three whole blocks of 512 tokens and a bit, a second apart: the first one's three
/// times, with another one before the last time.
fn trace() -> TempDir {
    let row = |seconds: u64, ids: [u64; 4]| {
        let row = json!({"timestamp": seconds * 1_000, "input_length": 1_600,
            "output_length": 5, "hash_ids": ids});
        format!("{row}\n")
    };
    let rows = [row(0, [1, 2, 3, 4]), row(1, [1, 2, 3, 5]), row(2, [6, 7, 8, 9])];
    let text = rows.concat() + &row(3, [1, 2, 3, 10]);
    folder(&[("trace.jsonl", &text)])
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn analyze(folder: &Path, args: &[&str]) -> Ended {
    ended(turnbench(folder).args(["cache", "analyze"]).args(args))
}

fn report(folder: &Path, args: &[&str]) -> Value {
    let run = analyze(folder, &[args, &["--format", "json"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
    let report = serde_json::from_str(&run.stdout).unwrap();
    schema::check("cache-report", &report);
    report
}

#[test]
fn the_curve_of_a_trace_is_the_one_counted_by_hand() {
    let folder = trace();
    let report = report(
        folder.path(),
        &["trace.jsonl", "--capacity", "3blocks,2048tokens,6blocks", "--kv-bytes-per-token", "2"],
    );
    let tokens = |blocks: u64| blocks * 512;
    assert_eq!(report["prompt_tokens"], 4 * 1_600);
    assert_eq!(report["distinct_tokens"], tokens(6));
    assert_eq!(report["ideal_tokens"], tokens(6));
    assert_eq!(report["own_history_tokens"], 0);
    // At once after the first: three blocks suffice. After the other one: all six are needed.
    let needed = |share: f64| {
        let all = report["needed"].as_array().unwrap().iter();
        all.clone().find(|one| one["share"] == share).unwrap()["size"]["blocks"].clone()
    };
    assert_eq!((needed(0.5), needed(0.8), needed(1.0)), (json!(3), json!(5), json!(6)));
    let caches = report["caches"].as_array().unwrap();
    let served: Vec<_> = caches.iter().map(|cache| cache["lru_tokens"].clone()).collect();
    assert_eq!(served, [tokens(3), tokens(4), tokens(6)]);
    assert_eq!(caches[0]["size"], json!({"blocks": 3, "tokens": 1_536, "bytes": 3_072.0}));
    let curve = report["curve"].as_array().unwrap();
    let curve: Vec<_> = curve.iter().map(|point| point["size"]["blocks"].clone()).collect();
    assert_eq!(curve, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn tiers_serve_what_the_one_before_has_given_up() {
    let folder = trace();
    let served = |inclusion: &str, tiers: &str| {
        let args = ["trace.jsonl", "--tiers", tiers, "--tier-inclusion", inclusion];
        let report = report(folder.path(), &args);
        let tiers = report["tiers"].as_array().unwrap().clone();
        tiers.iter().map(|tier| tier["tokens"].as_u64().unwrap() / 512).collect::<Vec<_>>()
    };
    assert_eq!(served("exclusive", "3blocks,3blocks"), [3, 3]);
    // The lower tier has what the upper one has, too.
    assert_eq!(served("inclusive", "3blocks,3blocks"), [3, 0]);
    assert_eq!(served("inclusive", "3blocks,6blocks"), [3, 3]);
}

#[test]
fn the_tables_say_it_in_80_columns() {
    let folder = trace();
    let args = ["trace.jsonl", "--capacity", "3blocks", "--tiers", "3blocks,6blocks"];
    let run = analyze(folder.path(), &args);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for line in run.stdout.lines() {
        assert!(line.chars().count() <= 80 && line == line.trim_end(), "{line:?}");
    }
    let last: Vec<&str> = run.stdout.lines().rev().take(2).collect();
    let last = [last[1], last[0]].join(" ");
    assert_eq!(
        last,
        "90 % of the reuse that this workload allows needs a cache of 3,072 tokens, all of it \
         3,072 tokens; 1,536 tokens gives 50.0 % of it"
    );
    for told in ["3,072 (48.0 %) by an endless cache", "size of the cache in tokens", "S3-FIFO"] {
        assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
    }
}

#[test]
fn more_conversations_at_a_time_need_a_larger_cache() {
    let talk = |name: &str| {
        let turn = |turn: usize| {
            let question = format!("{name} asks {turn}, and goes on at length: ").repeat(12);
            [
                json!({"role": "user", "content": question}),
                json!({"role": "assistant", "content": "ok"}),
            ]
        };
        json!({"id": name, "messages": (0..4).flat_map(turn).collect::<Vec<_>>()})
    };
    let talks = json!(["ann", "bea", "cyd", "dot", "eve", "fay"].map(talk));
    let config = json!({"num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "hidden_size": 4096, "torch_dtype": "bfloat16"});
    let folder =
        folder(&[("talks.json", &talks.to_string()), ("config.json", &config.to_string())]);
    let needed = |active: &str, dtype: &str| {
        let args =
            ["talks.json", "--active-conversations", active, "--model-config", "config.json"];
        let report = report(folder.path(), &[&args[..], &["--kv-dtype", dtype]].concat());
        assert_eq!(report["cross_conversation_tokens"], 0);
        let size = &report["needed"].as_array().unwrap().last().unwrap()["size"];
        (report["ideal_tokens"].as_u64().unwrap(), size["bytes"].as_f64().unwrap())
    };
    let (one, six) = (needed("1", "auto"), needed("6", "auto"));
    assert!(one.0 == six.0 && six.1 > 3.0 * one.1, "{one:?} {six:?}");
    // 131,072 bytes a token in 16 bits.
    assert!((needed("1", "fp8").1 - one.1 / 2.0).abs() < 1.0);
}

#[test]
fn what_cannot_be_analyzed_is_refused_with_a_hint() {
    let lengths = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00,10,5\n";
    let folder = trace();
    std::fs::write(folder.path().join("lengths.csv"), lengths).unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["lengths.csv"], "only lengths are known of its requests (1)"),
        (&["trace.jsonl", "--capacity", "12GiB"], "--capacity is in bytes"),
        (&["trace.jsonl", "--tiers", "1tokens"], "--tiers is less than one block"),
        (&["trace.jsonl", "--capacity", "12"], "a size with its unit"),
        (&["trace.jsonl", "--model-config", "config.json"], "no usable num_attention_heads"),
    ];
    for (args, told) in cases {
        let run = analyze(folder.path(), args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(run.stderr.contains(told), "{args:?}: {}", run.stderr);
    }
    let run = analyze(folder.path(), &["trace.jsonl", "--active-conversations", "4"]);
    assert!(run.code == Some(0) && run.stderr.contains("has no effect"), "{}", run.stderr);
}

#[test]
fn the_output_in_the_document_is_what_it_prints() {
    let document = std::fs::read_to_string(root().join("docs/cache.md")).unwrap();
    let mut blocks = document.split("\n```\n");
    let command = blocks.find(|block| block.starts_with("turnbench cache analyze")).unwrap();
    let shown = document.split(command).nth(1).unwrap().split("```\n").nth(2).unwrap();
    let args = command.replace("\\\n", " ");
    let args: Vec<&str> = args.split_whitespace().skip(3).collect();
    let run = analyze(&root().join("examples"), &args);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), shown), "{}", run.stderr);
}

/// The conversations of `testdata/cache` as a trace of `rows` requests, and again under other names
/// until there are as many.
fn multi_turn_trace(rows: usize) -> String {
    let bytes = std::fs::read(root().join("testdata/cache/multiturn.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
    let prompts: Vec<Vec<u64>> = text
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["blocks"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect()
        })
        .collect();
    let row = |at: usize| {
        let copy = (at / prompts.len()) as u64 * 10_000_000;
        let ids: Vec<u64> = prompts[at % prompts.len()].iter().map(|id| id + copy).collect();
        let row = json!({"timestamp": at * 1_000, "input_length": ids.len() * 512 + 1,
            "output_length": 1, "hash_ids": ids});
        format!("{row}\n")
    };
    (0..rows).map(row).collect()
}

#[test]
fn a_sample_lies_within_its_stated_error_of_all_blocks() {
    let folder = folder(&[("trace.jsonl", &multi_turn_trace(3_660))]);
    let sizes = ["--capacity", "300blocks,1000blocks,3000blocks,9000blocks"];
    let tiers = ["--tiers", "600blocks,6000blocks"];
    let args = [&["trace.jsonl"], &sizes[..], &tiers].concat();
    let exact = report(folder.path(), &args);
    assert!(exact.get("sampling").is_none());
    let number = |value: &Value| value.as_f64().unwrap();
    let prompt_tokens = number(&exact["prompt_tokens"]);
    for blocks in ["20000", "50000"] {
        let sampled = report(folder.path(), &[&args[..], &["--sampled", blocks]].concat());
        assert_eq!(sampled["prompt_tokens"], exact["prompt_tokens"]);
        let sampling = &sampled["sampling"];
        let share = number(&sampling["blocks"]) / blocks.parse::<f64>().unwrap();
        assert!((0.5..2.0).contains(&share), "{sampling}");
        let error = number(&sampling["error_ratio"]);
        assert!(error > 0.0 && error < 0.15, "{sampling}");
        let check = |what: &str, exact: &Value, sampled: &Value| {
            let off = (number(exact) - number(sampled)).abs() / prompt_tokens;
            assert!(off <= error, "{blocks} {what}: {exact} {sampled}, ± {error}");
        };
        check("ideal", &exact["ideal_tokens"], &sampled["ideal_tokens"]);
        for place in 0..4 {
            let of = |report: &Value, figure: &str| report["caches"][place][figure].clone();
            for figure in ["lru_tokens", "fifo_tokens", "s3_fifo_tokens"] {
                check(figure, &of(&exact, figure), &of(&sampled, figure));
            }
        }
        for place in 0..2 {
            let of = |report: &Value| report["tiers"][place]["tokens"].clone();
            check("tier", &of(&exact), &of(&sampled));
        }
    }
    let run = analyze(folder.path(), &["trace.jsonl", "--sampled", "20000"]);
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("of the blocks stand for all: ± "), "{}", run.stdout);
    // A sample of all that there is, is no sample.
    let all = report(folder.path(), &[&args[..], &["--sampled", "1000000"]].concat());
    assert_eq!(all, exact);
    let run = analyze(folder.path(), &["trace.jsonl", "--sampled", "9", "--exact"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("cannot be used with"), "{}", run.stderr);
}
