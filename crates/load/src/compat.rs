//! The behaviour of vLLM's `benchmark_serving_multi_turn.py`, as recorded in November 2026.
//!
//! Differences from `own`: shares lose their remainders; a newly opened conversation is used at
//! once; a client leaves as soon as it finds the queue empty while it could open another
//! conversation, whatever it still holds open; every failure is retried; a turn whose last attempt
//! raised ends the client too; the warm-up is a whole run of its own with the same streams and
//! limits, and only conversations that it finished go on, in the order in which they ended.
//! Turns are counted by messages: turn j asks with message 2j-1, whatever that is.
//!
//! The reference's clients are processes that race for the queue; here whoever asks first is
//! served first. Where its parent would wait for ever on a dead client, ours does not.

use turnbench_model::{FailureKind, LoadPlan, Phase};

use crate::client::{ClientLoop, Pick, Verdict};
use crate::course::{Course, Ending};
use crate::streams::Streams;
use crate::{AttemptEnd, ConversationShape, Driver, retry};

/// The turn after which at least min(`max_turns`, messages) messages have been used.
pub(crate) fn last_turn(shape: &ConversationShape, max_turns: Option<u32>) -> u32 {
    max_turns.unwrap_or(u32::MAX).min(shape.messages).div_ceil(2)
}

/// Open conversations and turns of one client.
pub(crate) fn share(plan: &LoadPlan, phase: Phase, _queued: usize, _client: u32) -> (u64, u64) {
    let clients = plan.num_clients;
    let open = match phase {
        Phase::Warmup => 1,
        Phase::Main => plan.max_active_conversations / clients,
    };
    (u64::from(open), plan.max_num_requests.map_or(u64::MAX, |total| total / u64::from(clients)))
}

/// `None` for a complete answer; `more` tells whether another attempt is allowed.
pub(crate) fn judge(
    attempt: u32,
    more: bool,
    end: AttemptEnd<'_>,
    streams: &mut Streams,
) -> Option<Verdict> {
    let raised = match end {
        AttemptEnd::Completed => return None,
        AttemptEnd::Rejected => false,
        AttemptEnd::Raised => true,
        AttemptEnd::Failed(failure) => match failure.kind {
            FailureKind::Cancelled => return Some(Verdict::Cut),
            FailureKind::HttpStatus => !failure.status.is_some_and(is_known_status),
            FailureKind::Connect
            | FailureKind::Timeout
            | FailureKind::StreamError
            | FailureKind::Truncated
            | FailureKind::Invalid
            | FailureKind::Mismatch => true,
        },
    };
    Some(if more {
        Verdict::RetryAfter(retry::wait_reference(attempt, streams.jitter()))
    } else if raised {
        Verdict::FailAndLeave
    } else {
        Verdict::Fail
    })
}

/// Whether Python 3.11's `http.HTTPStatus` has the status; looking up another one raises.
fn is_known_status(status: u16) -> bool {
    matches!(
        status,
        100..=103
            | 200..=208
            | 226
            | 300..=305
            | 307
            | 308
            | 400..=418
            | 421..=426
            | 428
            | 429
            | 431
            | 451
            | 500..=508
            | 510
            | 511
    )
}

impl ClientLoop {
    pub(crate) fn pick_compat(&mut self) -> Pick {
        if self.turns_left == 0 || self.common.is_stopped_early() {
            return Pick::Leave;
        }
        let mut found_queue_empty = false;
        while self.open.len() < self.open_max {
            let Some(course) = self.common.queue.pop() else {
                found_queue_empty = true;
                break;
            };
            let used = 2 * (course.turn - 1);
            if used < self.common.shape(&course).messages {
                self.open.open(course);
            } else {
                self.end(course, Ending::Dropped);
            }
        }
        if found_queue_empty {
            return Pick::Leave;
        }
        let Some(course) = self.open.pick(&mut self.streams) else { return Pick::Leave };
        let shape = self.common.shape(&course);
        let (messages, plain_turns) = (shape.messages, shape.plain_turns);
        if 2 * course.turn > messages {
            // A question without an answer: an assertion outside the guarded part.
            self.fail(course);
            return Pick::Vanish;
        }
        if course.turn > plain_turns {
            // Raised while the request is made, again and again; the back-offs in between are
            // left out.
            self.fail(course);
            return Pick::Leave;
        }
        Pick::Turn(course)
    }
}

impl Driver {
    /// The queue of the run proper: what the warm-up finished, in the order in which it ended.
    pub(crate) fn requeue_compat(&mut self, warmed: &[u32]) -> Vec<Course> {
        for (conversation, ending) in (0_u32..).zip(&mut self.endings) {
            match ending {
                Some(Ending::Finished) => *ending = None,
                Some(Ending::Failed) => self.settled.failed.push(conversation),
                Some(Ending::Dropped) => self.settled.dropped.push(conversation),
                None => {}
            }
        }
        warmed.iter().map(|&conversation| self.courses[conversation as usize]).collect()
    }
}
