use std::cell::RefCell;
use std::sync::Mutex;

use turnbench_model::{Clock, MonotonicClock, Nanos, Received, StampSource};

use super::{LATER_NS, WallOffset, stamp};

const WALL: u64 = 1_700_000_000_000_000_000;

/// Clocks that go on by the next of these gaps with every reading, then by 20 ns.
struct Stepping(Mutex<State>);

struct State {
    monotonic_ns: u64,
    ahead_ns: u64,
    gaps: Vec<u64>,
}

impl Stepping {
    fn at(monotonic_ns: u64, gaps_ns: &[u64]) -> Self {
        let gaps = gaps_ns.iter().rev().copied().collect();
        Self(Mutex::new(State { monotonic_ns, ahead_ns: WALL, gaps }))
    }

    fn go_on(&self) -> (u64, u64) {
        let mut state = self.0.lock().unwrap();
        state.monotonic_ns += state.gaps.pop().unwrap_or(20);
        (state.monotonic_ns, state.ahead_ns)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Clock for Stepping {
    fn now(&self) -> Nanos {
        Nanos(self.go_on().0)
    }

    fn unix_ns(&self) -> u64 {
        let (monotonic_ns, ahead_ns) = self.go_on();
        monotonic_ns + ahead_ns
    }
}

/// A stamp of bytes that arrived at 700, read at 1,000.
fn check(previous_at: Option<u64>, kernel_at: u64, expect_at: u64) {
    let clock = Stepping::at(0, &[]);
    let mut offset = WallOffset::measure(&clock);
    clock.change(|state| state.monotonic_ns = 980);
    let previous = previous_at.map(|at| Received::user(Nanos(at)));
    let stamp = stamp(&clock, &mut offset, Some(kernel_at), previous);
    assert_eq!(stamp.received.at_ns, Nanos(expect_at), "{previous_at:?} {kernel_at}");
    assert_eq!(stamp.received.read_ns, Nanos(1_000));
    assert_eq!((stamp.received.source, stamp.unix_ns), (StampSource::Kernel, kernel_at));
}

#[test]
fn a_kernel_stamp_is_converted_by_the_offset() {
    check(None, WALL + 700, 700);
    check(Some(600), WALL + 700, 700);
}

#[test]
fn a_stamp_stays_between_the_previous_arrival_and_the_read() {
    check(Some(900), WALL + 700, 900);
    check(None, WALL + 1_050, 1_000);
    check(None, 0, 0);
    check(Some(5_000), WALL + 700, 1_000);
}

#[test]
fn without_a_kernel_stamp_the_read_itself_counts() {
    let clock = Stepping::at(0, &[]);
    let mut offset = WallOffset::measure(&clock);
    let read = stamp(&clock, &mut offset, None, None);
    assert_eq!(read.received.source, StampSource::User);
    assert_eq!(read.unix_ns, WALL + read.received.read_ns.0 + 20);
}

#[test]
fn the_tightest_of_a_few_measurements_counts() {
    // Three tries of three readings: the thread loses its core in the first two.
    let clock = Stepping::at(0, &[20, 5_000_000, 20, 20, 20, 900, 20, 30, 30]);
    let offset = WallOffset::measure(&clock);
    assert_eq!((offset.ahead_ns, offset.error_ns()), (i128::from(WALL), 30));
    let slow = WallOffset::measure(&Stepping::at(0, &[400; 99]));
    assert_eq!((slow.ahead_ns, slow.error_ns()), (i128::from(WALL), 400));
}

#[test]
fn losing_the_core_between_the_readings_moves_no_stamp() {
    let clock = Stepping::at(0, &[]);
    let mut offset = WallOffset::measure(&clock);
    for lost_ns in [100, LATER_NS, 3_000, 5_000_000_000] {
        let at = clock.go_on().0;
        clock.change(|state| state.gaps = vec![lost_ns, 20]);
        let read = stamp(&clock, &mut offset, Some(WALL + at), None);
        assert_eq!((read.received.at_ns, read.received.source), (Nanos(at), StampSource::Kernel));
    }
    assert_eq!((offset.ahead_ns, offset.error_ns()), (i128::from(WALL), 20));
}

#[test]
fn a_step_of_the_wall_clock_costs_one_kernel_stamp() {
    for step_ns in [-3_600_000_000_000_i64, -10_000, 10_000, 3_600_000_000_000] {
        let clock = Stepping::at(10_000_000, &[]);
        let mut offset = WallOffset::measure(&clock);
        let stamped = RefCell::new(Vec::new());
        let mut read = || {
            let (at, ahead_ns) = clock.go_on();
            clock.change(|state| state.monotonic_ns += 300);
            let received = stamp(&clock, &mut offset, Some(at + ahead_ns), None).received;
            stamped.borrow_mut().push((received.source, received.at_ns == Nanos(at)));
        };
        read();
        clock.change(|state| state.ahead_ns = state.ahead_ns.wrapping_add_signed(step_ns));
        read();
        read();
        let kernel = (StampSource::Kernel, true);
        let expect = [kernel, (StampSource::User, false), kernel];
        assert_eq!(*stamped.borrow(), expect, "{step_ns}");
    }
}

#[test]
fn the_machines_clocks_keep_their_distance() {
    let clock = MonotonicClock::start();
    let first = WallOffset::measure(&clock);
    for _ in 0..1_000 {
        let next = WallOffset::measure(&clock);
        assert!(!first.is_before_step_to(&next), "{first:?} {next:?}");
    }
}
