use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use turnbench_metrics::Machine;

use crate::cmd::environment::{environment, read_trimmed};
use crate::cmd::file_limit::FileLimit;

/// This machine, as far as the system tells.
pub(super) fn machine() -> Machine {
    let known = environment(0);
    let files = FileLimit::current();
    let clock_source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    Machine {
        cpu_model: known.cpu_model,
        cpu_cores: known.cpu_cores,
        kernel: known.kernel,
        cpu_limit_cores: cpu_limit(),
        governors: governors(),
        clock_source: read_trimmed(clock_source),
        file_limit_soft: files.map(|files| files.soft),
        file_limit_hard: files.map(|files| files.hard),
        files_max: files.map(FileLimit::most),
        local_ports: read_trimmed("/proc/sys/net/ipv4/ip_local_port_range")
            .and_then(|range| ports_of(&range)),
    }
}

/// The tightest CPU limit of this process's control group and of those above it, in cores.
fn cpu_limit() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let folders = Path::new(own).ancestors().map(|folder| root.join(folder));
    let limits =
        folders.filter_map(|folder| limit_of(&fs::read_to_string(folder.join("cpu.max")).ok()?));
    limits.min_by(f64::total_cmp)
}

/// `cpu.max` of a control group: quota and period in µs; `max` is no limit.
fn limit_of(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

fn governors() -> Vec<String> {
    let Ok(cores) = fs::read_dir("/sys/devices/system/cpu") else { return Vec::new() };
    let governor = |core: fs::DirEntry| {
        let path = core.path().join("cpufreq/scaling_governor");
        read_trimmed(path.to_str()?)
    };
    let all: BTreeSet<String> = cores.flatten().filter_map(governor).collect();
    all.into_iter().collect()
}

/// How many ports there are between the first and the last one.
fn ports_of(range: &str) -> Option<u32> {
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(last.checked_sub(first)? + 1)
}

#[cfg(test)]
mod tests {
    use super::{limit_of, ports_of};

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        assert_eq!(limit_of("150000 100000\n"), Some(1.5));
        assert_eq!(limit_of("max 100000\n"), None);
        assert_eq!(limit_of(""), None);
        assert_eq!(ports_of("32768\t60999"), Some(28_232));
        assert_eq!(ports_of("60999 32768"), None);
    }
}
