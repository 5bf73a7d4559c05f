use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use turnbench_model::{Clock, Nanos};

use crate::timer::Timer;

/// Wakes the tasks of one thread at given moments, to within microseconds unless the thread is busy.
///
/// A timer ends a little early and the task looks at the clock for the rest, at most
/// [`Timer::early`] for each moment waited for; other tasks go on meanwhile. It is never early; how
/// late it was is for the caller to read from the clock.
pub(crate) struct Pacer {
    clock: Arc<dyn Clock>,
    timer: Timer,
    /// What the timer is set to; the end of time when it is not set.
    set_to: Cell<Nanos>,
    waiting: RefCell<BinaryHeap<Reverse<Waiting>>>,
}

/// A task that waits for a moment.
struct Waiting {
    at: Nanos,
    waker: Waker,
}

const NEVER: Nanos = Nanos(u64::MAX);

impl Pacer {
    /// A pacer for tasks on this thread, inside a runtime.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, timer: Timer::new(), set_to: Cell::new(NEVER), waiting: RefCell::default() }
    }

    /// Waits until `at`; returns at once when it is past. Somebody must be polling [`Pacer::run`].
    pub(crate) async fn sleep_until(&self, at: Nanos) {
        let wake_at = at.since(self.timer.early());
        let mut registered = false;
        poll_fn(|context| {
            if self.clock.now() >= wake_at {
                return Poll::Ready(());
            }
            // A waker is good for the task's whole life, which is all that this future sees.
            if !std::mem::replace(&mut registered, true) {
                let waker = context.waker().clone();
                self.waiting.borrow_mut().push(Reverse(Waiting { at: wake_at, waker }));
                self.set(wake_at);
            }
            Poll::Pending
        })
        .await;
        while self.clock.now() < at {
            tokio::task::yield_now().await;
        }
    }

    /// Wakes whoever's moment has come, for ever.
    pub(crate) async fn run(&self) {
        loop {
            self.timer.expired().await;
            self.set_to.set(NEVER);
            let now = self.clock.now();
            let mut waiting = self.waiting.borrow_mut();
            while let Some(Reverse(first)) = waiting.peek() {
                if first.at > now {
                    self.set(first.at);
                    break;
                }
                if let Some(Reverse(first)) = waiting.pop() {
                    first.waker.wake();
                }
            }
        }
    }

    /// Sets the timer, unless it ends before that anyway.
    fn set(&self, at: Nanos) {
        if at < self.set_to.get() {
            self.set_to.set(at);
            self.timer.set(at.since(self.clock.now()));
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::stream::{FuturesUnordered, StreamExt};
    use turnbench_model::{Clock, MonotonicClock, Nanos};

    use super::Pacer;

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn everybody_is_woken_and_nobody_early() {
        block_on(async {
            let clock = Arc::new(MonotonicClock::start());
            let pacer = Pacer::new(clock.clone());
            let (pacer, clock) = (&pacer, &clock);
            let start = clock.now();
            let sleep = |micros: u64| async move {
                let at = start + Nanos(micros * 1_000);
                pacer.sleep_until(at).await;
                clock.now() >= at
            };
            let sleeping: FuturesUnordered<_> =
                [9_000, 0, 4_000, 1, 30_000, 8_990].into_iter().map(sleep).collect();
            tokio::select! {
                punctual = sleeping.collect::<Vec<_>>() => assert_eq!(punctual, [true; 6]),
                () = pacer.run() => {}
            }
        });
    }

    #[test]
    fn who_no_longer_waits_holds_nobody_up() {
        block_on(async {
            let clock = Arc::new(MonotonicClock::start());
            let pacer = Pacer::new(clock.clone());
            let at = |millis| clock.now() + Nanos::from_millis(millis);
            let sleeping = async {
                tokio::select! {
                    biased;
                    () = tokio::task::yield_now() => {}
                    () = pacer.sleep_until(at(5)) => {}
                }
                let later = at(10);
                pacer.sleep_until(later).await;
                assert!(clock.now() >= later);
            };
            tokio::select! {
                () = sleeping => {}
                () = pacer.run() => {}
            }
        });
    }
}
