use std::mem;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use turnbench_model::{Compat, Nanos, Phase};

use crate::common::Common;
use crate::course::{Course, Ending};
use crate::sampling::OpenSet;
use crate::streams::Streams;
use crate::tally::{Ended, Tally};
use crate::{AfterAttempt, AttemptEnd, Step, Ticket, compat, own, pause};

/// One client of a phase: a sequential loop of requests, on whatever thread it is moved to.
///
/// It asks [`ClientLoop::next`], sends what it is told to, reports to [`ClientLoop::finish`] and
/// asks again. Dropping it, also in a panic, gives its tally to the [`crate::Driver`]; a turn that
/// was under way then counts as cut off.
///
/// **Invariant:** a client has at most one ticket out, and what it has opened no other client
/// touches, so a conversation's turns are sent one after another. Both calls take no lock and
/// constant time (with random sampling, the end of a conversation is linear in the client's open
/// conversations), and allocate only where its lists of open and of ended conversations grow.
#[derive(Debug)]
pub struct ClientLoop {
    number: u32,
    pub(crate) common: Arc<Common>,
    activity: Activity,
    pub(crate) open: OpenSet,
    /// Most conversations it may hold open.
    pub(crate) open_max: usize,
    /// Turns it may still send.
    pub(crate) turns_left: u64,
    pub(crate) streams: Streams,
    /// When the phase began; `None` before the first call of `next`.
    started: Option<Nanos>,
    /// Whether it has done something after which others may have nothing to wait for.
    pub(crate) has_news: bool,
    tally: Tally,
    returned: Sender<Tally>,
}

/// What a client is doing.
#[derive(Clone, Copy, Debug)]
enum Activity {
    /// Free from this time on.
    Free(Nanos),
    /// Waiting for an answer in this conversation.
    Sent(Ticket, Course),
    /// Backing off; the ticket is the one to send next.
    BackingOff(Ticket, Course),
    /// Out of this phase.
    Left,
}

/// What a policy has a free client do.
pub(crate) enum Pick {
    /// Send the next turn of this conversation.
    Turn(Course),
    /// Leave; with `early_stop` the others follow.
    Leave,
    /// Leave without anybody noticing.
    Vanish,
}

/// What a policy makes of a failed attempt.
pub(crate) enum Verdict {
    /// Try again after this span.
    RetryAfter(Nanos),
    /// The conversation ends.
    Fail,
    /// The conversation ends and the client leaves.
    FailAndLeave,
    /// Cut off: neither a success nor a failure.
    Cut,
}

impl ClientLoop {
    /// Client `number` (from 0) with its share: conversations that it may hold open, and turns.
    pub(crate) fn new(
        common: Arc<Common>,
        number: u32,
        (open_max, turns_left): (u64, u64),
        returned: Sender<Tally>,
    ) -> Self {
        Self {
            number,
            activity: Activity::Free(Nanos::ZERO),
            open: OpenSet::new(common.plan.sampling, common.plan.compat),
            open_max: open_max as usize,
            turns_left,
            streams: Streams::new(&common.plan, number),
            started: None,
            has_news: false,
            tally: Tally::default(),
            returned,
            common,
        }
    }

    /// Its number, from 0; the same client of the plan in every phase.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether its last [`ClientLoop::next`] took the last conversation of the queue, or made it the
    /// first to leave with `early_stop`: others who wait for a time may now have nothing to wait for,
    /// and should be made to ask again. Said once.
    pub const fn take_news(&mut self) -> bool {
        mem::replace(&mut self.has_news, false)
    }

    /// What the client does at `now`. With a ticket out it is told to wait for ever.
    pub fn next(&mut self, now: Nanos) -> Step {
        let started = *self.started.get_or_insert_with(|| self.common.start(now));
        if self.common.stop.is_stopped() {
            self.heed_stop();
        }
        match self.activity {
            Activity::Left => Step::Done,
            Activity::Sent(ticket, _) => {
                debug_assert!(false, "client {} has a ticket out: {ticket:?}", self.number);
                Step::WaitUntil(Nanos(u64::MAX))
            }
            Activity::BackingOff(ticket, _) if now < ticket.intended => {
                Step::WaitUntil(ticket.intended)
            }
            Activity::BackingOff(ticket, course) => self.send(ticket, course),
            // The queue never fills again, so a client without work need not sit out its pause.
            Activity::Free(since) if now < since && self.has_work() => Step::WaitUntil(since),
            Activity::Free(since) => self.next_turn(since.max(started)),
        }
    }

    /// Reports the end of an attempt at `now`, which is when the answer ended.
    ///
    /// A ticket that is not out is a bug of the caller; it changes nothing.
    pub fn finish(&mut self, ticket: &Ticket, end: AttemptEnd<'_>, now: Nanos) -> AfterAttempt {
        let out = match self.activity {
            Activity::Sent(sent, course) => Some(course).filter(|_| sent == *ticket),
            Activity::Free(_) | Activity::BackingOff(..) | Activity::Left => None,
        };
        let Some(course) = out else {
            debug_assert!(false, "{ticket:?} is not out: {:?}", self.activity);
            return AfterAttempt::TurnDone;
        };
        let after = match self.judge(ticket, end) {
            None => self.complete(course),
            Some(Verdict::RetryAfter(wait)) => {
                let at = now + wait;
                let retry = Ticket { attempt: ticket.attempt + 1, intended: at, ..*ticket };
                self.activity = Activity::BackingOff(retry, course);
                return AfterAttempt::Retry { at };
            }
            Some(Verdict::Fail) => {
                self.fail(course);
                AfterAttempt::ConversationFailed
            }
            Some(Verdict::FailAndLeave) => {
                self.fail(course);
                self.leave();
                return AfterAttempt::ClientLeaves;
            }
            Some(Verdict::Cut) => {
                self.cut(course);
                AfterAttempt::TurnDone
            }
        };
        self.activity = Activity::Free(now + self.pause());
        after
    }

    /// Leaves, unless there is an answer to wait for.
    fn heed_stop(&mut self) {
        match self.activity {
            Activity::BackingOff(_, course) => {
                self.cut(course);
                self.activity = Activity::Left;
            }
            Activity::Free(_) => self.activity = Activity::Left,
            Activity::Sent(..) | Activity::Left => {}
        }
    }

    /// The pause after an answer. Our own warm-up has none.
    fn pause(&mut self) -> Nanos {
        let plan = &self.common.plan;
        let paced = plan.compat == Compat::Vllm || self.common.phase == Phase::Main;
        let rate = if paced { plan.request_rate } else { 0.0 };
        pause::after_answer(rate, &mut self.streams)
    }

    /// Whether a free client could find something to send. In compat mode it finds out when its
    /// pause is over.
    fn has_work(&self) -> bool {
        let may_find =
            self.turns_left > 0 && (self.open.len() > 0 || !self.common.queue.is_empty());
        self.common.plan.compat == Compat::Vllm || (may_find && !self.common.is_stopped_early())
    }

    fn next_turn(&mut self, intended: Nanos) -> Step {
        let pick = match self.common.plan.compat {
            Compat::None => self.pick_own(),
            Compat::Vllm => self.pick_compat(),
        };
        let course = match pick {
            Pick::Turn(course) => course,
            Pick::Leave => {
                self.leave();
                return Step::Done;
            }
            Pick::Vanish => {
                self.activity = Activity::Left;
                return Step::Done;
            }
        };
        let messages = match self.common.plan.compat {
            Compat::None => own::messages_sent(self.common.shape(&course), course.turn),
            Compat::Vllm => 2 * course.turn - 1,
        };
        let ticket = Ticket {
            client: self.number,
            conversation: course.conversation,
            turn: course.turn,
            attempt: 1,
            messages,
            phase: self.common.phase,
            intended,
        };
        self.send(ticket, course)
    }

    fn send(&mut self, ticket: Ticket, course: Course) -> Step {
        self.tally.attempts += 1;
        self.activity = Activity::Sent(ticket, Course { begun: true, ..course });
        Step::Send(ticket)
    }

    /// `None`: the attempt completed its turn.
    fn judge(&mut self, ticket: &Ticket, end: AttemptEnd<'_>) -> Option<Verdict> {
        let plan = &self.common.plan;
        let more = ticket.attempt <= plan.max_retries && !self.common.stop.is_stopped();
        match plan.compat {
            Compat::None => own::judge(ticket.attempt, more, end, &mut self.streams),
            Compat::Vllm => compat::judge(ticket.attempt, more, end, &mut self.streams),
        }
    }

    fn complete(&mut self, course: Course) -> AfterAttempt {
        let course = Course { turn: course.turn + 1, ..course };
        self.tally.requests_completed += 1;
        self.turns_left -= 1;
        if course.turn > course.last_turn || self.common.phase == Phase::Warmup {
            self.open.close_picked();
            self.end(course, Ending::Finished);
            return AfterAttempt::ConversationFinished;
        }
        self.open.put_back(course);
        AfterAttempt::TurnDone
    }

    /// The turn of the picked conversation failed for good.
    pub(crate) fn fail(&mut self, course: Course) {
        self.tally.requests_failed += 1;
        self.turns_left -= 1;
        self.open.close_picked();
        self.end(course, Ending::Failed);
    }

    /// The turn of the picked conversation is given up.
    fn cut(&mut self, course: Course) {
        self.tally.requests_cut += 1;
        self.turns_left -= 1;
        self.open.close_picked();
        self.tally.left_open.push(course);
    }

    /// Notes the end of a conversation, in the order of all ends.
    pub(crate) fn end(&mut self, course: Course, ending: Ending) {
        self.tally.ended.push(Ended { sequence: self.common.number_end(), course, ending });
    }

    fn leave(&mut self) {
        self.activity = Activity::Left;
        if self.common.plan.early_stop && self.common.phase == Phase::Main {
            self.has_news |= self.common.stop_early();
        }
    }
}

impl Drop for ClientLoop {
    fn drop(&mut self) {
        if let Activity::Sent(_, course) | Activity::BackingOff(_, course) = self.activity {
            self.cut(course);
        }
        self.open.drain_into(&mut self.tally.left_open);
        // The driver may be gone; then nobody asks.
        let _ = self.returned.send(mem::take(&mut self.tally));
    }
}
