//! turnbench's own behaviour.
//!
//! Conversations are taken in order from one queue; a client holds its share of the open ones and
//! drains what it has opened: it leaves when the queue is empty and nothing is open, or when its
//! share of the requests is used up. A turn that fails for good ends its conversation, since the
//! history would be broken, and never the client. The warm-up sends every conversation's first
//! turn, one open conversation per client, uncounted and without pauses; a conversation whose warm-up failed or never
//! came starts the run proper at its first turn.

use turnbench_model::{FailureKind, LoadPlan, Nanos, Phase};

use crate::client::{ClientLoop, Pick, Verdict};
use crate::course::{Course, Ending};
use crate::share::spread;
use crate::streams::Streams;
use crate::{AttemptEnd, ConversationShape, Driver, is_retriable, retry};

/// The last turn whose request carries at most `max_turns` messages, 0 if even the first carries
/// more. A plain conversation's turn j carries 2j-1, so an odd limit allows what the even one above
/// it does, as in the reference.
pub(crate) fn last_turn(shape: &ConversationShape, max_turns: Option<u32>) -> u32 {
    let fits = |messages| max_turns.is_none_or(|max| messages <= max);
    shape.turns.iter().take_while(|turn| fits(turn.messages_sent)).count() as u32
}

pub(crate) fn messages_sent(shape: &ConversationShape, turn: u32) -> u32 {
    shape.turns.get(turn as usize - 1).map_or(0, |turn| turn.messages_sent)
}

/// Open conversations and turns of one client. When there are fewer conversations than may be
/// open, they are spread too, so that no client opens what another would be left without.
pub(crate) fn share(plan: &LoadPlan, phase: Phase, queued: usize, client: u32) -> (u64, u64) {
    let spread = |total| spread(total, plan.num_clients, client);
    match phase {
        Phase::Warmup => (1, u64::MAX),
        Phase::Main => (
            spread(u64::from(plan.max_active_conversations).min(queued as u64)),
            plan.max_num_requests.map_or(u64::MAX, spread),
        ),
    }
}

/// `None` for a complete answer; `more` tells whether another attempt is allowed.
pub(crate) fn judge(
    attempt: u32,
    more: bool,
    end: AttemptEnd<'_>,
    streams: &mut Streams,
) -> Option<Verdict> {
    match end {
        AttemptEnd::Completed => None,
        AttemptEnd::Failed(failure) if failure.kind == FailureKind::Cancelled => Some(Verdict::Cut),
        AttemptEnd::Failed(failure) if more && is_retriable(failure) => {
            let wait: Nanos = retry::wait(attempt, streams.jitter(), failure.retry_after_ns);
            Some(Verdict::RetryAfter(wait))
        }
        AttemptEnd::Failed(_) | AttemptEnd::Rejected | AttemptEnd::Raised => Some(Verdict::Fail),
    }
}

impl ClientLoop {
    pub(crate) fn pick_own(&mut self) -> Pick {
        if self.turns_left == 0 || self.common.is_stopped_early() {
            return Pick::Leave;
        }
        while self.open.len() < self.open_max {
            let Some(course) = self.common.queue.pop() else { break };
            self.has_news |= self.common.queue.is_empty();
            if course.turn > course.last_turn {
                self.end(course, Ending::Dropped);
            } else {
                self.open.open(course);
            }
        }
        self.open.pick(&mut self.streams).map_or(Pick::Leave, Pick::Turn)
    }
}

impl Driver {
    /// The queue of the run proper: every conversation, in the data set's order. Those that the
    /// warm-up brought to their end count as finished.
    pub(crate) fn requeue_own(&mut self, warmed: &[u32]) -> Vec<Course> {
        for &conversation in warmed {
            let course = &self.courses[conversation as usize];
            if course.turn > course.last_turn {
                self.settled.finished.push(conversation);
            }
        }
        let mut queue = Vec::new();
        for (course, ending) in self.courses.iter().zip(&mut self.endings) {
            let ended = *ending == Some(Ending::Finished) && course.turn > course.last_turn;
            if !ended {
                *ending = None;
                queue.push(*course);
            }
        }
        queue
    }
}
