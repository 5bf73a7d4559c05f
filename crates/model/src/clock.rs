use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Nanos;

/// Where time comes from. Everything below the rim takes a clock or a [`Nanos`] as an argument.
pub trait Clock: Send + Sync {
    /// Monotonic time since the run's epoch.
    fn now(&self) -> Nanos;

    /// Wall-clock time in nanoseconds since the Unix epoch; it may step.
    fn unix_ns(&self) -> u64;
}

/// The machine's clocks. **Invariant:** the only place in the workspace that reads time.
#[derive(Debug)]
pub struct MonotonicClock {
    epoch: Instant,
}

impl MonotonicClock {
    /// A clock whose epoch is this moment.
    #[allow(clippy::disallowed_methods, reason = "the one place where time is read")]
    pub fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// The [`Instant`] at `at`, for timers of an async runtime.
    pub fn instant(&self, at: Nanos) -> Instant {
        self.epoch + Duration::from_nanos(at.0)
    }
}

impl Clock for MonotonicClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where time is read")]
    fn now(&self) -> Nanos {
        Nanos(Instant::now().duration_since(self.epoch).as_nanos() as u64)
    }

    #[allow(clippy::disallowed_methods, reason = "the one place where time is read")]
    fn unix_ns(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }
}

/// A clock that moves only when told to, for tests and simulation.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicU64,
}

impl ManualClock {
    /// Sets the time.
    pub fn set(&self, now: Nanos) {
        self.now.store(now.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::Relaxed))
    }

    fn unix_ns(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}
