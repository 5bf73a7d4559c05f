use std::time::Duration;

use turnbench_model::{Clock, Nanos};

/// How long before the moment the timer hands over to spinning. The runtime's timer counts in whole
/// milliseconds and rounds up, so a sleep ends up to 1 ms, here and there 1.1 ms, too late.
const SPIN: Nanos = Nanos(1_200_000);
/// Looks at a clock that stands still before it is taken for a simulated one.
const STILL_LOOKS_MAX: u32 = 1_000;

/// Waits until `at`, to within microseconds unless the thread is busy: the timer until shortly before,
/// then looking at the clock while other tasks go on. Returns at once when `at` is past.
///
/// Takes up to 1.2 ms of the thread's idle time. It is never early; how late it was is for the
/// caller to read from the clock.
pub async fn sleep_until(clock: &dyn Clock, at: Nanos) {
    let mut now = clock.now();
    if at.since(now) > SPIN {
        tokio::time::sleep(Duration::from_nanos((at - SPIN).since(now).0)).await;
    }
    let mut still_looks = 0;
    loop {
        let before = std::mem::replace(&mut now, clock.now());
        if now >= at {
            return;
        }
        still_looks = if now == before { still_looks + 1 } else { 0 };
        if still_looks > STILL_LOOKS_MAX {
            // Simulated time moves only while everyone sleeps.
            tokio::time::sleep(Duration::from_nanos(at.since(now).0)).await;
            still_looks = 0;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use turnbench_model::{Clock, MonotonicClock, Nanos};

    use super::sleep_until;

    struct TokioClock(tokio::time::Instant);

    impl Clock for TokioClock {
        fn now(&self) -> Nanos {
            Nanos(tokio::time::Instant::now().duration_since(self.0).as_nanos() as u64)
        }

        fn unix_ns(&self) -> u64 {
            self.now().0
        }
    }

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn it_is_never_early_and_past_moments_return_at_once() {
        block_on(async {
            let clock = MonotonicClock::start();
            for millis in [0, 1, 3] {
                let at = clock.now() + Nanos::from_millis(millis);
                sleep_until(&clock, at).await;
                assert!(clock.now() >= at);
            }
            sleep_until(&clock, Nanos::ZERO).await;
        });
    }

    #[test]
    fn other_tasks_go_on_while_it_spins() {
        block_on(async {
            let clock = MonotonicClock::start();
            let turns = Cell::new(0);
            let others = async {
                loop {
                    turns.set(turns.get() + 1);
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = sleep_until(&clock, clock.now() + Nanos(1_000_000)) => {}
                () = others => {}
            }
            assert!(turns.get() > 1, "{}", turns.get());
        });
    }

    #[test]
    fn simulated_time_is_let_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::time::pause();
            let clock = TokioClock(tokio::time::Instant::now());
            sleep_until(&clock, Nanos::from_millis(5_000)).await;
            let late = clock.now() - Nanos::from_millis(5_000);
            assert!(late < Nanos::from_millis(2), "{late:?}");
        });
    }
}
