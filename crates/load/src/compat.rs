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

use crate::course::Standing;
use crate::driver::{Driver, Pick, Verdict};
use crate::streams::Streams;
use crate::{AttemptEnd, ConversationShape, retry};

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

impl Driver {
    pub(crate) fn pick_compat(&mut self, client: usize) -> Pick {
        let me = &mut self.clients[client];
        if me.turns_left == 0 || self.stop_event {
            return Pick::Leave;
        }
        let mut found_queue_empty = false;
        while me.open.len() < me.open_max {
            let Some(conversation) = self.queue.pop_front() else {
                found_queue_empty = true;
                break;
            };
            let course = &mut self.courses[conversation as usize];
            let used = 2 * (course.turn - 1);
            if used < self.shapes[conversation as usize].messages {
                course.standing = Standing::Open;
                me.open.open(conversation);
            } else {
                course.standing = Standing::Dropped;
                self.tally.dropped.push(conversation);
            }
        }
        if found_queue_empty {
            return Pick::Leave;
        }
        let Some(conversation) = me.open.pick(&mut me.streams) else { return Pick::Leave };
        let shape = &self.shapes[conversation as usize];
        let turn = self.courses[conversation as usize].turn;
        if 2 * turn > shape.messages {
            // A question without an answer: an assertion outside the guarded part.
            self.fail(client, conversation);
            return Pick::Vanish;
        }
        if turn > shape.plain_turns {
            // Raised while the request is made, again and again; the back-offs in between are
            // left out.
            self.fail(client, conversation);
            return Pick::Leave;
        }
        Pick::Turn(conversation)
    }

    /// The queue of the run proper: what the warm-up finished, in the order in which it ended.
    pub(crate) fn requeue_compat(&mut self, warmed: &[u32]) {
        for (index, course) in self.courses.iter_mut().enumerate() {
            match course.standing {
                Standing::Finished => course.standing = Standing::Waiting,
                Standing::Failed => self.tally.failed.push(index as u32),
                Standing::Dropped => self.tally.dropped.push(index as u32),
                Standing::Waiting | Standing::Open => {}
            }
        }
        self.queue = warmed.iter().copied().collect();
    }
}
