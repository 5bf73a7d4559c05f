use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes;
use super::truth::Truths;

/// What the source does, beyond what requests ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    /// Events in one write; 0 stands for 1.
    pub(crate) events_per_write: u32,
    /// From a request to its first token.
    pub(crate) ttft_ms: f64,
    /// From each token to the next; 0: as fast as the client takes them.
    pub(crate) itl_ms: f64,
}

/// A running `turnbench serve --raw-speed`, on the core of this process.
#[derive(Debug)]
pub(crate) struct Source {
    child: Child,
    pub(crate) url: String,
    pub(crate) command: Command,
    truth: PathBuf,
    cpu_before_s: f64,
}

impl Source {
    /// Starts it, with its truth in `folder`.
    pub(crate) fn start(turnbench: &Path, pace: Pace, folder: &Path) -> anyhow::Result<Self> {
        let truth = folder.join("truth.jsonl");
        let mut command = Command::new(turnbench);
        command
            .args(["serve", "--raw-speed", "--port", "0", "--served-model-name", "raw"])
            .args(["--events-per-write", &pace.events_per_write.max(1).to_string()])
            .args(["--ttft-ms", &pace.ttft_ms.to_string()])
            .args(["--itl-ms", &pace.itl_ms.to_string(), "--truth"])
            .arg(&truth)
            // Ctrl-C is for this program, which then ends the source.
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", turnbench.display()))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut said = String::new();
        for line in BufReader::new(stderr).lines() {
            said = line?;
            if let Some(url) = address(&said) {
                let cpu_before_s = processes::cpu_s(child.id()).unwrap_or(0.0);
                return Ok(Self { child, url: url.to_owned(), command, truth, cpu_before_s });
            }
        }
        child.wait()?;
        anyhow::bail!("the source did not start: {said}")
    }

    /// Time on a core since it stood ready, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        processes::cpu_s(self.child.id()).unwrap_or(f64::NAN) - self.cpu_before_s
    }

    /// Stops it and reads what it wrote down.
    pub(crate) fn stop(mut self) -> anyhow::Result<Truths> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        self.child.wait()?;
        Truths::read(&self.truth)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL in what a server says when it is ready.
fn address(line: &str) -> Option<&str> {
    let from = line.find("http://")?;
    let end = |c: char| !(c.is_ascii_alphanumeric() || ":/.[]".contains(c));
    let text = &line[from..];
    let url = &text[..text.find(end).unwrap_or(text.len())];
    Some(url.trim_end_matches('.'))
}

/// A file to take a program's output.
pub(crate) fn output(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_address_is_found_in_what_the_server_says() {
        let line = "raw-speed server for model 'raw' on http://127.0.0.1:45671; Ctrl-C stops it";
        assert_eq!(address(line), Some("http://127.0.0.1:45671"));
        assert_eq!(address("on http://[::1]:80."), Some("http://[::1]:80"));
        assert_eq!(address("warning: no"), None);
    }
}
