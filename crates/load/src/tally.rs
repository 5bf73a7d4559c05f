use crate::course::{Course, Ending};

/// What one client did in a phase.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Conversations that it brought to their end.
    pub(crate) ended: Vec<Ended>,
    /// Conversations that it opened and that did not end.
    pub(crate) left_open: Vec<Course>,
    pub(crate) requests_completed: u64,
    pub(crate) requests_failed: u64,
    pub(crate) requests_cut: u64,
    pub(crate) attempts: u64,
}

/// A conversation that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Place in the order in which the phase's conversations ended, over all clients.
    pub(crate) sequence: u32,
    pub(crate) course: Course,
    pub(crate) ending: Ending,
}
