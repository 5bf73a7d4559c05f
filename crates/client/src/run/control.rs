use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;
use turnbench_load::{Driver, StopSwitch};

/// The means to stop a run from outside, and what it has planned.
#[derive(Debug)]
pub struct Control {
    stop: StopSwitch,
    is_cut: AtomicBool,
    /// Tells the shards that something has changed for those who wait.
    news: Notify,
    /// Requests of the current phase, as planned when it began.
    planned: AtomicU64,
}

impl Control {
    /// Control over the run that `driver` directs.
    pub fn new(driver: &Driver) -> Arc<Self> {
        Arc::new(Self {
            stop: driver.stop_switch(),
            is_cut: AtomicBool::new(false),
            news: Notify::new(),
            planned: AtomicU64::new(driver.planned_requests()),
        })
    }

    /// Sends nothing more; what is in flight goes on.
    pub fn stop(&self) {
        self.stop.stop();
        self.tell_shards();
    }

    /// Cuts off what is in flight.
    pub fn cut(&self) {
        self.stop.stop();
        self.is_cut.store(true, Ordering::SeqCst);
        self.tell_shards();
    }

    /// Whether [`Control::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    /// Whether [`Control::cut`] was called.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    /// Requests of the current phase if none fails.
    pub fn planned_requests(&self) -> u64 {
        self.planned.load(Ordering::Relaxed)
    }

    /// Takes over what `driver` has planned for the phase that begins.
    pub(crate) fn plan_phase(&self, driver: &Driver) {
        self.planned.store(driver.planned_requests(), Ordering::Relaxed);
    }

    /// Has everyone who waits for a time ask again. Costs a wake-up of each: only for what happens
    /// once in a run.
    pub(crate) fn tell_shards(&self) {
        self.news.notify_waiters();
    }

    /// What is notified by [`Control::tell_shards`].
    pub(crate) const fn news(&self) -> &Notify {
        &self.news
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use turnbench_load::{ConversationShape, Driver};
    use turnbench_model::{Compat, LoadPlan, Sampling};

    /// One client with one turn to send.
    pub(crate) fn driver() -> Driver {
        let plan = LoadPlan {
            num_clients: 1,
            max_active_conversations: 1,
            max_num_requests: None,
            max_turns: None,
            early_stop: false,
            request_rate: 0.0,
            max_retries: 0,
            sampling: Sampling::RoundRobin,
            warmup_step: false,
            seed: 0,
            compat: Compat::None,
        };
        Driver::new(&plan, vec![ConversationShape::plain(1)]).unwrap()
    }
}
