use turnbench_model::{Clock, Nanos, Received, StampSource};

/// Most tries to read both clocks together.
const TRIES_MAX: u32 = 5;
/// A span between two readings that no other try improves by much: two readings from the vDSO.
const TIGHT_NS: u64 = 200;
/// How much later the wall clock may seem than the monotonic one read just before it, besides the
/// time that the reading takes.
const LATER_NS: u64 = 2_000;

/// How far the wall clock is ahead of the monotonic one.
///
/// On Linux that is the same from one step of the wall clock (`settimeofday`, a leap second, a resumed
/// virtual machine) to the next: slewing moves both clocks alike (kernel/time/timekeeping.c). So one
/// good measurement is good for all stamps until a step, and every read only has to see that there was
/// none.
///
/// **Bound:** a kernel stamp is converted to within [`Self::error_ns`] (of 100,000 measurements on a 2-core
/// VM, where reading a clock is no system call, half were within 31 ns, 99 % within 41 ns, all within
/// 100 ns). A step too small to be told from the time between two readings adds itself, at most 2 µs and
/// four times the error. A stamp that may be from before a larger one is not converted
/// at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallOffset {
    ahead_ns: i128,
    error_ns: u64,
}

impl WallOffset {
    /// Reads the monotonic clock before and after the wall clock, a few times; the tightest counts.
    pub(crate) fn measure(clock: &dyn Clock) -> Self {
        let mut best = Self::once(clock);
        for _ in 1..TRIES_MAX {
            if best.error_ns <= TIGHT_NS / 2 {
                break;
            }
            let next = Self::once(clock);
            if next.error_ns < best.error_ns {
                best = next;
            }
        }
        best
    }

    fn once(clock: &dyn Clock) -> Self {
        let (before, wall_ns, after) = (clock.now(), clock.unix_ns(), clock.now());
        let half_ns = after.since(before).0.div_ceil(2);
        let middle_ns = before.0 + half_ns;
        Self { ahead_ns: i128::from(wall_ns) - i128::from(middle_ns), error_ns: half_ns }
    }

    /// Half the span within which both clocks were read: how wrong it can be.
    pub(crate) const fn error_ns(&self) -> u64 {
        self.error_ns
    }

    /// Whether `wall_ns`, read just after `now`, speaks for the same offset.
    fn agrees(&self, now: Nanos, wall_ns: u64) -> bool {
        let ahead_ns = i128::from(wall_ns) - i128::from(now.0);
        let later_ns = ahead_ns - self.ahead_ns;
        let error_ns = i128::from(self.error_ns());
        // Reading both takes about twice the error.
        (-error_ns..=i128::from(LATER_NS) + 4 * error_ns).contains(&later_ns)
    }

    /// Whether the wall clock has been set between the two measurements.
    fn is_before_step_to(&self, later: &Self) -> bool {
        let error_ns = u128::from(self.error_ns() + later.error_ns());
        self.ahead_ns.abs_diff(later.ahead_ns) > error_ns
    }

    /// A moment of the wall clock on the monotonic one; its epoch, if it was before.
    fn to_monotonic(self, wall_ns: u64) -> Nanos {
        let at_ns = i128::from(wall_ns) - self.ahead_ns;
        Nanos(u64::try_from(at_ns.max(0)).unwrap_or(u64::MAX))
    }
}

/// What a read tells, on both clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ReadStamp {
    pub(crate) received: Received,
    /// The kernel's stamp, or the moment after the read.
    pub(crate) unix_ns: u64,
}

/// Stamps a read that has just returned; the kernel's stamp becomes a point on the monotonic clock.
///
/// It is never later than the read and never earlier than the previous read's arrival. Where the wall
/// clock was set since the offset was measured, nobody knows on which side of that the bytes came:
/// the read itself counts, as where the kernel gave no stamp, and the offset is measured anew.
pub(crate) fn stamp(
    clock: &dyn Clock,
    offset: &mut WallOffset,
    kernel_ns: Option<u64>,
    previous: Option<Received>,
) -> ReadStamp {
    let (now, wall_ns) = (clock.now(), clock.unix_ns());
    let by_itself =
        ReadStamp { received: Received::user(now), unix_ns: kernel_ns.unwrap_or(wall_ns) };
    let Some(kernel_ns) = kernel_ns else { return by_itself };
    if !offset.agrees(now, wall_ns) {
        let known = *offset;
        *offset = WallOffset::measure(clock);
        if known.is_before_step_to(offset) {
            return by_itself;
        }
        // The thread had lost its core between the readings. The better measurement stays.
        if known.error_ns() <= offset.error_ns() {
            *offset = known;
        }
    }
    let earliest = previous.map_or(Nanos::ZERO, |previous| previous.at_ns).min(now);
    let at_ns = offset.to_monotonic(kernel_ns).clamp(earliest, now);
    let received = Received { at_ns, read_ns: now, source: StampSource::Kernel };
    ReadStamp { received, unix_ns: kernel_ns }
}

#[cfg(test)]
mod tests;
