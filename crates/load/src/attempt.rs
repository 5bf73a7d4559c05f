use turnbench_model::{Failure, Nanos, Phase};

/// Leave to make one attempt at one turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// The client that sends, from 0.
    pub client: u32,
    /// Index of the conversation in the workload, from 0.
    pub conversation: u32,
    /// Turn within the conversation, from 1.
    pub turn: u32,
    /// Attempt at this turn, from 1.
    pub attempt: u32,
    /// Messages that the request carries, history included.
    pub messages: u32,
    /// The part of the run it belongs to.
    pub phase: Phase,
    /// When the load model wants it to be sent: when the client became free (the end of its
    /// previous answer, or the phase's first call of [`crate::ClientLoop::next`]), plus any pause
    /// or back-off.
    pub intended: Nanos,
}

/// What a client does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send this now, then report to [`crate::ClientLoop::finish`].
    Send(Ticket),
    /// Ask again at this time, or after [`crate::StopSwitch::stop`].
    WaitUntil(Nanos),
    /// The client has left this phase; asking again gives the same answer.
    Done,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttemptEnd<'a> {
    /// With a complete answer.
    Completed,
    /// With a failure. In compat mode an HTTP status that Python's `http.HTTPStatus` knows counts
    /// as [`AttemptEnd::Rejected`], everything else as [`AttemptEnd::Raised`].
    Failed(&'a Failure),
    /// Compat mode: a response that the reference rejects (a status other than 200, or a stream
    /// without content). Elsewhere a failure that is not retried.
    Rejected,
    /// Compat mode: a failure that the reference meets with an exception. Elsewhere a failure that
    /// is not retried.
    Raised,
}

/// What follows from the end of an attempt. In every case the client's next step comes from
/// [`crate::ClientLoop::next`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterAttempt {
    /// The turn will be tried again.
    Retry {
        /// When.
        at: Nanos,
    },
    /// The turn is over and the conversation goes on (or would, had the run not been stopped).
    TurnDone,
    /// The turn was the conversation's last.
    ConversationFinished,
    /// The turn failed for good, and its conversation ends with it.
    ConversationFailed,
    /// Compat mode: as [`AfterAttempt::ConversationFailed`], and the client leaves.
    ClientLeaves,
}

impl AfterAttempt {
    /// Whether no further attempt at this turn follows.
    pub const fn ends_turn(self) -> bool {
        !matches!(self, Self::Retry { .. })
    }
}
