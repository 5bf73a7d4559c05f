//! `turnbench convert`: vLLM's converter repeated, its failures included; what becomes of the items
//! without `--compat`; and what is left behind when something fails.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended};

/// A folder beside the recorded tokenizer, with the recorded inputs.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root().join("testdata/sharegpt")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn convert(folder: &Path, args: &[&str]) -> Ended {
    ended(turnbench(folder).arg("convert").args(args))
}

fn write(folder: &TempDir, name: &str, value: &Value) {
    std::fs::write(folder.path().join(name), value.to_string()).unwrap();
}

fn names(folder: &TempDir) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn recorded_runs_of_the_reference_are_repeated() {
    let folder = folder();
    let runs: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.path().join("runs.json")).unwrap()).unwrap();
    let packed = std::fs::read(folder.path().join("outputs.json.zst")).unwrap();
    let outputs: BTreeMap<String, String> =
        serde_json::from_slice(&zstd::decode_all(&*packed).unwrap()).unwrap();
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    for run in &runs {
        let name = run["name"].as_str().unwrap();
        let args = run["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| arg.as_str().unwrap().replace("../tokenizer/bpe", &tokenizer));
        let args: Vec<String> = args.collect();
        let head = ["sharegpt", run["input"].as_str().unwrap(), "OUT", "--compat", "vllm"];
        let args: Vec<&str> = head.into_iter().chain(args.iter().map(String::as_str)).collect();
        let found = convert(folder.path(), &args);
        let out = std::fs::read_to_string(folder.path().join("OUT"));
        let Some(sha256) = run["sha256"].as_str() else {
            assert_eq!((run["exit"].as_i64(), found.code), (Some(1), Some(2)), "{name}");
            let cause = cause(run["error"].as_str().unwrap());
            assert!(found.stderr.contains(cause), "{name}: {}", found.stderr);
            assert!(out.is_err(), "{name}");
            continue;
        };
        assert_eq!(found.code, Some(0), "{name}: {}", found.stderr);
        assert_eq!(out.unwrap(), outputs[sha256], "{name}");
        std::fs::remove_file(folder.path().join("OUT")).unwrap();
        let shown = found.stdout.replace(&tokenizer, "../tokenizer/bpe");
        assert_eq!(shown.trim_end(), run["stdout"].as_str().unwrap().trim_end(), "{name}");
    }
    assert_eq!(runs.len(), 51);
}

/// What turnbench says where the reference ends with this.
fn cause(error: &str) -> &'static str {
    let causes = [
        ("Cannot describe a DataFrame", "invalid value '0' for '--sample"),
        ("Sample larger", "invalid value '-1' for '--sample"),
        ("number of conversations is zero", "has no conversation that is kept"),
        ("'from'='robot'", ".conversations["),
        ("missing 'from' or 'value'", "is missing, allowed is"),
        ("KeyError: 'from'", ".from is missing"),
        ("Missing key 'id'", ".id is missing"),
        ("Missing key 'conversations'", ".conversations is missing"),
        ("values to unpack", "allowed is a text with exactly one \"_\""),
        ("should contain a list", "allowed is a list of items"),
        ("'NoneType'", ".value is null, allowed is a text"),
        ("can't encode", "half of a surrogate pair"),
        ("No such file", "cannot read nofile.json"),
        ("AssertionError", "it must be at most"),
    ];
    causes.iter().find(|(said, _)| error.contains(said)).map_or("?", |(_, cause)| *cause)
}

fn turns(speakers: &[(&str, &str)]) -> Value {
    speakers.iter().map(|(from, value)| json!({"from": from, "value": value})).collect()
}

fn dump() -> Value {
    json!([
        {"id": "a_2", "conversations": turns(&[("human", "three"), ("gpt", "four")])},
        {"id": "b_0", "conversations": turns(&[("human", "q"), ("robot", "x")])},
        {"id": "a_0", "conversations": turns(&[("human", "one"), ("gpt", "two")])},
        {"id": "c", "conversations": turns(&[("human", "é"), ("gpt", "ü"), ("human", "left")])},
    ])
}

#[test]
fn parts_are_merged_and_bad_items_counted() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "in.json", &dump());
    let run = convert(folder.path(), &["sharegpt", "in.json", "out.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let out: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out.json")).unwrap()).unwrap();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    assert_eq!(
        out,
        json!([
            {"id": "a", "messages": [message("user", "one"), message("assistant", "two"),
                message("user", "three"), message("assistant", "four")]},
            {"id": "c", "messages": [message("user", "é"), message("assistant", "ü")]},
        ])
    );
    let last =
        "4 items read, 1 merged into others, 1 skipped; 2 conversations written to out.json\n";
    assert!(run.stderr.ends_with(last), "{}", run.stderr);
    assert!(run.stderr.contains("1 row skipped: unknown speaker"), "{}", run.stderr);
    assert!(run.stdout.contains("conv_characters    2.0"), "{}", run.stdout);
    let strict = convert(folder.path(), &["sharegpt", "in.json", "strict.json", "--strict"]);
    assert_eq!(strict.code, Some(2));
    assert!(strict.stderr.contains("[1].conversations[1].from is \"robot\""), "{}", strict.stderr);
    assert_eq!(names(&folder), ["in.json", "out.json"]);
}

#[test]
fn filters_and_samples_choose() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "in.json", &dump());
    let ids = |more: &[&str]| {
        let args = [&["auto", "in.json", "out.jsonl"], more].concat();
        let run = convert(folder.path(), &args);
        let out = std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap_or_default();
        let id = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let ids: Vec<String> = out.lines().map(id).collect();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        ids
    };
    assert_eq!(ids(&[]), ["a", "c"]);
    assert_eq!(ids(&["--ascii", "only"]), ["a"]);
    assert_eq!(ids(&["--ascii", "exclude"]), ["c"]);
    assert_eq!(ids(&["--min-turns", "3"]), ["a"]);
    assert_eq!(ids(&["--max-content-len", "4"]), ["c"]);
    assert_eq!(ids(&["--max-conversations", "1"]), ["a"]);
    assert_eq!(ids(&["--max-items", "1", "--seed", "-3"]).len(), 1);
    assert_eq!(ids(&["--sample", "1", "--seed", "-3"]), ids(&["--max-items", "1", "--seed", "3"]));
}

#[test]
fn every_form_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "in.json", &dump());
    let written = |to: &str, more: &[&str]| {
        let args = [&["sharegpt", "in.json", "out", "--to", to], more].concat();
        let run = convert(folder.path(), &args);
        assert_eq!(run.code, Some(0), "{to}: {}", run.stderr);
        (std::fs::read_to_string(folder.path().join("out")).unwrap(), run.stderr)
    };
    assert!(written("json", &[]).0.starts_with("[\n  {\n    \"id\": \"a\",\n"));
    assert!(written("jsonl", &[]).0.starts_with("{\"id\":\"a\",\"messages\":"));
    assert!(written("openai", &[]).0.contains("\"messages\":[{\"role\":\"user\""));
    let (rows, lost) = written("aiperf", &[]);
    assert!(rows.starts_with("{\"session_id\":\"a\",\"turns\":[{\"text\":\"one\"}"), "{rows}");
    assert!(lost.contains("not in the output: recorded answers of turns: 3"), "{lost}");
    let (rows, _) =
        written("mooncake", &["--tokenizer", "builtin:o200k_base", "--block-size", "16"]);
    assert_eq!(rows.lines().count(), 3);
    assert!(rows.contains("\"hash_ids\": ["), "{rows}");
    let refused = convert(folder.path(), &["sharegpt", "in.json", "x", "--to", "mooncake"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--tokenizer"), "{}", refused.stderr);
}

#[test]
fn standard_output_may_be_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "in.json", &dump());
    let run = convert(folder.path(), &["sharegpt", "in.json", "-"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let list: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(list.len(), 2);
    assert!(run.stderr.contains("conv_turns"), "{}", run.stderr);
}

#[test]
fn a_failure_leaves_no_file_and_touches_none() {
    let folder = tempfile::tempdir().unwrap();
    let text = dump().to_string();
    std::fs::write(folder.path().join("cut.json"), &text[..text.len() - 30]).unwrap();
    std::fs::write(folder.path().join("bad.json"), text.replacen("\"a_0\"", "a_0", 1)).unwrap();
    std::fs::write(folder.path().join("old.json"), "old").unwrap();
    for compat in [&[][..], &["--compat", "vllm"]] {
        for (input, place) in
            [("cut.json", "in item 3, at byte"), ("bad.json", "in item 2, at byte")]
        {
            for out in ["new.json", "old.json"] {
                let run = convert(folder.path(), &[&["sharegpt", input, out], compat].concat());
                assert_eq!(run.code, Some(2), "{compat:?} {input}: {}", run.stderr);
                assert!(run.stderr.contains(place), "{}", run.stderr);
            }
        }
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("old.json")).unwrap(), "old");
    assert_eq!(names(&folder), ["bad.json", "cut.json", "old.json"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_of_the_output() {
    let folder = folder();
    for compat in [&[][..], &["--compat", "vllm"]] {
        let args = [&["sharegpt", "basic.json", "/dev/full"], compat].concat();
        let run = convert(folder.path(), &args);
        assert_eq!(run.code, Some(4), "{}", run.stderr);
        let said = "cannot write '/dev/full': No space left on device";
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = folder();
    let refuse = |args: &[&str], said: &str| {
        let run = convert(folder.path(), args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
    };
    let head = ["sharegpt", "basic.json", "out.json"];
    refuse(&["xml", "basic.json", "out.json"], "FORMAT is 'xml'; it must be one of ");
    refuse(
        &["openai", "basic.json", "out.json", "--compat", "vllm"],
        "--compat vllm converts sharegpt alone, FORMAT is 'openai'",
    );
    refuse(
        &[&head[..], &["--compat", "vllm", "--ascii", "any"]].concat(),
        "--ascii changes what the reference does; it cannot be used with --compat vllm",
    );
    refuse(
        &[&head[..], &["--max-model-len", "9"]].concat(),
        "a limit in tokens is set, which needs a tokenizer",
    );
    refuse(&[&head[..], &["--min-turns", "99"]].concat(), "has no conversation that is used");
    refuse(&["sharegpt", "basic.json", "none/out.json"], "cannot write 'none/out.json'");
    refuse(&["sharegpt", "none.json", "out.json"], "cannot read none.json");
    refuse(&["sharegpt", "basic.json", "./basic.json"], "the very file that is read");
    refuse(&["sharegpt", "basic.json", "out.json.gz"], "plain JSON, no .gz");
    let block_size = [&head[..], &["--block-size", "16"]].concat();
    refuse(&block_size, "--block-size has no effect without --to mooncake");
    let trace = r#"{"timestamp":0,"input_length":5,"output_length":2,"hash_ids":[1]}"#;
    std::fs::write(folder.path().join("trace.jsonl"), trace).unwrap();
    refuse(
        &["auto", "trace.jsonl", "out.json"],
        "trace without text; the text is made with a tokenizer",
    );
    let run = convert(folder.path(), &["auto", "trace.jsonl", "rows", "--to", "mooncake"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}
