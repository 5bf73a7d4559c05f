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
    pub(crate) apart: Apart,
}

/// What two cores have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Apart {
    /// Each is a physical core.
    Cores,
    /// They are two threads of one.
    Threads,
    /// The system does not tell.
    Unknown,
    /// There is one alone.
    Same,
}

impl Cores {
    /// Two of those that this process may use.
    pub(crate) fn of_machine() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
        let allowed = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        Self::of(&allowed.collect::<Vec<_>>(), threads_beside).context("no core to run on")
    }

    /// The first, and the next that is no other thread of the same physical core; if there is none,
    /// the next; if there is one core alone it serves both.
    fn of(allowed: &[usize], threads: impl Fn(usize) -> Option<Vec<usize>>) -> Option<Self> {
        let (&source, others) = allowed.split_first()?;
        let Some(&next) = others.first() else {
            return Some(Self { source, client: source, apart: Apart::Same });
        };
        let Some(threads) = threads(source) else {
            return Some(Self { source, client: next, apart: Apart::Unknown });
        };
        Some(match others.iter().find(|core| !threads.contains(core)) {
            Some(&client) => Self { source, client, apart: Apart::Cores },
            None => Self { source, client: next, apart: Apart::Threads },
        })
    }

    /// One sentence for people, without its full stop.
    pub(crate) fn shown(self) -> String {
        let Self { source, client, apart } = self;
        let two = format!("Source on core {source}, client on core {client}");
        match apart {
            Apart::Cores => two,
            Apart::Threads => format!(
                "{two}, **two threads of one physical core**, as there is no other: they slow each \
                 other"
            ),
            Apart::Unknown => {
                format!("{two} (whether on one physical core, the system does not tell)")
            }
            Apart::Same => format!(
                "Source and client **share core {source}**, as there is no other: times are of no \
                 use, ratios of little"
            ),
        }
    }
}

/// The threads of a core's physical core, as the system tells them, itself among them.
fn threads_beside(core: usize) -> Option<Vec<usize>> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    core_list(fs::read_to_string(path).ok()?.trim())
}

/// Reads a list such as `0,4-6`.
fn core_list(text: &str) -> Option<Vec<usize>> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    Some(ranges?.into_iter().flatten().collect())
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
    use super::{Apart, Cores, core_list};

    fn check(allowed: &[usize], threads: Option<&[usize]>, client: usize, apart: Apart) {
        let cores = Cores::of(allowed, |_| threads.map(<[usize]>::to_vec)).unwrap();
        assert_eq!(cores, Cores { source: allowed[0], client, apart });
    }

    #[test]
    fn source_and_client_have_physical_cores_of_their_own_where_there_are_two() {
        check(&[0, 1, 2, 3], Some(&[0, 1]), 2, Apart::Cores);
        check(&[1, 5, 6], Some(&[1]), 5, Apart::Cores);
        check(&[0, 4], Some(&[0, 4]), 4, Apart::Threads);
        check(&[0, 4], None, 4, Apart::Unknown);
        check(&[3], Some(&[3]), 3, Apart::Same);
        assert_eq!(Cores::of(&[], |_| None), None);
    }

    #[test]
    fn a_poor_choice_is_said() {
        let shown = |apart| Cores { source: 3, client: 7, apart }.shown();
        assert_eq!(shown(Apart::Cores), "Source on core 3, client on core 7");
        assert!(shown(Apart::Threads).contains("two threads of one physical core"));
        assert!(shown(Apart::Same).contains("share core 3"));
    }

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(core_list("0,4-6"), Some(vec![0, 4, 5, 6]));
        assert_eq!(core_list("2"), Some(vec![2]));
        assert_eq!(core_list(""), None);
    }
}
