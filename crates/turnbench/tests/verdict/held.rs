//! One thread of a client that is held, or gives way, while the others go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A thread that stands still until it is let go. The test's thread that holds it is the one that lets
/// it go.
pub(crate) struct HeldThread {
    thread: Pid,
}

impl HeldThread {
    /// Holds the thread of this name; `None`, with a notice, where nobody may hold another process'
    /// threads (Yama's `ptrace_scope`, some containers).
    pub(crate) fn of(process: u32, name: &str) -> Option<Self> {
        let thread = Pid::from_raw(thread_id(process, name).parse().unwrap());
        match ptrace::seize(thread, Options::empty()) {
            Err(errno @ (Errno::EPERM | Errno::ENOSYS)) => {
                notice(&format!("not tested: a thread cannot be held here ({errno})"));
                return None;
            }
            seized => seized.unwrap(),
        }
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        Some(Self { thread })
    }

    pub(crate) fn let_go(self) {
        ptrace::detach(self.thread, None).unwrap();
    }
}

#[allow(clippy::print_stderr, reason = "whoever runs the tests is to see it")]
fn notice(text: &str) {
    eprintln!("{text}");
}

/// Makes the thread of this name let all others go first.
pub(crate) fn be_nice(process: u32, name: &str) {
    let mut renice = std::process::Command::new("renice");
    renice.args(["-n", "19", "-p", &thread_id(process, name)]).stdout(std::process::Stdio::null());
    assert!(renice.status().unwrap().success());
}

/// Waits until the thread of this name sleeps and has used no CPU time for half a second.
pub(crate) fn wait_until_blocked(process: u32, name: &str) {
    let folder = thread_folder(process, name);
    let (mut before, mut same) = (String::new(), 0);
    // A minute at most.
    for _ in 0..600 {
        std::thread::park_timeout(Duration::from_millis(100));
        let now = state_and_cpu(&folder);
        same = if now.starts_with('S') && now == before { same + 1 } else { 0 };
        before = now;
        if same == 5 {
            return;
        }
    }
    panic!("{name} was never blocked");
}

/// State, and ticks in user mode and in the kernel.
fn state_and_cpu(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("stat")).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    format!("{} {} {}", fields[0], fields[11], fields[12])
}

fn thread_id(process: u32, name: &str) -> String {
    thread_folder(process, name).file_name().unwrap().to_str().unwrap().to_owned()
}

fn thread_folder(process: u32, name: &str) -> PathBuf {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let is_it = |folder: &PathBuf| {
        std::fs::read_to_string(folder.join("comm")).is_ok_and(|found| found.trim() == name)
    };
    threads.map(|thread| thread.unwrap().path()).find(is_it).expect("a thread of this name")
}
