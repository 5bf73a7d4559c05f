//! Threads that leave a core no time for others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::sched_setaffinity;
use nix::unistd::Pid;

use super::replay::one_core;

/// Threads on the core.
const THREADS: usize = 6;

/// Burns one core for a while, or until dropped.
pub(crate) struct Burner {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Burner {
    /// Starts on the core of `Running::pin_to_one_core`.
    pub(crate) fn start(span: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let burn = |stop: Arc<AtomicBool>| {
            std::thread::spawn(move || {
                sched_setaffinity(Pid::from_raw(0), &one_core()).unwrap();
                #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
                let start = Instant::now();
                while !stop.load(Ordering::Relaxed) && start.elapsed() < span {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..THREADS).map(|_| burn(Arc::clone(&stop))).collect();
        Self { stop, threads }
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
