use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};

use turnbench_model::{Compat, LoadPlan, Phase};

use crate::client::ClientLoop;
use crate::common::Common;
use crate::course::{Course, Ending};
use crate::tally::{Ended, Tally};
use crate::{ConversationShape, LoadError, LoadSummary, StopSwitch, compat, own};

/// Owns the conversations of a run between its phases.
///
/// [`Driver::take_clients`] hands out the clients of the phase, each of which then goes its own way.
/// With `warmup_step` the driver starts in [`Phase::Warmup`]; when all clients have been dropped,
/// [`Driver::begin_main`] starts the run proper. [`Driver::summary`] says what became of everything.
#[derive(Debug)]
pub struct Driver {
    plan: LoadPlan,
    shapes: Arc<[ConversationShape]>,
    /// By conversation: how far it had come when its last client gave it back.
    pub(crate) courses: Vec<Course>,
    /// By conversation: how it ended; `None` while it is waiting or open.
    pub(crate) endings: Vec<Option<Ending>>,
    phase: Phase,
    stop: StopSwitch,
    /// Clients of this phase that nobody has taken yet.
    clients: Vec<ClientLoop>,
    /// What the clients of this phase have done comes back here.
    returned: Receiver<Tally>,
    /// Counts of what has come back; in the lists, what was settled before this phase.
    pub(crate) settled: LoadSummary,
    /// Ends that have come back.
    ended: Vec<Ended>,
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
        let courses: Vec<Course> = (0_u32..)
            .zip(&shapes)
            .map(|(conversation, shape)| Course {
                conversation,
                turn: 1,
                last_turn: last_turn(shape, plan.max_turns),
                begun: false,
            })
            .collect();
        let mut driver = Self {
            plan: plan.clone(),
            endings: vec![None; shapes.len()],
            shapes: shapes.into(),
            phase: Phase::Main,
            stop: StopSwitch::default(),
            clients: Vec::new(),
            returned: mpsc::channel().1,
            settled: LoadSummary::default(),
            ended: Vec::new(),
            courses: courses.clone(),
        };
        driver.enter(if plan.warmup_step { Phase::Warmup } else { Phase::Main }, courses);
        Ok(driver)
    }

    /// The part of the run that is under way.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Turns that this phase sends if nothing fails and nobody stops it, as long as no client has
    /// been dropped. In compat mode an upper limit: clients leave early.
    pub fn planned_requests(&self) -> u64 {
        let waiting = self.courses.iter().zip(&self.endings).filter(|(_, ending)| ending.is_none());
        let turns: u64 = waiting
            .map(|(course, _)| {
                let last = if self.phase == Phase::Warmup {
                    course.last_turn.min(1)
                } else {
                    course.last_turn
                };
                u64::from((last + 1).saturating_sub(course.turn))
            })
            .sum();
        let allowed = (0..self.plan.num_clients)
            .fold(0_u64, |sum, client| sum.saturating_add(self.share(client, 0).1));
        turns.min(allowed)
    }

    /// What ends the run early.
    pub fn stop_switch(&self) -> StopSwitch {
        self.stop.clone()
    }

    /// Hands out the clients of this phase, by number. A second call gives none.
    pub fn take_clients(&mut self) -> Vec<ClientLoop> {
        mem::take(&mut self.clients)
    }

    /// Ends the warm-up and starts the run proper; gives the warm-up's summary. To be called once,
    /// when every client has been dropped. After a stop no client sends anything in it.
    pub fn begin_main(&mut self) -> LoadSummary {
        debug_assert_eq!(self.phase, Phase::Warmup, "the run proper has begun before");
        self.clients.clear();
        let summary = self.summary();
        debug_assert_eq!(
            self.returned.try_recv().err(),
            Some(TryRecvError::Disconnected),
            "a client of the warm-up is still there"
        );
        self.settled = LoadSummary::default();
        self.ended.clear();
        let queue = match self.plan.compat {
            Compat::None => self.requeue_own(&summary.finished),
            Compat::Vllm => self.requeue_compat(&summary.finished),
        };
        self.enter(Phase::Main, queue);
        summary
    }

    /// What has become of this phase's conversations and requests, as far as clients that have been
    /// dropped know. What a client still holds is listed as it stood when the phase began.
    pub fn summary(&mut self) -> LoadSummary {
        while let Ok(tally) = self.returned.try_recv() {
            self.take_back(tally);
        }
        self.ended.sort_unstable_by_key(|ended| ended.sequence);
        let mut summary = self.settled.clone();
        for ended in &self.ended {
            let list = match ended.ending {
                Ending::Finished => &mut summary.finished,
                Ending::Failed => &mut summary.failed,
                Ending::Dropped => &mut summary.dropped,
            };
            list.push(ended.course.conversation);
        }
        for (course, ending) in self.courses.iter().zip(&self.endings) {
            if ending.is_none() {
                let list =
                    if course.begun { &mut summary.unfinished } else { &mut summary.not_started };
                list.push(course.conversation);
            }
        }
        summary
    }

    /// Adds what a client did.
    fn take_back(&mut self, tally: Tally) {
        for ended in &tally.ended {
            let index = ended.course.conversation as usize;
            self.courses[index] = ended.course;
            self.endings[index] = Some(ended.ending);
        }
        for course in tally.left_open {
            self.courses[course.conversation as usize] = course;
        }
        self.ended.extend(tally.ended);
        self.settled.requests_completed += tally.requests_completed;
        self.settled.requests_failed += tally.requests_failed;
        self.settled.requests_cut += tally.requests_cut;
        self.settled.attempts += tally.attempts;
    }

    /// Makes the clients of a phase.
    fn enter(&mut self, phase: Phase, queue: Vec<Course>) {
        self.phase = phase;
        let queued = queue.len();
        let common = Arc::new(Common::new(
            self.plan.clone(),
            phase,
            Arc::clone(&self.shapes),
            queue,
            self.stop.clone(),
        ));
        let (sender, receiver) = mpsc::channel();
        self.returned = receiver;
        self.clients = (0..self.plan.num_clients)
            .map(|number| {
                let share = self.share(number, queued);
                ClientLoop::new(Arc::clone(&common), number, share, sender.clone())
            })
            .collect();
    }

    /// Conversations that a client may hold open, of `queued` ones, and turns that it may send.
    fn share(&self, client: u32, queued: usize) -> (u64, u64) {
        match self.plan.compat {
            Compat::None => own::share(&self.plan, self.phase, queued, client),
            Compat::Vllm => compat::share(&self.plan, self.phase, queued, client),
        }
    }
}
