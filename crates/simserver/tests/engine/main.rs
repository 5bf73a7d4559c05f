//! The engine against recordings of a real vLLM server, and exactly in simulated time.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and picks the events it looks at"
)]

mod concurrent;
mod determinism;
mod progress;
mod recording;
mod reuse;
mod sequential;
mod speeds;
mod tier_model;
mod tiers;
mod timing;
