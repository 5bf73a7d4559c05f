use turnbench_metrics::ClockQuality;
use turnbench_model::Clock;

/// Reads of the clock.
const READS: u32 = 100_000;

/// Reads the clock many times: its smallest step, and what a read costs.
pub(super) fn quality(clock: &dyn Clock) -> ClockQuality {
    let start = clock.now();
    let (mut last, mut step) = (start, u64::MAX);
    for _ in 0..READS {
        let now = clock.now();
        if now > last {
            step = step.min(now.since(last).0);
        }
        last = now;
    }
    ClockQuality {
        resolution_ns: if step == u64::MAX { 0 } else { step },
        read_cost_ns: last.since(start).0 as f64 / f64::from(READS),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use turnbench_model::{Clock, Nanos};

    use super::{READS, quality};

    /// Moves by 40 ns every second read.
    struct Coarse(AtomicU64);

    impl Clock for Coarse {
        fn now(&self) -> Nanos {
            Nanos(self.0.fetch_add(1, Ordering::Relaxed) / 2 * 40)
        }

        fn unix_ns(&self) -> u64 {
            0
        }
    }

    #[test]
    fn the_step_is_the_smallest_that_is_not_zero() {
        let quality = quality(&Coarse(AtomicU64::new(0)));
        assert_eq!(quality.resolution_ns, 40);
        assert_eq!(quality.read_cost_ns, f64::from(READS / 2 * 40) / f64::from(READS));
    }
}
