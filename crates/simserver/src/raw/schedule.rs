use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use turnbench_model::Nanos;

use super::connections::Place;

/// Whose write comes next: those that are due, in the order in which they became due, then those
/// that want to write as fast as they can, in turns.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    due: BinaryHeap<Reverse<(Nanos, Place)>>,
    ready: VecDeque<Place>,
}

impl Schedule {
    /// Lets `place` write at `due`; `None`: as soon as it is its turn.
    pub(crate) fn add(&mut self, place: Place, due: Option<Nanos>) {
        match due {
            Some(due) => self.due.push(Reverse((due, place))),
            None => self.ready.push_back(place),
        }
    }

    /// The next one that may write at `now`.
    pub(crate) fn take(&mut self, now: Nanos) -> Option<Place> {
        if self.next_due().is_some_and(|due| due <= now) {
            return self.due.pop().map(|Reverse((_, place))| place);
        }
        self.ready.pop_front()
    }

    /// When the next one with a time is due.
    pub(crate) fn next_due(&self) -> Option<Nanos> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Whether somebody may write now.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nobody wants to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::raw::connections::Place;
    use turnbench_model::Nanos;

    #[test]
    fn due_writes_come_in_due_order_before_turns() {
        let place = |slot| Place { slot, generation: 0 };
        let mut schedule = Schedule::default();
        schedule.add(place(0), None);
        schedule.add(place(1), Some(Nanos(30)));
        schedule.add(place(2), Some(Nanos(10)));
        schedule.add(place(3), None);
        assert_eq!(schedule.next_due(), Some(Nanos(10)));
        assert_eq!(schedule.take(Nanos(9)), Some(place(0)));
        assert_eq!(schedule.take(Nanos(30)), Some(place(2)));
        assert_eq!(schedule.take(Nanos(30)), Some(place(1)));
        assert!(schedule.is_ready());
        assert_eq!(schedule.take(Nanos(30)), Some(place(3)));
        assert_eq!(schedule.take(Nanos(30)), None);
        assert!(schedule.is_empty());
    }
}
