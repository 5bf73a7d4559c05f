use std::fs;
use std::process::Command;

use anyhow::Context;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cores that the benchmark uses, of those that this process may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cores {
    /// For the source of events and this program.
    pub(crate) source: usize,
    /// For the client that is measured.
    pub(crate) client: usize,
}

impl Cores {
    /// The first two cores; with one core alone it serves both.
    pub(crate) fn of_machine() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
        let allowed = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        Self::of(allowed).context("no core to run on")
    }

    fn of(mut allowed: impl Iterator<Item = usize>) -> Option<Self> {
        let source = allowed.next()?;
        Some(Self { source, client: allowed.next().unwrap_or(source) })
    }

    pub(crate) fn are_two(self) -> bool {
        self.source != self.client
    }

    /// One sentence for people.
    pub(crate) fn shown(self) -> String {
        let Self { source, client } = self;
        if self.are_two() {
            format!("Source on core {source}, client on core {client}")
        } else {
            format!(
                "Source and client **share core {source}**, as there is no other: times are of no \
                 use, ratios of little"
            )
        }
    }
}

/// Binds this process, and what it starts from now on, to a core.
pub(crate) fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot run on core {core}"))
}

/// Processor, cores and kernel of this machine.
pub(crate) fn description() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name.trim());
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{processor}, {count} cores, Linux {}", kernel.trim())
}

/// Runnable tasks over the last minute.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// Today's date, in UTC.
pub(crate) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(
        |_| "unknown date".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::Cores;

    #[test]
    fn one_core_serves_both() {
        assert_eq!(Cores::of([].into_iter()), None);
        let one = Cores::of([3].into_iter()).unwrap();
        assert!(!one.are_two());
        assert!(one.shown().contains("share core 3"));
        let two = Cores::of([1, 5, 6].into_iter()).unwrap();
        assert_eq!(two, Cores { source: 1, client: 5 });
    }
}
