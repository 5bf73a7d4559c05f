use nix::sys::resource::{Resource, getrlimit, setrlimit};
use turnbench_metrics::{RAISE_HARD_FILE_LIMIT, SPARE_FILES};

use super::environment::read_trimmed;
use crate::exit::Exit;

/// How many files (sockets) the process may open (`ulimit -n`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileLimit {
    /// Now.
    pub soft: u64,
    /// Up to which every process may raise that; beyond it only a privileged one.
    pub hard: u64,
}

impl FileLimit {
    /// That of this process; `None` where the system does not tell.
    pub(crate) fn current() -> Option<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        Some(Self { soft, hard })
    }

    fn set(self) -> bool {
        setrlimit(Resource::RLIMIT_NOFILE, self.soft, self.hard).is_ok()
    }

    /// Up to which [`allow`] gets: the hard limit, or the kernel's where the process may raise it.
    pub(crate) fn most(self) -> u64 {
        let kernel = read_trimmed("/proc/sys/fs/nr_open").and_then(|most| most.parse().ok());
        let Some(kernel) = kernel.filter(|&kernel| kernel > self.hard) else { return self.hard };
        // Whether it may is known only by trying: a container's root often may not.
        let may = Self { soft: self.soft, hard: kernel }.set();
        if may && self.set() { kernel } else { self.hard }
    }
}

/// Lets the process open as many files as its hard limit allows; gives that number.
pub(crate) fn raise() -> u64 {
    let Some(limit) = FileLimit::current() else { return u64::MAX };
    let raised = limit.soft < limit.hard && FileLimit { soft: limit.hard, ..limit }.set();
    if raised { limit.hard } else { limit.soft }
}

/// Lets the process open `wanted` files, beyond its hard limit too where it has the right
/// (`CAP_SYS_RESOURCE`); gives how many it may open then.
pub(crate) fn allow(wanted: u64) -> u64 {
    let files = raise();
    let Some(limit) = FileLimit::current().filter(|_| files < wanted) else { return files };
    let raised = FileLimit { soft: wanted, hard: limit.hard.max(wanted) }.set();
    if raised { wanted } else { files }
}

/// Refuses more clients than there can be sockets.
pub(crate) fn check(clients: u32) -> Result<(), Exit> {
    let before = FileLimit::current();
    let wanted = u64::from(clients) + SPARE_FILES;
    let files = allow(wanted);
    let Some(before) = before.filter(|_| files < wanted) else { return Ok(()) };
    let hint = if before.hard < wanted {
        RAISE_HARD_FILE_LIMIT.to_owned()
    } else {
        format!("raise the limit: `ulimit -n {wanted}`")
    };
    Err(Exit::usage(format!(
        "--num-clients is {clients}, but this process may open {files} files (`ulimit -Sn`: {}, \
         `ulimit -Hn`: {}), enough for {} clients\nhint: {hint}",
        before.soft,
        before.hard,
        files.saturating_sub(SPARE_FILES),
    )))
}

#[cfg(test)]
mod tests {
    use super::FileLimit;

    #[test]
    fn asking_for_the_most_changes_nothing() {
        let before = FileLimit::current().unwrap();
        assert!(before.most() >= before.hard);
        assert_eq!(FileLimit::current().unwrap(), before);
    }
}
