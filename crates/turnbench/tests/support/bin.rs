//! Runs the real binary.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root exists")
}

/// The binary, in `folder`, without anything inherited that changes what it does.
pub fn turnbench(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("turnbench").expect("the binary is built");
    command
        .current_dir(folder)
        .env_remove("OPENAI_API_KEY")
        .env_remove("MULTITURN_BENCH_MAX_RETRIES")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "200");
    command
}

/// A recorded generator config, put into `folder`.
pub fn generator_config(folder: &Path, name: &str) -> PathBuf {
    let packed = std::fs::read(root().join("testdata/generate/cases.json.zst")).unwrap();
    let cases: serde_json::Value =
        serde_json::from_slice(&zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let config = &cases[name.trim_end_matches(".json")]["config"];
    assert!(config.is_object(), "no recorded config {name}");
    let path = folder.join(name);
    std::fs::write(&path, config.to_string()).unwrap();
    path
}
