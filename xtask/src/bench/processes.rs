//! The processes below another one, as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// All processes below `root`, itself not among them.
pub(crate) fn below(root: u32) -> Vec<u32> {
    descendants(root, &parents())
}

/// Every process's parent.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        Some((id, parent(&stat)?))
    })
    .collect()
}

/// The parent in a line of `/proc/<id>/stat`: the second field after the name, which is in brackets
/// and may contain anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn descendants(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        let children = parents.iter().filter(|&(_, &parent)| parent == process);
        found.extend(children.map(|(&child, _)| child));
        next += 1;
    }
    found.remove(0);
    found
}

/// Memory of processes in bytes, what they share counted once (their proportional set sizes).
pub(crate) fn memory_bytes(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
        pss_bytes(&text)
    };
    processes.iter().filter_map(of).sum()
}

fn pss_bytes(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Time on a core that a process has used so far, in seconds; absent when it is gone.
pub(crate) fn cpu_s(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    let nanos: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// Ends processes at once.
pub(crate) fn end(processes: &[u32]) {
    for &process in processes {
        // One that is gone already needs no ending.
        let _ = kill(Pid::from_raw(process as i32), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::{descendants, parent, pss_bytes};

    #[test]
    fn descendants_are_found_over_any_distance() {
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (9, 8)].into_iter().collect();
        assert_eq!(descendants(2, &parents), [3, 4]);
        assert_eq!(descendants(1, &parents), [2, 5, 3, 4]);
        assert!(descendants(7, &parents).is_empty());
    }

    #[test]
    fn lines_of_proc_are_read() {
        assert_eq!(parent("12 (a) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12"), None);
        assert_eq!(
            pss_bytes("00 [rollup]\nRss:  9 kB\nPss:     3 kB\nPss_Anon: 1 kB\n"),
            Some(3072)
        );
        assert_eq!(pss_bytes("Rss: 9 kB\n"), None);
    }
}
