/// How far one conversation has come. Whoever sends its turns holds it: the queue gives it to a
/// client, the client gives it back with its tally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Index of the conversation in the workload.
    pub(crate) conversation: u32,
    /// The next turn to send, from 1.
    pub(crate) turn: u32,
    /// The last turn it will send; below `turn` when there is nothing (more) to send.
    pub(crate) last_turn: u32,
    /// Whether any attempt was made, in any phase.
    pub(crate) begun: bool,
}

/// How a conversation's part in a phase ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Finished,
    Failed,
    /// There was nothing to send.
    Dropped,
}
