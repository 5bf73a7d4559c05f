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
    let stored = root().join("testdata/generate").join(name);
    let path = folder.join(name);
    std::fs::copy(&stored, &path).unwrap_or_else(|error| panic!("{}: {error}", stored.display()));
    path
}
