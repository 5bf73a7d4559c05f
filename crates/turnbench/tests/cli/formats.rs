//! Every format's files, from the field and from us, through `inspect`, `convert` and `run` against
//! the simulated server.

use std::path::Path;

use serde_json::Value;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended, records};
use crate::support::served::Served;

/// A file of `testdata/formats`, what it is recognized as, and what is in it.
struct File {
    path: &'static str,
    format: &'static str,
    conversations: u64,
    turns: u64,
}

const fn file(path: &'static str, format: &'static str, conversations: u64, turns: u64) -> File {
    File { path, format, conversations, turns }
}

const FILES: &[File] = &[
    file("aiperf/multi_turn.jsonl", "aiperf", 3, 6),
    file("aiperf/single_turn.jsonl", "aiperf", 4, 5),
    file("aiperf-mooncake/production_trace.jsonl", "mooncake", 10, 10),
    file("azure/code-first600.csv.zst", "azure", 599, 599),
    file("bailian/after_schema.jsonl", "bailian", 4, 7),
    file("burstgpt/composed_session_columns.csv", "burstgpt", 2, 3),
    file("dynamo/agentic-mooncake.jsonl", "dynamo", 2, 3),
    file("dynamo/mooncake_tiny.jsonl", "mooncake", 16, 16),
    file("lmsys/polars_zstd.parquet", "lmsys", 14, 25),
    file("mlperf-agentic/agentic_coding_2.5h-2conversations.jsonl.zst", "mlperf-agentic", 2, 70),
    file("mlperf-agentic/dummy_1k-first50.jsonl", "mlperf-agentic", 50, 50),
    file("mooncake/conversation_trace-first350.jsonl.zst", "mooncake", 350, 350),
    file("openai/llamafactory-reason_tool_use_demo_50-first6.jsonl", "openai", 6, 13),
    file("openai/vllm-openai_example_batch.jsonl", "openai", 2, 2),
    file("otel/parallel_requests.json", "otel", 2, 5),
    file("sharegpt/fastchat-dummy_conversation-first60.json", "sharegpt", 60, 120),
    file("sharegpt/llamafactory-glaive_toolcall_en_demo-first25.json", "sharegpt", 25, 83),
    file("weka/trace_0291-subagent.json.zst", "weka", 3, 32),
    file("wildchat/pyarrow_snappy.parquet", "wildchat", 14, 25),
];

/// Tokens that a request of the test may have: the traces have prompts of 100,000.
const MAX_MODEL_LEN: &str = "24000";

fn ran(folder: &Path, args: &[&str]) -> Ended {
    let run = ended(turnbench(folder).args(args));
    assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
    run
}

fn path(file: &File) -> String {
    root().join("testdata/formats").join(file.path).display().to_string()
}

#[test]
fn each_format_is_recognized_and_inspected() {
    let folder = tempfile::tempdir().unwrap();
    for file in FILES {
        let run = ran(folder.path(), &["inspect", &path(file), "--format", "json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["format"], file.format, "{}", file.path);
        assert_eq!(report["conversations"], file.conversations, "{}", file.path);
        assert_eq!(report["requests"], file.turns, "{}", file.path);
    }
}

#[test]
fn each_format_is_converted_without_loss_to_turnbenchs_own() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    for file in FILES {
        let common = ["--max-conversations", "20", "--model", &tokenizer];
        let limit = ["--max-model-len", MAX_MODEL_LEN, "--over-model-len", "cut"];
        let from = path(file);
        let convert = [&["convert", "auto", &from, "out.jsonl"][..], &common, &limit].concat();
        ran(folder.path(), &convert);
        let inspect = ["inspect", "out.jsonl", "--format", "json"];
        let run = ran(folder.path(), &inspect);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["format"], "conversations", "{}", file.path);
        assert!(report["requests"].as_u64().unwrap() > 0, "{}", file.path);
    }
}

#[test]
fn each_format_is_replayed_against_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &["--max-model-len", "32768"]);
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    for file in FILES {
        let _ = std::fs::remove_dir_all(folder.path().join("run"));
        let from = path(file);
        let mut args = vec!["run", "-i", &from, "-m", &tokenizer, "--run-dir", "run"];
        args.extend(["--served-model-name", "sim", "--url", &server.url]);
        args.extend(["--max-conversations", "2", "-p", "1", "-n", "6"]);
        args.extend(["--max-model-len", MAX_MODEL_LEN, "--over-model-len", "cut"]);
        args.extend(["--limit-max-tokens", "4", "--limit-min-tokens", "4"]);
        ran(folder.path(), &args);
        let records = records(&folder.path().join("run"));
        assert!(!records.is_empty(), "{}", file.path);
        for record in records {
            assert!(record.outcome.is_completed(), "{}: {:?}", file.path, record.outcome);
        }
    }
}
