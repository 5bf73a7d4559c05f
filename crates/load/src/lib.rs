//! Who sends which request next, and when.
//!
//! The [`Driver`] holds the conversations of a run and hands out the clients of each phase. A
//! [`ClientLoop`] answers two questions: what does it do now ([`ClientLoop::next`]), and what
//! follows from the end of an attempt ([`ClientLoop::finish`]). It is sans-IO: no socket, no thread,
//! no async; time is an argument, so tests are exact to the nanosecond. Clients may be moved to
//! threads of their own, since nothing they share has a lock. Given the same calls in the same order
//! they give the same answers.
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
//! for mut client in driver.take_clients() {
//!     let Step::Send(ticket) = client.next(Nanos(5)) else { unreachable!() };
//!     assert_eq!((ticket.conversation, ticket.turn, ticket.messages), (0, 1, 1));
//!     let after = client.finish(&ticket, AttemptEnd::Completed, Nanos(9));
//!     assert_eq!(after, AfterAttempt::ConversationFinished);
//!     assert_eq!(client.next(Nanos(9)), Step::Done);
//! }
//! assert_eq!(driver.summary().finished, [0]);
//! # Ok::<(), turnbench_load::LoadError>(())
//! ```
//!
//! What each policy is, is written in its own file: `own` (turnbench's behaviour), `compat` (the
//! reference program's), `sampling`, `share`, `retry`, `pause`.

mod attempt;
mod client;
mod common;
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
mod stop;
mod streams;
mod summary;
mod tally;

pub use attempt::{AfterAttempt, AttemptEnd, Step, Ticket};
pub use client::ClientLoop;
pub use driver::Driver;
pub use error::LoadError;
pub use retry::{BACKOFF_MAX, RETRY_AFTER_MAX, is_retriable};
pub use shape::{ConversationShape, TurnShape};
pub use stop::StopSwitch;
pub use summary::LoadSummary;
