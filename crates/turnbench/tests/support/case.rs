//! One run of the binary against a stand-in server, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;
use turnbench_model::{FailureKind, RequestRecord};

use super::bin::{root, turnbench};
use super::stub::{Behaviour, Stub};

/// Longest a run may take, so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with an input file, and a server.
pub struct Case {
    pub folder: TempDir,
    pub stub: Stub,
}

/// What a command left.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Case {
    /// A server that behaves so; the input has two plain conversations of two turns.
    pub fn new(behaviour: Behaviour) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let case = Self { folder, stub: Stub::start(behaviour) };
        case.conversations(&json!([plain("a", 2), plain("b", 2)]));
        case
    }

    /// Replaces the input file.
    pub fn conversations(&self, list: &Value) {
        self.write("input.json", &list.to_string());
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a writable folder");
        path
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the folder as JSON.
    pub fn json(&self, name: &str) -> Value {
        let text = std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `turnbench run` on the input against the server, into the run directory `run`.
    pub fn arguments(&self, more: &[&str]) -> Vec<String> {
        let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
        let url = self.stub.url();
        let own = ["run", "-i", "input.json", "-m", &tokenizer, "--run-dir", "run"];
        let server = ["--served-model-name", "stub-model", "--url", &url];
        [&own, &server[..], more].concat().into_iter().map(str::to_owned).collect()
    }

    /// [`Case::arguments`] as a command.
    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = turnbench(self.folder.path());
        command.args(self.arguments(more)).timeout(PATIENCE);
        command
    }

    /// [`Case::command`], run to its end.
    pub fn run(&self, more: &[&str]) -> Ended {
        ended(&mut self.command(more))
    }

    /// [`Case::command`], running, with its standard error in a pipe.
    pub fn start(&self, more: &[&str]) -> Child {
        std::process::Command::new(assert_cmd::cargo::cargo_bin("turnbench"))
            .current_dir(self.folder.path())
            .args(self.arguments(more))
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// The records in the run directory.
    pub fn records(&self) -> Vec<RequestRecord> {
        records(&self.path("run"))
    }

    /// The run directory's report.
    pub fn report(&self) -> Value {
        self.json("run/report.json")
    }

    /// Number of messages in each request, in the order in which they came.
    pub fn message_counts(&self) -> Vec<usize> {
        let bodies = self.stub.bodies();
        bodies.iter().map(|body| body["messages"].as_array().expect("messages").len()).collect()
    }

    /// Conversations that the report counts as finished.
    pub fn finished(&self) -> u64 {
        self.report()["counts"]["conversations"]["finished"].as_u64().expect("a count")
    }

    /// The failures among the records, with the attempt's number.
    pub fn failures(&self) -> Vec<(FailureKind, Option<u16>, u32)> {
        let records = self.records().into_iter();
        records
            .filter_map(|record| {
                let failure = record.outcome.failure()?;
                Some((failure.kind, failure.status, record.attempt))
            })
            .collect()
    }
}

/// The records of a run directory.
pub fn records(run_dir: &Path) -> Vec<RequestRecord> {
    let text = std::fs::read_to_string(run_dir.join("records.jsonl")).expect("records");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ended { code: output.status.code(), stdout, stderr }
}

/// A conversation of plain turns.
pub fn plain(id: &str, turns: usize) -> Value {
    let turn = |turn| {
        [
            json!({"role": "user", "content": format!("question {turn} of {id}")}),
            json!({"role": "assistant", "content": format!("recorded answer {turn} of {id}")}),
        ]
    };
    let messages: Vec<Value> = (1..=turns).flat_map(turn).collect();
    json!({"id": id, "messages": messages})
}
