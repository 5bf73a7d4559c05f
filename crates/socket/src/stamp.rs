use turnbench_model::{Clock, Nanos, Received, StampSource};

/// Turns a kernel stamp (wall clock) into a point on the run's monotonic clock.
///
/// The two clocks are read once, together, after the read: `at = now - (wall now - stamp)`. A stamp
/// is never later than the read and never earlier than the previous read's arrival, so a step of the
/// wall clock between arrival and read cannot put it outside the span in which it must lie.
pub(crate) fn received(
    now: Nanos,
    wall_now_ns: u64,
    kernel_ns: Option<u64>,
    previous: Option<Received>,
) -> Received {
    let Some(kernel_ns) = kernel_ns else { return Received::user(now) };
    let earliest = previous.map_or(Nanos::ZERO, |previous| previous.at_ns).min(now);
    let at = now.since(Nanos(wall_now_ns.saturating_sub(kernel_ns))).max(earliest);
    Received { at_ns: at, read_ns: now, source: StampSource::Kernel }
}

/// [`received`], with the clocks of `clock`.
pub(crate) fn stamp(
    clock: &dyn Clock,
    kernel_ns: Option<u64>,
    previous: Option<Received>,
) -> (Received, u64) {
    let wall_now_ns = clock.unix_ns();
    let now = clock.now();
    (received(now, wall_now_ns, kernel_ns, previous), kernel_ns.unwrap_or(wall_now_ns))
}

#[cfg(test)]
mod tests {
    use super::received;
    use turnbench_model::{Nanos, Received, StampSource};

    const WALL: u64 = 1_700_000_000_000_000_000;

    fn check(kernel_age_ns: i64, previous_at: Option<u64>, expect_at: u64) {
        let previous = previous_at.map(|at| Received::user(Nanos(at)));
        let kernel = Some(WALL.wrapping_add_signed(-kernel_age_ns));
        let stamp = received(Nanos(1_000), WALL, kernel, previous);
        assert_eq!(stamp.at_ns, Nanos(expect_at), "{kernel_age_ns} {previous_at:?}");
        assert_eq!((stamp.read_ns, stamp.source), (Nanos(1_000), StampSource::Kernel));
    }

    #[test]
    fn a_kernel_stamp_lies_as_far_back_as_the_wall_clock_says() {
        check(300, None, 700);
        check(300, Some(600), 700);
    }

    #[test]
    fn a_stamp_stays_between_the_previous_arrival_and_the_read() {
        check(300, Some(900), 900);
        check(-50, None, 1_000);
        check(WALL as i64, None, 0);
        check(300, Some(5_000), 1_000);
    }

    #[test]
    fn without_a_kernel_stamp_the_read_itself_counts() {
        let stamp = received(Nanos(5), WALL, None, None);
        assert_eq!(stamp, Received::user(Nanos(5)));
    }
}
