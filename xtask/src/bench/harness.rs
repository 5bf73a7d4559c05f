use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::json;
use turnbench_model::{Clock, MonotonicClock};

use super::client::{Client, Job, Load, Reported};
use super::command_line::Shortener;
use super::interrupt::Interrupt;
use super::launch::{self, Cost};
use super::machine::{self, Cores};
use super::processes;
use super::programs::Programs;
use super::rounds::say;
use super::source::{Pace, Source, output};
use super::truth::Truths;

/// How often the memory of a client's processes is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a look, in lengths of the look: many processes take long to look at.
const LOOK_SHARE: u32 = 4;
/// How long a client may take.
const TIME_MAX: Duration = Duration::from_mins(10);
/// Bytes of a failed client's last words that are shown on stderr.
const LAST_WORDS: usize = 2000;
/// Characters of a reason that stand in a table.
const REASON_CHARS_MAX: usize = 160;

/// Runs clients against sources, one at a time.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) programs: Programs,
    pub(crate) cores: Cores,
    pub(crate) interrupt: Interrupt,
    clock: MonotonicClock,
    /// This program, for [`launch`].
    own: PathBuf,
    root: PathBuf,
    /// For what runs leave behind; emptied before each.
    folder: PathBuf,
    tokenizer: PathBuf,
}

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) cost: Cost,
    pub(crate) truths: Truths,
    pub(crate) reported: Reported,
    /// Largest memory of all its processes together, where it was looked at.
    pub(crate) together_bytes: Option<u64>,
    /// Of the source, in seconds.
    pub(crate) source_cpu_s: f64,
}

/// What is watched while a client runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Watch {
    /// Nothing: the source has its core for itself.
    Nothing,
    /// The same, and the client reports each request.
    Requests,
    /// The memory of its processes, on the source's core.
    Memory,
}

impl Harness {
    /// Binds this process to the source's core.
    pub(crate) fn new(
        root: &Path,
        programs: Programs,
        interrupt: Interrupt,
    ) -> anyhow::Result<Self> {
        let cores = Cores::of_machine()?;
        machine::pin(cores.source)?;
        Ok(Self {
            own: std::env::current_exe().context("this program's own path")?,
            root: root.to_owned(),
            folder: programs.folder.join("bench-runs"),
            tokenizer: root.join("testdata/tokenizer/bpe"),
            clock: MonotonicClock::start(),
            programs,
            cores,
            interrupt,
        })
    }

    /// Time since the start, as minutes and seconds.
    pub(crate) fn elapsed(&self) -> String {
        let seconds = Duration::from_nanos(self.clock.now().0).as_secs();
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }

    /// What went wrong, in one line without this machine's folders.
    pub(crate) fn shown(&self, error: &anyhow::Error) -> String {
        let text = self.shortener().text(&format!("{error:#}"));
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ").replace('|', "\\|");
        match line.char_indices().nth(REASON_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    fn shortener(&self) -> Shortener {
        Shortener::default().without_folder(&self.folder).without_folder(&self.root)
    }

    /// Starts a fresh source, and makes the command for a client's job.
    pub(crate) fn prepare<'a>(
        &'a self,
        client: &'a dyn Client,
        load: Load,
        pace: Pace,
        watched: Watch,
    ) -> anyhow::Result<Ready<'a>> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        let conversations = self.folder.join("conversations.json");
        fs::write(&conversations, conversations_text(load.requests))?;
        let source = Source::start(&self.programs.turnbench, pace, &self.folder)?;
        let mut ready =
            Ready { harness: self, client, load, watched, source, command: None, conversations };
        ready.command = Some(client.command(&ready.job())?);
        Ok(ready)
    }

    /// Runs a command on the client's core, to its end or until its time is over.
    fn launch(&self, command: &Command, watched: Watch) -> anyhow::Result<(Cost, Option<u64>)> {
        let cost_file = self.folder.join("cost.json");
        let mut launcher = Command::new(&self.own);
        launcher
            .args([launch::COMMAND, &self.cores.client.to_string()])
            .arg(&cost_file)
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&self.folder)
            // Ctrl-C is for this program, which then ends the others.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output(&self.folder.join("stdout.txt"))?)
            .stderr(output(&self.folder.join("stderr.txt"))?);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => launcher.env(name, value),
                None => launcher.env_remove(name),
            };
        }
        let launcher = launcher.spawn().context("cannot start this program")?;
        let together = watch(launcher, watched, &self.interrupt)?;
        let Ok(text) = fs::read_to_string(&cost_file) else { bail!(last_line(&self.folder)) };
        let cost: Cost = serde_json::from_str(&text)?;
        Ok((cost, together))
    }
}

/// A source that waits for a client.
pub(crate) struct Ready<'a> {
    harness: &'a Harness,
    client: &'a dyn Client,
    load: Load,
    watched: Watch,
    source: Source,
    command: Option<Command>,
    conversations: PathBuf,
}

impl Ready<'_> {
    fn job(&self) -> Job<'_> {
        Job {
            load: self.load,
            details: self.watched == Watch::Requests,
            url: &self.source.url,
            folder: &self.harness.folder,
            tokenizer: &self.harness.tokenizer,
            conversations: &self.conversations,
        }
    }

    /// The client's command line.
    pub(crate) fn client_line(&self) -> Option<String> {
        let shortener = self.harness.shortener().with(&self.source.url, "http://127.0.0.1:PORT");
        self.command.as_ref().map(|command| shortener.command(command))
    }

    /// The source's command line.
    pub(crate) fn source_line(&self) -> String {
        self.harness.shortener().command(&self.source.command)
    }

    /// Runs the client to its end.
    pub(crate) fn run(self) -> anyhow::Result<Run> {
        let (harness, client) = (self.harness, self.client);
        let command = self.command.as_ref().context("no command")?;
        let (cost, together_bytes) = harness.launch(command, self.watched)?;
        if cost.exit_code != 0 {
            bail!("exit code {}: {}", cost.exit_code, last_line(&harness.folder));
        }
        let reported = client.reported(&self.job())?;
        let source_cpu_s = self.source.cpu_s();
        let truths = self.source.stop()?;
        if !client.is_peer() {
            let (done, asked) = (truths.whole.len(), self.load.requests as usize);
            ensure!(done == asked, "{done} of {asked} requests were answered");
        }
        Ok(Run { cost, truths, reported, together_bytes, source_cpu_s })
    }
}

/// Waits for the end, and looks from time to time at the memory of all processes together, if that
/// is watched.
fn watch(
    mut launcher: Child,
    watched: Watch,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<u64>> {
    let root = launcher.id();
    let (sender, ended) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let status = launcher.wait();
        // The receiver waits for this.
        let _ = sender.send(());
        status
    });
    let clock = MonotonicClock::start();
    let (mut together, mut pause, mut took_too_long) = (None, LOOK_EVERY, false);
    while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
        let start = clock.now();
        let processes = processes::below(root);
        took_too_long = Duration::from_nanos(start.0) > TIME_MAX;
        if interrupt.is_set() || took_too_long {
            processes::end(&processes);
        } else if watched == Watch::Memory {
            together = together.max(Some(processes::memory_bytes(&processes)));
        }
        let took = Duration::from_nanos(clock.now().since(start).0);
        pause = LOOK_EVERY.max(took * LOOK_SHARE);
    }
    match waiter.join() {
        Ok(status) => status.context("waiting for a client")?,
        Err(_) => bail!("the thread that waits for a client panicked"),
    };
    ensure!(!took_too_long, "it took more than {} minutes", TIME_MAX.as_secs() / 60);
    Ok(together)
}

/// What a client said of its failure: its last line, the ones above it on stderr too.
fn last_line(folder: &Path) -> String {
    let text = |name: &str| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        let from = bytes.len().saturating_sub(LAST_WORDS);
        String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
    };
    let (errors, printed) = (text("stderr.txt"), text("stdout.txt"));
    let words = if errors.is_empty() { printed } else { errors };
    say(&words);
    reason(&words).to_owned()
}

/// The line that names the cause: the last one that says "error", else the last one.
fn reason(words: &str) -> &str {
    let lines = || words.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| line.to_ascii_lowercase().contains("error"));
    error.or_else(|| lines().next()).unwrap_or("it said nothing")
}

/// Conversations of one question each, and an answer for clients that want one recorded.
fn conversations_text(count: u32) -> String {
    let conversation = |index| {
        let message = |role: &str, content: &str| json!({"role": role, "content": content});
        let messages = [message("user", "Say something, please."), message("assistant", "Yes.")];
        json!({"id": format!("c{index}"), "messages": messages}).to_string()
    };
    let conversations: Vec<_> = (0..count).map(conversation).collect();
    format!("[{}]", conversations.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::{conversations_text, reason};

    #[test]
    fn the_reason_is_the_line_that_says_error() {
        let python = "Traceback:\n  File \"x\"\nValueError: no port\n\nbye";
        assert_eq!(reason(python), "ValueError: no port");
        assert_eq!(reason("error: no file\nhint: look\n"), "error: no file");
        assert_eq!(reason("killed\n"), "killed");
        assert_eq!(reason(" \n"), "it said nothing");
    }

    #[test]
    fn each_request_has_a_conversation_of_its_own() {
        let text = conversations_text(3);
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 3);
        assert_eq!(all[2]["id"], "c2");
        assert_eq!(all[2]["messages"][0]["role"], "user");
    }
}
