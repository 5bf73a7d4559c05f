/// Where a conversation stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// In the queue, or left out of this phase.
    Waiting,
    /// Opened by a client.
    Open,
    Finished,
    Failed,
    Dropped,
}

/// The course of one conversation through the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) standing: Standing,
    /// The next turn to send, from 1.
    pub(crate) turn: u32,
    /// The last turn it will send; below `turn` when there is nothing (more) to send.
    pub(crate) last_turn: u32,
    /// Whether any attempt was made, in any phase.
    pub(crate) begun: bool,
}
