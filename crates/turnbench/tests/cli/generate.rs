//! `turnbench generate` writes the same bytes to a file and to standard output, which depend on the
//! seed and the tokenizer only. What the bytes are is tested where they are made.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::bin::{generator_config, root, turnbench};
use crate::support::case::{Ended, ended};

/// A folder with a recorded config and the files that it names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer", "text"] {
        std::os::unix::fs::symlink(root().join("testdata").join(name), folder.path().join(name))
            .unwrap();
    }
    generator_config(folder.path(), "tricky.json");
    folder
}

fn generate(folder: &Path, more: &[&str]) -> Ended {
    let command = ["generate", "-i", "tricky.json", "-m", "tokenizer/bpe"];
    let run = ended(turnbench(folder).args(command).args(more));
    assert_eq!(run.code, Some(0), "{more:?}: {}", run.stderr);
    run
}

#[test]
fn a_file_holds_what_standard_output_shows() {
    let folder = folder();
    let shown = generate(folder.path(), &[]);
    assert_eq!(shown.stderr, "");
    let written = generate(folder.path(), &["-o", "out.json"]);
    assert_eq!(written.stdout, "");
    assert!(written.stderr.ends_with("messages in out.json\n"), "{}", written.stderr);
    let file = std::fs::read_to_string(folder.path().join("out.json")).unwrap();
    assert!(file == shown.stdout, "file and standard output differ");
    assert!(file.starts_with("[\n    {\n        \"id\": \"CONV_ID_0\",\n"), "{file}");
    let list: Vec<Value> = serde_json::from_str(&file).unwrap();
    assert!(!list.is_empty());
}

#[test]
fn the_seed_decides() {
    let folder = folder();
    let zero = generate(folder.path(), &[]).stdout;
    assert!(generate(folder.path(), &["--seed", "0"]).stdout == zero, "the default seed is 0");
    assert!(generate(folder.path(), &["--seed", "1"]).stdout != zero, "seeds 0 and 1");
}

#[test]
fn clean_up_is_a_matter_of_the_flag() {
    let folder = folder();
    let text = |cleanup: &str| generate(folder.path(), &["--decode-cleanup", cleanup]).stdout;
    assert!(text("auto") == text("off"), "the current transformers release cleans nothing up");
    assert!(text("on") != text("off"), "the text has spaces before punctuation");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = folder();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("turnbench"))
        .current_dir(folder.path())
        .args(["generate", "-i", "tricky.json", "-m", "tokenizer/bpe"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
}
