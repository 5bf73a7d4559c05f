//! `turnbench run` against `turnbench serve`, and what the report says of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::support::bin::root;
use super::support::case::plain;
use super::support::served::{Served, truth};

/// Longest wait for anything, so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until no other test runs.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server, and conversations of one turn for it.
pub(crate) struct Replay {
    folder: TempDir,
    server: Served,
}

impl Replay {
    pub(crate) fn new(server_flags: &[&str], requests: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let conversations: Vec<Value> =
            (0..requests).map(|index| plain(&format!("c{index}"), 1)).collect();
        let text = serde_json::to_string(&conversations).unwrap();
        std::fs::write(folder.path().join("list.json"), text).unwrap();
        let server = Served::start_plain(folder.path(), server_flags);
        Self { folder, server }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn server_address(&self) -> String {
        self.server.url.trim_start_matches("http://").to_owned()
    }

    /// Ends the server, whose truth is in `truth.jsonl`: TTFTs in ms by conversation.
    pub(crate) fn end_with_truth(self) -> BTreeMap<String, f64> {
        self.server.interrupt();
        let ttft = |line: Value| {
            let at = |field: &str| line[field].as_u64().expect("a time");
            let id = line["x_session_id"].as_str().expect("an id").to_owned();
            (id, (at("first_token_unix_ns") - at("received_unix_ns")) as f64 / 1e6)
        };
        truth(&self.folder.path().join("truth.jsonl")).into_iter().map(ttft).collect()
    }

    /// Runs with answers of so many tokens.
    pub(crate) fn run(&self, more: &[&str], tokens: u32) -> Judged {
        self.start(more, tokens).end()
    }

    pub(crate) fn start(&self, more: &[&str], tokens: u32) -> Running<'_> {
        self.spawn(Command::new(assert_cmd::cargo::cargo_bin("turnbench")), more, tokens)
    }

    /// Lets everybody else go first where there is one core for all.
    pub(crate) fn start_nice(&self, more: &[&str], tokens: u32) -> Running<'_> {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(assert_cmd::cargo::cargo_bin("turnbench"));
        self.spawn(command, more, tokens)
    }

    fn spawn(&self, mut command: Command, more: &[&str], tokens: u32) -> Running<'_> {
        let tokens = tokens.to_string();
        // Of a run before.
        let _ = std::fs::remove_dir_all(self.folder.path().join("run"));
        let child = command
            .current_dir(self.folder.path())
            .args(["run", "-i", "list.json", "-m"])
            .arg(root().join("testdata/tokenizer/bpe"))
            .args(["--served-model-name", "sim", "--url", &self.server.url, "--run-dir", "run"])
            .args(["--limit-min-tokens", &tokens, "--limit-max-tokens", &tokens])
            .args(more)
            .env_remove("OPENAI_API_KEY")
            .env("XDG_STATE_HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Running { child, folder: self.folder.path() }
    }
}

/// A run under way.
pub(crate) struct Running<'a> {
    child: Child,
    folder: &'a Path,
}

impl Running<'_> {
    /// Leaves the client the first core that this process may use.
    pub(crate) fn pin_to_one_core(&self) {
        sched_setaffinity(Pid::from_raw(self.child.id() as i32), &one_core()).unwrap();
    }

    /// Waits until the first request has ended.
    pub(crate) fn wait_for_a_record(&mut self) {
        #[allow(clippy::disallowed_methods, reason = "the test gives up at some time")]
        let start = Instant::now();
        let records = self.folder.join("run/records.jsonl");
        while !std::fs::read(&records).is_ok_and(|text| text.contains(&b'\n')) {
            assert!(start.elapsed() < PATIENCE, "no record was written");
            assert_eq!(self.child.try_wait().unwrap(), None, "it ended without a record");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Stops the client's every thread for a while; the server goes on.
    pub(crate) fn stand_still(&self, span: Duration) {
        send(&self.child, Signal::SIGSTOP);
        pause(span);
        send(&self.child, Signal::SIGCONT);
    }

    /// Waits for the end of the run.
    pub(crate) fn end(self) -> Judged {
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
        let report = std::fs::read(self.folder.join("run/report.json")).unwrap();
        let records = std::fs::read_to_string(self.folder.join("run/records.jsonl")).unwrap();
        let records = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let report = serde_json::from_slice(&report).unwrap();
        Judged { records, ..Judged::of(report, text(output.stdout)) }
    }
}

/// Lets that much time pass: what a test does to others, never what it waits for.
pub(crate) fn pause(span: Duration) {
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    let start = Instant::now();
    while let Some(left) = span.checked_sub(start.elapsed()) {
        std::thread::park_timeout(left);
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).expect("the process is there");
}

/// One of those that this process may use.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    First,
    Last,
}

impl Core {
    fn set(self) -> CpuSet {
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let mut cores = (0..CpuSet::count()).filter(|&core| all.is_set(core) == Ok(true));
        let core = match self {
            Self::First => cores.next(),
            Self::Last => cores.next_back(),
        };
        let mut one = CpuSet::new();
        one.set(core.expect("a core")).unwrap();
        one
    }
}

/// Runs `what`, and the processes that it starts, on one core.
pub(crate) fn on_core<T: Send>(core: Core, what: impl FnOnce() -> T + Send) -> T {
    let pinned = || {
        sched_setaffinity(Pid::from_raw(0), &core.set()).unwrap();
        what()
    };
    std::thread::scope(|scope| scope.spawn(pinned).join().unwrap())
}

/// The first core that this process may use.
pub(crate) fn one_core() -> CpuSet {
    Core::First.set()
}

/// A report, as far as its verdict goes.
pub(crate) struct Judged {
    pub(crate) report: Value,
    pub(crate) stdout: String,
    pub(crate) records: Vec<Value>,
}

impl std::fmt::Debug for Judged {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:#}\n{:#}", self.report["verdict"], self.report["client"])
    }
}

impl Judged {
    pub(crate) fn of(report: Value, stdout: String) -> Self {
        Self { report, stdout, records: Vec::new() }
    }

    pub(crate) fn level(&self) -> &str {
        self.report["verdict"]["level"].as_str().expect("a level")
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// The reason of this name, which must be there.
    pub(crate) fn reason(&self, id: &str) -> &Value {
        self.find(id).unwrap_or_else(|| panic!("no {id}: {self:?}"))
    }

    pub(crate) fn reasons(&self) -> &[Value] {
        self.report["verdict"]["reasons"].as_array().expect("reasons")
    }

    /// TTFTs as recorded, in ms, by conversation; without those of requests that were stamped as sent
    /// when the client was stopped, and handed to the kernel after that.
    pub(crate) fn ttfts_ms(&self) -> impl Iterator<Item = (String, f64)> {
        self.records.iter().filter_map(|record| {
            let stamps = &record["stamps"];
            let at = |stamp: &Value| stamp.as_u64().expect("a time") as f64 / 1e6;
            let sent_ms = at(&stamps["sent_ns"]);
            let id = record["conversation_id"].as_str().expect("an id").to_owned();
            let ttft_ms = at(&stamps["first_token"]["at_ns"]) - sent_ms;
            (at(&stamps["written_ns"]) - sent_ms < 50.0).then_some((id, ttft_ms))
        })
    }

    /// Whether it was printed that the client is in no TTFT.
    pub(crate) fn claims_exact_ttfts(&self) -> bool {
        let words: Vec<&str> = self.stdout.split_whitespace().collect();
        words.join(" ").contains("which no TTFT contains")
    }

    /// Whether the kernel stamped every first token, and none together with later ones.
    pub(crate) fn has_exact_ttfts(&self) -> bool {
        let client = &self.report["client"];
        client["kernel_stamped_ratio"] == 1.0 && client["shared_first_tokens"] == 0
    }

    fn find(&self, id: &str) -> Option<&Value> {
        self.reasons().iter().find(|reason| reason["id"] == id)
    }
}
