use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::json;
use turnbench_model::{Clock, MonotonicClock};

use super::client::{Client, Job, Load, Reported};
use super::launch::{self, Cost};
use super::machine::{self, Cores};
use super::processes;
use super::programs::Programs;
use super::source::{Pace, Source, output};
use super::truth::Truths;

/// How often the memory of a client's processes is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a look, in lengths of the look: many processes take long to look at.
const LOOK_SHARE: u32 = 4;
/// How long a client may take.
const TIME_MAX: Duration = Duration::from_mins(10);
/// Bytes of a failed client's last words that are shown.
const LAST_WORDS: usize = 2000;

/// Runs clients against sources, one at a time.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) programs: Programs,
    pub(crate) cores: Cores,
    /// This program, for [`launch`].
    own: PathBuf,
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
    /// The memory of its processes, on the source's core.
    Memory,
}

impl Harness {
    /// Binds this process to the source's core.
    pub(crate) fn new(root: &Path, programs: Programs) -> anyhow::Result<Self> {
        let cores = Cores::of_machine()?;
        machine::pin(cores.source)?;
        Ok(Self {
            own: std::env::current_exe().context("this program's own path")?,
            folder: programs.folder.join("bench-runs"),
            tokenizer: root.join("testdata/tokenizer/bpe"),
            programs,
            cores,
        })
    }

    /// Has a client do a job against a fresh source.
    pub(crate) fn run(
        &self,
        client: &dyn Client,
        load: Load,
        pace: Pace,
        watched: Watch,
    ) -> anyhow::Result<Run> {
        self.try_run(client, load, pace, watched).with_context(|| client.name().to_owned())
    }

    fn try_run(
        &self,
        client: &dyn Client,
        load: Load,
        pace: Pace,
        watched: Watch,
    ) -> anyhow::Result<Run> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        let conversations = self.folder.join("conversations.json");
        fs::write(&conversations, conversations_text(load.requests))?;
        let source = Source::start(&self.programs.turnbench, pace, &self.folder)?;
        let job = Job {
            load,
            url: &source.url,
            folder: &self.folder,
            tokenizer: &self.tokenizer,
            conversations: &conversations,
        };
        let (cost, together_bytes) = self.launch(&client.command(&job)?, watched)?;
        if cost.exit_code != 0 {
            let name = client.name();
            bail!("{name} ended with {}: {}", cost.exit_code, last_words(&self.folder));
        }
        let reported = client.reported(&job)?;
        let source_cpu_s = source.cpu_s();
        let truths = source.stop()?;
        if !client.is_peer() {
            let (done, asked) = (truths.whole.len(), load.requests as usize);
            ensure!(done == asked, "{done} of {asked} requests were answered");
        }
        Ok(Run { cost, truths, reported, together_bytes, source_cpu_s })
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
            .stdin(Stdio::null())
            .stdout(output(&self.folder.join("stdout.txt"))?)
            .stderr(output(&self.folder.join("stderr.txt"))?);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => launcher.env(name, value),
                None => launcher.env_remove(name),
            };
        }
        let together = watch(launcher.spawn().context("cannot start this program")?, watched)?;
        let Ok(text) = fs::read_to_string(&cost_file) else { bail!(last_words(&self.folder)) };
        let cost: Cost = serde_json::from_str(&text)?;
        Ok((cost, together))
    }
}

/// Waits for the end, and looks from time to time at the memory of all processes together, if that
/// is watched.
fn watch(mut launcher: Child, watched: Watch) -> anyhow::Result<Option<u64>> {
    let root = launcher.id();
    let (sender, ended) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let status = launcher.wait();
        // The receiver waits for this.
        let _ = sender.send(());
        status
    });
    let clock = MonotonicClock::start();
    let (mut together, mut pause) = (None, LOOK_EVERY);
    while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
        let start = clock.now();
        let processes = processes::below(root);
        if Duration::from_nanos(start.0) > TIME_MAX {
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
    Ok(together)
}

/// The end of what a client had to say.
fn last_words(folder: &Path) -> String {
    let words = ["stderr.txt", "stdout.txt"].map(|name| {
        let text = fs::read(folder.join(name)).unwrap_or_default();
        let from = text.len().saturating_sub(LAST_WORDS);
        String::from_utf8_lossy(&text[from..]).trim().to_owned()
    });
    words.join("\n")
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
    use super::conversations_text;

    #[test]
    fn each_request_has_a_conversation_of_its_own() {
        let text = conversations_text(3);
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 3);
        assert_eq!(all[2]["id"], "c2");
        assert_eq!(all[2]["messages"][0]["role"], "user");
    }
}
