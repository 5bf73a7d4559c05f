//! `turnbench serve` on a free port.

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::bin::root;

/// A simulated server with the test tokenizer and the model name `sim`; killed when dropped.
pub struct Served {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub url: String,
}

impl Served {
    /// Starts it in `folder` with a fast cost model; returns once it listens.
    pub fn start(folder: &Path, more: &[&str]) -> Self {
        let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
        let fast = ["--decode-ms", "0.5", "--decode-ms-per-seq", "0.01"];
        let prefill = ["--prefill-tokens-per-sec", "200000", "--model", &tokenizer];
        Self::start_plain(folder, &[&fast, &prefill, more].concat())
    }

    /// Starts it in `folder` with fast decoding, and a cost of prompts that `more` sets; returns once it
    /// listens.
    pub fn start_tiered(folder: &Path, more: &[&str]) -> Self {
        let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
        let fixed = ["--decode-ms", "0.1", "--decode-ms-per-seq", "0.01", "--model", &tokenizer];
        Self::start_plain(folder, &[&fixed, more].concat())
    }

    /// Starts it in `folder` with these flags alone; returns once it listens.
    pub fn start_plain(folder: &Path, flags: &[&str]) -> Self {
        Self::listening(Command::new(assert_cmd::cargo::cargo_bin("turnbench")), folder, flags)
    }

    /// As [`Self::start_plain`], with so few files that it may open.
    pub fn start_with_files(folder: &Path, files_count: u32, flags: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files_count}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(assert_cmd::cargo::cargo_bin("turnbench"));
        Self::listening(command, folder, flags)
    }

    fn listening(mut command: Command, folder: &Path, flags: &[&str]) -> Self {
        let mut child = command
            .current_dir(folder)
            .args(["serve", "--port", "0", "--served-model-name", "sim"])
            .args(flags)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let url = listening_on(&mut stderr);
        Self { child, stderr, url }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends Ctrl-C; the exit code and what else it said.
    pub fn interrupt(mut self) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("the process is there");
        let code = self.child.wait().expect("an exit status").code();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.stderr, &mut rest).expect("UTF-8");
        (code, rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening_on(stderr: &mut impl BufRead) -> String {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).expect("UTF-8"), 0, "it did not start: {said}");
        if let Some((_, end)) = line.split_once("on http://") {
            let address = end.split(';').next().unwrap_or(end).trim();
            return format!("http://{address}");
        }
        said.push_str(&line);
    }
}

/// The lines of a truth file.
pub fn truth(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a truth file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Measures by the clock, which whatever else runs on the machine disturbs: one of three tries must hold.
pub fn in_three_tries<T>(measure: impl Fn() -> T) -> T {
    for _ in 0..2 {
        if let Ok(measured) = catch_unwind(AssertUnwindSafe(&measure)) {
            return measured;
        }
    }
    measure()
}
