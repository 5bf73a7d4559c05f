use turnbench_model::{LoadPlan, Nanos};

use crate::Ticket;
use crate::sampling::OpenSet;
use crate::streams::Streams;

/// What a client is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activity {
    /// Free from this time on.
    Free(Nanos),
    /// Waiting for an answer.
    Sent(Ticket),
    /// Backing off; the ticket is the one to send next.
    BackingOff(Ticket),
    /// Out of this phase.
    Left,
}

/// One client: a sequential loop of requests.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) activity: Activity,
    pub(crate) open: OpenSet,
    /// Most conversations it may hold open.
    pub(crate) open_max: usize,
    /// Turns it may still send.
    pub(crate) turns_left: u64,
    pub(crate) streams: Streams,
}

impl Client {
    pub(crate) fn new(plan: &LoadPlan, index: u32, open_max: u64, turns_left: u64) -> Self {
        Self {
            activity: Activity::Free(Nanos::ZERO),
            open: OpenSet::new(plan.sampling, plan.compat),
            open_max: open_max as usize,
            turns_left,
            streams: Streams::new(plan, index),
        }
    }
}
