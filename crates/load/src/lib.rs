//! Who sends which request next, and when.
//!
//! The [`Driver`] holds the conversations of a run and its clients, and answers two questions: what
//! does this client do now ([`Driver::next`]), and what follows from the end of an attempt
//! ([`Driver::finish`]). It is sans-IO: no socket, no thread, no async; time is an argument, so
//! tests are exact to the nanosecond. Given the same calls it gives the same answers.
//!
//! ```
//! use turnbench_load::{AfterAttempt, AttemptEnd, ConversationShape, Driver, Step};
//! use turnbench_model::{Compat, LoadPlan, Nanos, Sampling};
//!
//! let plan = LoadPlan {
//!     num_clients: 1,
//!     max_active_conversations: 1,
//!     max_num_requests: None,
//!     max_turns: None,
//!     early_stop: false,
//!     request_rate: 0.0,
//!     max_retries: 0,
//!     sampling: Sampling::RoundRobin,
//!     warmup_step: false,
//!     seed: 0,
//!     compat: Compat::None,
//! };
//! let mut driver = Driver::new(&plan, vec![ConversationShape::plain(1)])?;
//! let Step::Send(ticket) = driver.next(0, Nanos(5)) else { unreachable!() };
//! assert_eq!((ticket.conversation, ticket.turn, ticket.messages), (0, 1, 1));
//! let after = driver.finish(&ticket, AttemptEnd::Completed, Nanos(9));
//! assert_eq!(after, AfterAttempt::ConversationFinished);
//! assert_eq!(driver.next(0, Nanos(9)), Step::Done);
//! # Ok::<(), turnbench_load::LoadError>(())
//! ```
//!
//! What each policy is, is written in its own file: `own` (turnbench's behaviour), `compat` (the
//! reference program's), `sampling`, `share`, `retry`, `pause`.

mod attempt;
mod client;
mod compat;
mod course;
mod driver;
mod error;
mod own;
mod pause;
mod retry;
mod sampling;
mod shape;
mod share;
mod streams;
mod summary;

pub use attempt::{AfterAttempt, AttemptEnd, Step, Ticket};
pub use driver::Driver;
pub use error::LoadError;
pub use retry::{BACKOFF_MAX, RETRY_AFTER_MAX, is_retriable};
pub use shape::{ConversationShape, TurnShape};
pub use summary::LoadSummary;
