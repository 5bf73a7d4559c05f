use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{Client, Job, Reported, json};
use crate::bench::{NULL, SPINNING};

/// A client of the `bench` crate: it sends one prebuilt request and decodes nothing.
#[derive(Debug)]
pub(crate) struct Bare {
    name: &'static str,
    program: PathBuf,
    /// Whether it never sleeps.
    spins: bool,
}

/// Sees frames of a body, not reads of a socket.
const HYPER: &str = "hyperclient";

/// What it prints.
#[derive(Deserialize)]
struct Printed {
    reads: u64,
}

impl Bare {
    /// All there are, the null client first.
    pub(crate) fn all(programs: &Path) -> [Self; 3] {
        let client = |name| Self { name, program: programs.join(name), spins: false };
        [NULL, HYPER, "turnclient"].map(client)
    }

    /// The null client that takes a whole core, so that the source need not wake it.
    pub(crate) fn spinning(programs: &Path) -> Self {
        Self { name: SPINNING, program: programs.join(NULL), spins: true }
    }
}

impl Client for Bare {
    fn name(&self) -> &str {
        self.name
    }

    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command
            .args(["--url", job.url])
            .args(["--connections", &job.load.streams.to_string()])
            .args(["--requests", &job.load.requests.to_string()])
            .args(["--max-tokens", &job.load.tokens.to_string()]);
        if self.spins {
            command.arg("--spin");
        }
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        let printed: Printed = json(&job.folder.join("stdout.txt"))?;
        let reads = (self.name != HYPER).then_some(printed.reads);
        Ok(Reported { requests: Vec::new(), reads })
    }
}
