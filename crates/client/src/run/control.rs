use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use turnbench_load::{AfterAttempt, AttemptEnd, Driver, LoadSummary, Step, Ticket};
use turnbench_model::Nanos;

use crate::{Cancel, Canceller};

/// The run's driver, shared by all shards, and the means to stop the run from outside.
///
/// **Invariant:** the lock is held for one call of the driver, never across an await; it is taken
/// twice per attempt, never per event.
#[derive(Debug)]
pub struct Control {
    driver: Mutex<Driver>,
    /// Wakes clients that wait for a time, so that they ask the driver again.
    wake: Notify,
    canceller: Canceller,
    cancel: Cancel,
    stopped: AtomicBool,
    /// Requests of the current phase, as planned when it began.
    planned: AtomicU64,
}

impl Control {
    /// Control over a run that `driver` directs.
    pub fn new(driver: Driver) -> Arc<Self> {
        let (canceller, cancel) = Canceller::new();
        let planned = AtomicU64::new(driver.planned_requests());
        Arc::new(Self {
            planned,
            driver: Mutex::new(driver),
            wake: Notify::new(),
            canceller,
            cancel,
            stopped: AtomicBool::new(false),
        })
    }

    /// Sends nothing more; what is in flight goes on.
    pub fn stop(&self) {
        self.driver().stop();
        self.stopped.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// Cuts off what is in flight.
    pub fn cut(&self) {
        self.stop();
        self.canceller.cancel();
    }

    /// Whether [`Control::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// What is cancelled by [`Control::cut`].
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Requests of the current phase if none fails.
    pub fn planned_requests(&self) -> u64 {
        self.planned.load(Ordering::Relaxed)
    }

    pub(crate) fn next(&self, client: u32, now: Nanos) -> Step {
        let step = self.driver().next(client, now);
        if step == Step::Done {
            // With early stop the others leave too: whoever waits asks again.
            self.wake.notify_waiters();
        }
        step
    }

    pub(crate) fn finish(&self, ticket: &Ticket, end: AttemptEnd<'_>, now: Nanos) -> AfterAttempt {
        self.driver().finish(ticket, end, now)
    }

    pub(crate) fn begin_main(&self) -> LoadSummary {
        let mut driver = self.driver();
        let summary = driver.begin_main();
        self.planned.store(driver.planned_requests(), Ordering::Relaxed);
        summary
    }

    pub(crate) fn summary(&self) -> LoadSummary {
        self.driver().summary()
    }

    /// What is notified when clients that wait should ask the driver again.
    pub(crate) const fn wake(&self) -> &Notify {
        &self.wake
    }

    fn driver(&self) -> MutexGuard<'_, Driver> {
        // A panic elsewhere must not lose the run: the driver's calls don't leave it half-changed.
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
