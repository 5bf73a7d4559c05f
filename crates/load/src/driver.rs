use std::collections::VecDeque;
use std::mem;

use turnbench_model::{Compat, LoadPlan, Nanos, Phase};

use crate::client::{Activity, Client};
use crate::course::{Course, Standing};
use crate::{
    AfterAttempt, AttemptEnd, ConversationShape, LoadError, LoadSummary, Step, Ticket, compat, own,
    pause,
};

/// Decides which conversation each client sends next, and when.
///
/// Each client is a sequential loop: it asks [`Driver::next`], sends what it is told to, reports to
/// [`Driver::finish`] and asks again. With `warmup_step` the driver starts in [`Phase::Warmup`];
/// when all clients are done, [`Driver::begin_main`] starts the run proper.
///
/// **Invariant:** a client has at most one ticket out, and a conversation belongs to at most one
/// client, so its turns are sent one after another. Both calls take constant time (with random
/// sampling, the end of a conversation is linear in the client's open conversations) and allocate
/// nothing once the client's open conversations have been held.
#[derive(Debug)]
pub struct Driver {
    pub(crate) plan: LoadPlan,
    pub(crate) shapes: Vec<ConversationShape>,
    pub(crate) courses: Vec<Course>,
    /// Conversations that no client has opened yet.
    pub(crate) queue: VecDeque<u32>,
    pub(crate) clients: Vec<Client>,
    pub(crate) phase: Phase,
    /// The first call of `next` in this phase.
    started: Option<Nanos>,
    /// [`Driver::stop`] was called.
    stopped: bool,
    /// `early_stop`, and a client has left.
    pub(crate) stop_event: bool,
    pub(crate) tally: LoadSummary,
}

/// What a policy has a free client do.
pub(crate) enum Pick {
    /// Send the next turn of this conversation.
    Turn(u32),
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

impl Driver {
    /// A driver for these conversations, in this order.
    ///
    /// # Errors
    /// When there is no client, a client could hold no conversation open, or there are more than
    /// `u32::MAX` conversations.
    pub fn new(plan: &LoadPlan, shapes: Vec<ConversationShape>) -> Result<Self, LoadError> {
        if plan.num_clients == 0 {
            return Err(LoadError::NoClients);
        }
        if plan.max_active_conversations < plan.num_clients {
            return Err(LoadError::FewerActiveThanClients {
                active: plan.max_active_conversations,
                clients: plan.num_clients,
            });
        }
        if u32::try_from(shapes.len()).is_err() {
            return Err(LoadError::TooManyConversations { count: shapes.len() });
        }
        let last_turn = match plan.compat {
            Compat::None => own::last_turn,
            Compat::Vllm => compat::last_turn,
        };
        let courses = shapes
            .iter()
            .map(|shape| Course {
                standing: Standing::Waiting,
                turn: 1,
                last_turn: last_turn(shape, plan.max_turns),
                begun: false,
            })
            .collect();
        let phase = if plan.warmup_step { Phase::Warmup } else { Phase::Main };
        let mut driver = Self {
            plan: plan.clone(),
            queue: (0..shapes.len() as u32).collect(),
            shapes,
            courses,
            clients: Vec::new(),
            phase,
            started: None,
            stopped: false,
            stop_event: false,
            tally: LoadSummary::default(),
        };
        driver.enter(phase);
        Ok(driver)
    }

    /// The part of the run that is under way.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Turns that this phase will send from here on if nothing fails and nobody stops it. In compat
    /// mode an upper limit: clients leave early.
    pub fn planned_requests(&self) -> u64 {
        let turns: u64 = self
            .courses
            .iter()
            .filter(|course| matches!(course.standing, Standing::Waiting | Standing::Open))
            .map(|course| {
                let last = if self.phase == Phase::Warmup {
                    course.last_turn.min(1)
                } else {
                    course.last_turn
                };
                u64::from((last + 1).saturating_sub(course.turn))
            })
            .sum();
        let allowed =
            self.clients.iter().fold(0_u64, |sum, client| sum.saturating_add(client.turns_left));
        turns.min(allowed)
    }

    /// What `client` (from 0) does at `now`. A client with a ticket out is told to wait for ever.
    pub fn next(&mut self, client: u32, now: Nanos) -> Step {
        let started = *self.started.get_or_insert(now);
        let Some(activity) = self.clients.get(client as usize).map(|me| me.activity) else {
            debug_assert!(false, "client {client} does not exist");
            return Step::Done;
        };
        match activity {
            Activity::Left => Step::Done,
            Activity::Sent(ticket) => {
                debug_assert!(false, "client {client} has a ticket out: {ticket:?}");
                Step::WaitUntil(Nanos(u64::MAX))
            }
            Activity::BackingOff(ticket) if now < ticket.intended => {
                Step::WaitUntil(ticket.intended)
            }
            Activity::BackingOff(ticket) => self.send(ticket),
            // The queue never fills again, so a client without work need not sit out its pause.
            Activity::Free(since) if now < since && self.has_work(client as usize) => {
                Step::WaitUntil(since)
            }
            Activity::Free(since) => self.next_turn(client, since.max(started)),
        }
    }

    /// Reports the end of an attempt at `now`, which is when the answer ended.
    ///
    /// A ticket that is not out is a bug of the caller; it changes nothing.
    pub fn finish(&mut self, ticket: &Ticket, end: AttemptEnd<'_>, now: Nanos) -> AfterAttempt {
        let index = ticket.client as usize;
        let out = self.clients.get(index).map(|client| client.activity);
        if !matches!(out, Some(Activity::Sent(sent)) if sent == *ticket) {
            debug_assert!(false, "{ticket:?} is not out: {out:?}");
            return AfterAttempt::TurnDone;
        }
        let after = match self.judge(ticket, end) {
            None => self.complete(ticket),
            Some(Verdict::RetryAfter(wait)) => {
                let at = now + wait;
                let retry = Ticket { attempt: ticket.attempt + 1, intended: at, ..*ticket };
                self.clients[index].activity = Activity::BackingOff(retry);
                return AfterAttempt::Retry { at };
            }
            Some(verdict @ (Verdict::Fail | Verdict::FailAndLeave)) => {
                self.fail(index, ticket.conversation);
                if matches!(verdict, Verdict::FailAndLeave) {
                    self.leave(index);
                    return AfterAttempt::ClientLeaves;
                }
                AfterAttempt::ConversationFailed
            }
            Some(Verdict::Cut) => {
                self.tally.requests_cut += 1;
                self.clients[index].turns_left -= 1;
                self.clients[index].open.close_picked();
                AfterAttempt::TurnDone
            }
        };
        let wait = self.pause(index);
        self.clients[index].activity =
            if self.stopped { Activity::Left } else { Activity::Free(now + wait) };
        after
    }

    /// Sends nothing from now on, retries included; every client is done after its current attempt.
    pub fn stop(&mut self) {
        self.stopped = true;
        for client in &mut self.clients {
            match client.activity {
                Activity::BackingOff(_) => {
                    self.tally.requests_cut += 1;
                    client.activity = Activity::Left;
                }
                Activity::Free(_) => client.activity = Activity::Left,
                Activity::Sent(_) | Activity::Left => {}
            }
        }
    }

    /// Ends the warm-up and starts the run proper; gives the warm-up's summary. To be called once,
    /// when every client is done. After a [`Driver::stop`] no client sends anything in it.
    pub fn begin_main(&mut self) -> LoadSummary {
        debug_assert_eq!(self.phase, Phase::Warmup, "the run proper has begun before");
        let summary = self.summary();
        let warmed = mem::take(&mut self.tally).finished;
        self.stop_event = false;
        self.started = None;
        self.phase = Phase::Main;
        match self.plan.compat {
            Compat::None => self.requeue_own(&warmed),
            Compat::Vllm => self.requeue_compat(&warmed),
        }
        self.enter(Phase::Main);
        if self.stopped {
            self.stop();
        }
        summary
    }

    /// What has become of this phase's conversations and requests so far.
    pub fn summary(&self) -> LoadSummary {
        let mut summary = self.tally.clone();
        for (index, course) in self.courses.iter().enumerate() {
            if matches!(course.standing, Standing::Waiting | Standing::Open) {
                let list =
                    if course.begun { &mut summary.unfinished } else { &mut summary.not_started };
                list.push(index as u32);
            }
        }
        summary
    }

    /// Hands out the clients of a phase.
    fn enter(&mut self, phase: Phase) {
        let share = match self.plan.compat {
            Compat::None => own::share,
            Compat::Vllm => compat::share,
        };
        self.clients = (0..self.plan.num_clients)
            .map(|index| {
                let (open_max, turns_left) = share(&self.plan, phase, self.queue.len(), index);
                Client::new(&self.plan, index, open_max, turns_left)
            })
            .collect();
    }

    /// The pause after an answer. Our own warm-up has none.
    fn pause(&mut self, client: usize) -> Nanos {
        let paced = self.plan.compat == Compat::Vllm || self.phase == Phase::Main;
        let rate = if paced { self.plan.request_rate } else { 0.0 };
        pause::after_answer(rate, &mut self.clients[client].streams)
    }

    /// Whether a free client could find something to send. In compat mode it finds out when its
    /// pause is over.
    fn has_work(&self, client: usize) -> bool {
        let me = &self.clients[client];
        let may_find = me.turns_left > 0 && (me.open.len() > 0 || !self.queue.is_empty());
        self.plan.compat == Compat::Vllm || (may_find && !self.stop_event)
    }

    fn next_turn(&mut self, client: u32, intended: Nanos) -> Step {
        let index = client as usize;
        let pick = match self.plan.compat {
            Compat::None => self.pick_own(index),
            Compat::Vllm => self.pick_compat(index),
        };
        let conversation = match pick {
            Pick::Turn(conversation) => conversation,
            Pick::Leave => {
                self.leave(index);
                return Step::Done;
            }
            Pick::Vanish => {
                self.clients[index].activity = Activity::Left;
                return Step::Done;
            }
        };
        let turn = self.courses[conversation as usize].turn;
        let messages = match self.plan.compat {
            Compat::None => own::messages_sent(&self.shapes[conversation as usize], turn),
            Compat::Vllm => 2 * turn - 1,
        };
        let phase = self.phase;
        self.send(Ticket { client, conversation, turn, attempt: 1, messages, phase, intended })
    }

    fn send(&mut self, ticket: Ticket) -> Step {
        self.tally.attempts += 1;
        self.courses[ticket.conversation as usize].begun = true;
        self.clients[ticket.client as usize].activity = Activity::Sent(ticket);
        Step::Send(ticket)
    }

    /// `None`: the attempt completed its turn.
    fn judge(&mut self, ticket: &Ticket, end: AttemptEnd<'_>) -> Option<Verdict> {
        let more = ticket.attempt <= self.plan.max_retries && !self.stopped;
        let streams = &mut self.clients[ticket.client as usize].streams;
        match self.plan.compat {
            Compat::None => own::judge(ticket.attempt, more, end, streams),
            Compat::Vllm => compat::judge(ticket.attempt, more, end, streams),
        }
    }

    fn complete(&mut self, ticket: &Ticket) -> AfterAttempt {
        let me = &mut self.clients[ticket.client as usize];
        let course = &mut self.courses[ticket.conversation as usize];
        self.tally.requests_completed += 1;
        me.turns_left -= 1;
        course.turn += 1;
        if course.turn > course.last_turn || self.phase == Phase::Warmup {
            course.standing = Standing::Finished;
            me.open.close_picked();
            self.tally.finished.push(ticket.conversation);
            return AfterAttempt::ConversationFinished;
        }
        me.open.put_back(ticket.conversation);
        AfterAttempt::TurnDone
    }

    /// The turn of the conversation picked by a client failed for good.
    pub(crate) fn fail(&mut self, client: usize, conversation: u32) {
        let me = &mut self.clients[client];
        me.turns_left -= 1;
        me.open.close_picked();
        self.courses[conversation as usize].standing = Standing::Failed;
        self.tally.requests_failed += 1;
        self.tally.failed.push(conversation);
    }

    fn leave(&mut self, client: usize) {
        self.clients[client].activity = Activity::Left;
        self.stop_event |= self.plan.early_stop && self.phase == Phase::Main;
    }
}
