use std::collections::VecDeque;

use turnbench_model::Nanos;

/// One direction of a tier: transfers that run at the same time share its speed equally.
///
/// **Invariant:** its state changes only when a transfer is added, has waited for its latency, or
/// ends, each at that moment's own time; so it does not matter how often, or when, it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Lane<T> {
    bytes_per_ns: f64,
    latency: Nanos,
    /// Bytes that each running transfer has moved since the lane was last idle, or would have moved
    /// had it been running since then; as of `now`.
    moved: f64,
    now: Nanos,
    /// Wait for their latency, in the order of their ends of waiting.
    waiting: VecDeque<(Nanos, Transfer<T>)>,
    /// In the order of their ends.
    running: Vec<(f64, Transfer<T>)>,
}

/// Bytes on their way.
#[derive(Clone, Debug)]
pub(super) struct Transfer<T> {
    pub(super) job: T,
    pub(super) bytes: u64,
    /// When it was added.
    pub(super) started: Nanos,
}

impl<T> Lane<T> {
    /// An idle lane.
    pub(super) fn new(bytes_per_sec: f64, latency: Nanos) -> Self {
        Self {
            bytes_per_ns: bytes_per_sec / 1e9,
            latency,
            moved: 0.0,
            now: Nanos::ZERO,
            waiting: VecDeque::new(),
            running: Vec::new(),
        }
    }

    /// Adds a transfer at `at`; [`Self::settle`] must have been called for `at`.
    pub(super) fn start(&mut self, at: Nanos, bytes: u64, job: T) {
        let transfer = Transfer { job, bytes, started: at };
        if self.latency == Nanos::ZERO {
            self.enter(at, transfer);
        } else {
            self.waiting.push_back((at + self.latency, transfer));
        }
    }

    /// When the next transfer ends or begins to move; `None` while idle.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        let enters = self.waiting.front().map(|(at, _)| *at);
        [enters, self.next_end()].into_iter().flatten().min()
    }

    /// Lets pass what happens at or before `until`, and hands on every transfer that ended.
    pub(super) fn settle(&mut self, until: Nanos, mut ended: impl FnMut(Transfer<T>, Nanos)) {
        while let Some(at) = self.next_at().filter(|at| *at <= until) {
            if self.next_end() == Some(at) {
                let (end, transfer) = self.running.remove(0);
                (self.moved, self.now) = (end, at);
                if self.running.is_empty() {
                    self.moved = 0.0;
                }
                ended(transfer, at);
            } else if let Some((_, transfer)) = self.waiting.pop_front() {
                self.enter(at, transfer);
            }
        }
    }

    /// Takes out the transfers that `is_cancelled` picks, at `at`; [`Self::settle`] must have been
    /// called for `at`.
    pub(super) fn cancel(&mut self, at: Nanos, mut is_cancelled: impl FnMut(&T) -> bool) {
        self.pass(at);
        self.waiting.retain(|(_, transfer)| !is_cancelled(&transfer.job));
        self.running.retain(|(_, transfer)| !is_cancelled(&transfer.job));
        if self.running.is_empty() {
            self.moved = 0.0;
        }
    }

    fn next_end(&self) -> Option<Nanos> {
        let (end, _) = self.running.first()?;
        let nanos = (end - self.moved) * self.running.len() as f64 / self.bytes_per_ns;
        Some(self.now + Nanos(nanos.round() as u64))
    }

    fn enter(&mut self, at: Nanos, transfer: Transfer<T>) {
        self.pass(at);
        let end = self.moved + transfer.bytes as f64;
        // Behind those that end at the same time.
        let place = self.running.partition_point(|(other, _)| *other <= end);
        self.running.insert(place, (end, transfer));
    }

    /// Moves on to `at`, before which no transfer ends.
    fn pass(&mut self, at: Nanos) {
        if let Some((end, _)) = self.running.first() {
            let passed = at.since(self.now).0 as f64;
            let moved = self.moved + passed * self.bytes_per_ns / self.running.len() as f64;
            // Ends are rounded to nanoseconds.
            self.moved = moved.min(*end);
        }
        self.now = self.now.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::Lane;
    use turnbench_model::Nanos;

    /// Starts transfers of (time, bytes) at 2 bytes per ns; gives the order and times of their ends.
    fn check(latency: u64, transfers: &[(u64, u64)], expect: &[(usize, u64)]) {
        for poll in [1, 7, u64::MAX] {
            let mut lane = Lane::new(2e9, Nanos(latency));
            let mut ends = Vec::new();
            let mut now = 0;
            for (job, (at, bytes)) in transfers.iter().enumerate() {
                while now < *at {
                    now = now.saturating_add(poll).min(*at);
                    lane.settle(Nanos(now), |transfer, at| ends.push((transfer.job, at.0)));
                }
                lane.start(Nanos(*at), *bytes, job);
            }
            lane.settle(Nanos(u64::MAX), |transfer, at| ends.push((transfer.job, at.0)));
            assert_eq!(ends, expect, "polled every {poll} ns");
            assert_eq!(lane.next_at(), None);
        }
    }

    #[test]
    fn one_transfer_takes_latency_and_bytes_by_speed() {
        check(0, &[(10, 100)], &[(0, 60)]);
        check(5, &[(10, 100)], &[(0, 65)]);
        check(0, &[(10, 100), (100, 100)], &[(0, 60), (1, 150)]);
    }

    #[test]
    fn transfers_that_run_together_share_the_speed() {
        check(0, &[(0, 100), (0, 100)], &[(0, 100), (1, 100)]);
        // Alone until 20 (40 bytes), together until the second has its 60 bytes at 80, then alone.
        check(0, &[(0, 200), (20, 60)], &[(1, 80), (0, 130)]);
        // While it waits for its latency a transfer takes nothing.
        check(30, &[(0, 100), (20, 100)], &[(0, 110), (1, 130)]);
    }

    #[test]
    fn a_cancelled_transfer_leaves_its_share_to_the_others() {
        let mut lane = Lane::new(2e9, Nanos::ZERO);
        lane.start(Nanos(0), 100, 'a');
        lane.start(Nanos(0), 100, 'b');
        lane.settle(Nanos(40), |_, _| panic!("too early"));
        lane.cancel(Nanos(40), |job| *job == 'a');
        let mut ends = Vec::new();
        lane.settle(Nanos(500), |transfer, at| ends.push((transfer.job, at.0)));
        assert_eq!(ends, [('b', 70)]);
    }
}
