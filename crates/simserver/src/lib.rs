//! A simulated inference server that speaks the OpenAI API as vLLM 0.32 does.
//!
//! Floor 2: imports `turnbench-model`, `turnbench-socket` and `turnbench-kvcache`. It is not a mock
//! with sleeps: [`engine`] simulates continuous batching over a paged KV cache in simulated time, and
//! the server lets that time follow the clock. It never looks at the text of a prompt beyond its
//! tokens; its answers are words drawn by seed and prompt. Beside it stands [`raw`], which simulates
//! nothing: a source of the same streams that is faster than any client.
//!
//! **Invariant:** the engine belongs to one task, and learns arrival times only; how busy the
//! machine is changes when tokens are *written*, never when they are made.
//!
//! **What it does not do**, beside thinking: `stop` strings, tools, response formats, penalties and
//! `continue_final_message` are taken and ignored, as are unknown fields; `n`, `best_of` and
//! prompts beyond one, `logprobs` and `echo` are refused with 400; no special tokens are added to
//! text prompts. HTTP chunk sizes are in upper case where uvicorn writes lower case.
//!
//! ```no_run
//! use std::sync::Arc;
//! use turnbench_model::{MonotonicClock, Tokenizer};
//! use turnbench_simserver::{Server, ServerOptions};
//!
//! # fn example(tokenizer: Arc<dyn Tokenizer>) -> Result<(), turnbench_simserver::Error> {
//! let addr = ([127, 0, 0, 1], 0).into();
//! let clock = Arc::new(MonotonicClock::start());
//! let server = Server::bind(addr, ServerOptions::default(), tokenizer, None, clock)?;
//! let running = server.spawn()?;
//! println!("http://{}", running.local_addr());
//! running.stop()
//! # }
//! ```

pub mod engine;
pub mod raw;

mod alarm;
mod connection;
mod driver;
mod error;
mod histogram;
mod http;
mod ids;
mod options;
mod prompt;
mod server;
mod telemetry;
mod truth;
mod vocabulary;

#[cfg(test)]
mod recordings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod words;

pub use error::Error;
pub use options::ServerOptions;
pub use server::{Server, ServerThread};
