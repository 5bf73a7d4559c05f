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
///
/// Who looks at the clock gives way after each look, so that this takes idle time only; how much is
/// counted, for whoever asks how busy the thread was.
pub(crate) struct Pacer {
    clock: Arc<dyn Clock>,
    timer: Timer,
    /// What the timer is set to; the end of time when it is not set.
    set_to: Cell<Nanos>,
    waiting: RefCell<BinaryHeap<Reverse<Waiting>>>,
    /// When the clock was last looked at for the rest of a time, by whomever.
    looked_at: Cell<Nanos>,
    spun: Cell<Nanos>,
}

/// A task that waits for a moment.
struct Waiting {
    at: Nanos,
    waker: Waker,
}

const NEVER: Nanos = Nanos(u64::MAX);

/// Most time between two looks at the clock in which nobody else has worked.
///
/// NOTE(perf): on an idle 2-core VM 0.4 µs, 0.6 µs at p99 (a look, and the runtime's at its sockets);
/// to read one event takes 3 µs there.
const LOOKS_APART_MAX: Nanos = Nanos(1_000);

impl Pacer {
    /// A pacer for tasks on this thread, inside a runtime.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_timer(clock, Timer::new())
    }

    /// A pacer with a timer of its own.
    pub(crate) fn with_timer(clock: Arc<dyn Clock>, timer: Timer) -> Self {
        Self {
            clock,
            timer,
            set_to: Cell::new(NEVER),
            waiting: RefCell::default(),
            looked_at: Cell::new(NEVER),
            spun: Cell::default(),
        }
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
        while self.look() < at {
            tokio::task::yield_now().await;
        }
    }

    /// Time in which the thread did nothing but look at the clock, so far: what several waited for
    /// at once counts once, and not what others did in between.
    pub(crate) const fn spun(&self) -> Nanos {
        self.spun.get()
    }

    /// What time it is.
    fn look(&self) -> Nanos {
        let now = self.clock.now();
        let apart = now.since(self.looked_at.replace(now));
        if apart <= LOOKS_APART_MAX {
            self.spun.set(self.spun.get() + apart);
        }
        now
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
    use std::sync::atomic::{AtomicU64, Ordering};

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

    /// A clock that moves on by 0.4 µs with every look, and when told to.
    struct LookingTakesTime(AtomicU64);

    impl LookingTakesTime {
        const LOOK: Nanos = Nanos(400);

        fn pass(&self, span: Nanos) -> Nanos {
            Nanos(self.0.fetch_add(span.0, Ordering::Relaxed) + span.0)
        }
    }

    impl Clock for LookingTakesTime {
        fn now(&self) -> Nanos {
            self.pass(Self::LOOK)
        }

        fn unix_ns(&self) -> u64 {
            self.now().0
        }
    }

    /// What is counted of waiting for these moments, in ns from now, while others work three times
    /// that long.
    fn spun(moments: &[u64], work: Nanos) -> u64 {
        let spun = std::cell::Cell::new(0);
        block_on(async {
            let clock = Arc::new(LookingTakesTime(AtomicU64::new(1_000_000_000)));
            let pacer = Pacer::new(clock.clone());
            let start = clock.now();
            let worker = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    clock.pass(work);
                }
            };
            let sleeping = moments.iter().map(|&ns| pacer.sleep_until(start + Nanos(ns)));
            let sleeping = sleeping.collect::<FuturesUnordered<_>>().collect::<()>();
            tokio::join!(sleeping, worker);
            spun.set(pacer.spun().0);
        });
        spun.get()
    }

    #[test]
    fn what_several_wait_for_is_counted_once_and_without_what_others_do() {
        let about = |spun: u64, expect: u64| {
            assert!(spun.abs_diff(expect) <= 3_000, "{spun} ns, not about {expect}");
        };
        about(spun(&[40_000], Nanos::ZERO), 40_000);
        about(spun(&[40_000, 39_000, 20_000, 1_000], Nanos::ZERO), 40_000);
        about(spun(&[40_000, 39_000], Nanos(7_000)), 40_000 - 3 * 7_000);
        assert_eq!(spun(&[0], Nanos::ZERO), 0, "nothing to wait for");
    }
}
