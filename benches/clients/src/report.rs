use std::io::Write;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;
use turnbench_model::{Clock, MonotonicClock, Nanos};

/// What a client did, and what it cost. Times in seconds, from before the first request to after the
/// last response; connections were open before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Which client.
    pub client: &'static str,
    /// Responses read to their end.
    pub requests: u64,
    /// Their `data:` lines, the end mark among them.
    pub events: u64,
    /// Reads (of hyper: body frames).
    pub reads: u64,
    /// Time that passed.
    pub wall_s: f64,
    /// Time of the process on a core, its kernel time included.
    pub cpu_s: f64,
    /// The process's largest resident set.
    pub peak_rss_bytes: u64,
    /// `events / wall_s`.
    pub events_per_s: f64,
    /// `requests / wall_s`.
    pub requests_per_s: f64,
    /// `1000 * cpu_s / events`.
    pub cpu_s_per_1000_events: f64,
}

/// Measures a client from its start on.
#[derive(Debug)]
pub struct Measure {
    clock: MonotonicClock,
    cpu: Nanos,
}

impl Measure {
    /// Starts.
    ///
    /// # Errors
    /// When the system does not tell what the process has used.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { cpu: usage()?.0, clock: MonotonicClock::start() })
    }

    /// Ends, and prints the report as a line of JSON.
    ///
    /// # Errors
    /// When stdout is closed, or as [`Self::start`].
    pub fn print(
        self,
        client: &'static str,
        requests: u64,
        events: u64,
        reads: u64,
    ) -> anyhow::Result<()> {
        let wall_s = self.clock.now().as_secs_f64();
        let (cpu, peak_rss_bytes) = usage()?;
        let cpu_s = cpu.since(self.cpu).as_secs_f64();
        let report = Report {
            client,
            requests,
            events,
            reads,
            wall_s,
            cpu_s,
            peak_rss_bytes,
            events_per_s: events as f64 / wall_s,
            requests_per_s: requests as f64 / wall_s,
            cpu_s_per_1000_events: 1000.0 * cpu_s / events as f64,
        };
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
        Ok(())
    }
}

/// CPU time and largest resident set of this process.
fn usage() -> anyhow::Result<(Nanos, u64)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    // Linux counts in KiB.
    Ok((Nanos(micros as u64 * 1000), usage.max_rss() as u64 * 1024))
}
