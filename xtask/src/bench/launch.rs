//! Runs one command on a core and writes down what it cost.
//!
//! A process of its own, for two reasons: `getrusage` tells of all children together, and Linux counts
//! as a child's peak memory also that of the process from which it was started, until it ran its own
//! program. This one is small.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};
use turnbench_model::{Clock, MonotonicClock};

use super::machine;

/// The subcommand of this program that is [`run`].
pub(crate) const COMMAND: &str = "bench-launch";

/// What a command took, with the processes it started and waited for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// When it was started, in nanoseconds since the Unix epoch.
    pub(crate) started_unix_ns: u64,
    pub(crate) wall_s: f64,
    /// User and kernel time.
    pub(crate) cpu_s: f64,
    /// Largest resident set of any one of its processes.
    pub(crate) peak_rss_bytes: u64,
    /// 128 plus the signal's number where a signal ended it.
    pub(crate) exit_code: i32,
}

/// `bench-launch CORE COST_FILE COMMAND...`
pub(crate) fn run(args: &[&str]) -> anyhow::Result<ExitCode> {
    let [core, cost, program, args @ ..] = args else { bail!("{COMMAND} CORE FILE COMMAND...") };
    machine::pin(core.parse()?)?;
    let cost = Path::new(cost);
    let mut command = Command::new(program);
    command.args(args);
    let clock = MonotonicClock::start();
    let started_unix_ns = clock.unix_ns();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    let wall_s = clock.now().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let exit_code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
    let measured = Cost {
        started_unix_ns,
        wall_s,
        cpu_s: cpu as f64 / 1e6,
        // Linux counts in KiB.
        peak_rss_bytes: usage.max_rss() as u64 * 1024,
        exit_code,
    };
    fs::write(cost, serde_json::to_vec(&measured)?)?;
    Ok(ExitCode::SUCCESS)
}
