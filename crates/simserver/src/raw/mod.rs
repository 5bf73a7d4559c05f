//! A source of event streams that is faster than any client: no engine, no tokens, no JSON parser
//! between the socket and the answer.
//!
//! It answers what an OpenAI client asks for (`/v1/chat/completions`, `/v1/completions`,
//! `/v1/models`, `/version`, `/health`) with prebuilt events in the shape of vLLM 0.32, in which
//! only the answer's id and time are filled in. One thread, one epoll instance, one write per event
//! unless [`RawOptions::events_per_write`] says otherwise; a round of writes over all streams,
//! then a look at the sockets. Of a request it reads the framing and, by a search for their
//! names, four fields.
//!
//! **Invariants:** an answer is a position in the prebuilt bytes, so that a slow reader costs no
//! memory. What the truth says is kept until nothing streams and written then.
//!
//! ```no_run
//! use std::sync::Arc;
//! use turnbench_model::MonotonicClock;
//! use turnbench_simserver::raw::{RawOptions, RawServer};
//!
//! # fn example() -> Result<(), turnbench_simserver::Error> {
//! let clock = Arc::new(MonotonicClock::start());
//! let server = RawServer::bind(([127, 0, 0, 1], 0).into(), RawOptions::default(), clock)?;
//! let running = server.spawn()?;
//! println!("http://{}", running.local_addr());
//! running.stop()
//! # }
//! ```

mod options;

#[cfg(target_os = "linux")]
mod answer;
#[cfg(target_os = "linux")]
mod connection;
#[cfg(target_os = "linux")]
mod connections;
#[cfg(target_os = "linux")]
mod exchange;
#[cfg(target_os = "linux")]
mod fields;
#[cfg(target_os = "linux")]
mod reel;
#[cfg(target_os = "linux")]
mod replies;
#[cfg(target_os = "linux")]
mod request;
#[cfg(target_os = "linux")]
mod schedule;
#[cfg(target_os = "linux")]
mod script;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod truths;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

#[cfg(not(target_os = "linux"))]
mod elsewhere;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{RawServer, RawServerThread, RawStop};
pub use options::{EVENTS_PER_WRITE_MAX, RawOptions};
#[cfg(target_os = "linux")]
pub use request::read_requests;
#[cfg(target_os = "linux")]
pub use server::{RawServer, RawServerThread, RawStop};
