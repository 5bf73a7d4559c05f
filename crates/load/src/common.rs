use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use turnbench_model::{LoadPlan, Nanos, Phase};

use crate::course::Course;
use crate::{ConversationShape, StopSwitch};

/// Stands for "no client has asked yet".
const NOT_STARTED: u64 = u64::MAX;

/// What the clients of a phase have in common, for any number of threads.
///
/// **Invariant:** there is no lock. What changes is single atomics, of which the busiest, the
/// queue's cursor and the count of ends, change once per conversation, not per request.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) plan: LoadPlan,
    pub(crate) phase: Phase,
    pub(crate) shapes: Arc<[ConversationShape]>,
    pub(crate) queue: Queue,
    pub(crate) stop: StopSwitch,
    /// `early_stop`, and a client has left.
    early_stopped: AtomicBool,
    /// The first call of `next` in this phase, or [`NOT_STARTED`].
    started: AtomicU64,
    /// Conversations that have ended in this phase: each has one end, so 32 bits are enough.
    ended_count: AtomicU32,
}

impl Common {
    pub(crate) fn new(
        plan: LoadPlan,
        phase: Phase,
        shapes: Arc<[ConversationShape]>,
        queue: Vec<Course>,
        stop: StopSwitch,
    ) -> Self {
        Self {
            plan,
            phase,
            shapes,
            queue: Queue::new(queue),
            stop,
            early_stopped: AtomicBool::new(false),
            started: AtomicU64::new(NOT_STARTED),
            ended_count: AtomicU32::new(0),
        }
    }

    pub(crate) fn shape(&self, course: &Course) -> &ConversationShape {
        &self.shapes[course.conversation as usize]
    }

    /// When the phase began, for a client that asks for the first time at `now`: when the first of
    /// all did, never later than `now`.
    pub(crate) fn start(&self, now: Nanos) -> Nanos {
        let relaxed = Ordering::Relaxed;
        match self.started.compare_exchange(NOT_STARTED, now.0, relaxed, relaxed) {
            Ok(_) => now,
            // Of two threads the one that read its clock later may have come first.
            Err(started) => Nanos(started).min(now),
        }
    }

    /// Has the others follow a client that leaves; whether this is news to them.
    pub(crate) fn stop_early(&self) -> bool {
        !self.early_stopped.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_stopped_early(&self) -> bool {
        self.early_stopped.load(Ordering::SeqCst)
    }

    /// Numbers the ends of conversations, from 0.
    pub(crate) fn number_end(&self) -> u32 {
        self.ended_count.fetch_add(1, Ordering::Relaxed)
    }
}

/// Conversations that no client has opened yet. Their order stands; only the place of the next one
/// moves.
#[derive(Debug)]
pub(crate) struct Queue {
    courses: Box<[Course]>,
    /// Index of the next one; past the end by at most the number of threads.
    next: AtomicUsize,
}

impl Queue {
    fn new(courses: Vec<Course>) -> Self {
        Self { courses: courses.into(), next: AtomicUsize::new(0) }
    }

    /// Takes the next one out. Each is given to one caller only.
    pub(crate) fn pop(&self) -> Option<Course> {
        if self.is_empty() {
            // Not moved on, so that the index cannot overflow.
            return None;
        }
        self.courses.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.courses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use crate::course::Course;

    #[test]
    fn an_empty_queue_stays_empty() {
        let course = Course { conversation: 7, turn: 1, last_turn: 1, begun: false };
        let queue = Queue::new(vec![course]);
        assert!(!queue.is_empty());
        assert_eq!(queue.pop().map(|course| course.conversation), Some(7));
        for _ in 0..3 {
            assert!(queue.is_empty() && queue.pop().is_none());
        }
        assert_eq!(queue.next.into_inner(), 1, "asking in vain moves nothing");
    }
}
