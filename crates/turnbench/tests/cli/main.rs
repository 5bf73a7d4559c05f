//! The real binary, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod convert;
mod data_set;
mod demo;
mod errors;
mod failures;
mod fill_cache;
mod formats;
mod generate;
mod help;
mod history;
mod inspect;
mod ledger;
mod outputs;
mod raw_speed;
mod run_behaviour;
mod run_dir;
mod serve;
mod server_metrics;
mod server_tiers;
mod signals;
mod simulated;
mod tiers;
