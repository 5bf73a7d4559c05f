//! The simulated inference engine: continuous batching over a paged KV cache, in simulated time.
//!
//! Sans-IO: time comes in with every call, events go out with the simulated time at which they
//! happened. A *step* is scheduled (running requests first, then waiting ones first come first
//! served, under a token budget), lasts as long as the cost model says, and at its end the new
//! tokens appear. The cache and scheduler rules are those of vLLM's V1 engine (0.32), as far as
//! recordings of a real server establish them. Behind the cache there may be tiers that keep what it
//! evicts: [`TierOptions`], and docs/serve.md for their rules.
//!
//! **Invariant:** no clock, socket, thread or randomness. The events depend only on the options,
//! the requests and the times given, and not on how often [`Engine::advance`] is called.
//!
//! Drive it with a loop: [`Engine::submit`] and [`Engine::abort`] what has arrived,
//! [`Engine::advance`] to now, deliver the events, wait until [`Engine::next_event_at`] or the next
//! arrival.
//!
//! ```
//! use std::sync::Arc;
//! use turnbench_model::Nanos;
//! use turnbench_simserver::engine::{Engine, EngineOptions, EngineRequest, ReplaySource};
//!
//! let mut engine = Engine::new(EngineOptions::default())?;
//! let answer = Box::new(ReplaySource::new(vec![7, 8]));
//! let id = engine.submit(EngineRequest::new(Arc::from([1, 2, 3]), 2, answer), Nanos::ZERO)?;
//! let mut events = Vec::new();
//! while let Some(at) = engine.next_event_at() {
//!     engine.advance(at, &mut events);
//! }
//! assert!(events.last().is_some_and(|event| event.id() == id));
//! # Ok::<(), turnbench_simserver::engine::EngineError>(())
//! ```

mod admission;
mod answer;
mod error;
mod event;
mod options;
mod request;
mod scheduler;
mod sequence;
mod stats;
mod tiers;

pub use answer::{AnswerOptions, AnswerSource, LengthRule, ReplaySource};
pub use error::EngineError;
pub use event::{EngineEvent, FinishReason};
pub use options::EngineOptions;
pub use request::{EngineRequest, Generated, RequestId, TokenSource};
pub use scheduler::Engine;
pub use stats::EngineStats;
pub use tiers::{
    TIERS_MAX, TRANSFER_BYTES_BOUNDS, TierKind, TierOptions, TierStats, TransferStats,
};
