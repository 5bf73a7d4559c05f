use turnbench_model::Nanos;

use super::{RequestId, TIERS_MAX};

/// Why a request ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FinishReason {
    /// The answer was complete.
    Stop,
    /// `max_tokens`, or the model's longest sequence, was reached.
    Length,
    /// [`super::Engine::abort`] was called.
    Abort,
}

/// Something that happened to a request, stamped with its simulated time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EngineEvent {
    /// First scheduled. At most once per request; `at` is the start of the step. What a tier had of its
    /// prompt has been loaded by then.
    Admitted {
        /// The request.
        id: RequestId,
        /// Simulated time.
        at: Nanos,
        /// Prompt tokens that need not be computed: what `usage` and the counters report.
        cached_tokens: u32,
        /// Of those, tokens loaded from each tier; the others were found on the device.
        tier_tokens: [u32; TIERS_MAX],
        /// Time since it was submitted, that of loading included.
        queue_ns: Nanos,
        /// Time from the start of its first load to the end of the last; 0 if it loaded nothing.
        load_ns: Nanos,
    },
    /// Lost its blocks to an older request and went back to the head of the queue; `at` is the
    /// start of a step.
    Preempted {
        /// The request.
        id: RequestId,
        /// Simulated time.
        at: Nanos,
    },
    /// Scheduled again after a preemption.
    Resumed {
        /// The request.
        id: RequestId,
        /// Simulated time.
        at: Nanos,
        /// Tokens of prompt and answer so far that need not be computed; not in any counter.
        cached_tokens: u32,
    },
    /// A token appeared; `at` is the end of a step.
    Token {
        /// The request.
        id: RequestId,
        /// Simulated time.
        at: Nanos,
        /// The token id.
        token: u32,
        /// Its place in the answer, from 0.
        index: u32,
    },
    /// Ended; nothing follows for this request. After its last token at the same `at`, or for an
    /// abort at the first step boundary at or after the call.
    Finished {
        /// The request.
        id: RequestId,
        /// Simulated time.
        at: Nanos,
        /// Why.
        reason: FinishReason,
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// As in [`EngineEvent::Admitted`]; 0 if never admitted.
        cached_tokens: u32,
        /// Tokens of the answer.
        output_tokens: u32,
    },
}

impl EngineEvent {
    /// The request.
    pub const fn id(&self) -> RequestId {
        match *self {
            Self::Admitted { id, .. }
            | Self::Preempted { id, .. }
            | Self::Resumed { id, .. }
            | Self::Token { id, .. }
            | Self::Finished { id, .. } => id,
        }
    }

    /// When it happened, in simulated time.
    pub const fn at(&self) -> Nanos {
        match *self {
            Self::Admitted { at, .. }
            | Self::Preempted { at, .. }
            | Self::Resumed { at, .. }
            | Self::Token { at, .. }
            | Self::Finished { at, .. } => at,
        }
    }
}
