//! The engine against recordings of a real vLLM server, and exactly in simulated time.

mod concurrent;
mod determinism;
mod recording;
mod sequential;
mod timing;
