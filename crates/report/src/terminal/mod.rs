//! Text for the terminal. Every function returns the text; printing it is the caller's.

mod cache;
mod client;
mod conversation_table;
mod demo;
mod frame;
mod headlines;
mod ledger;
mod lines;
mod log_axis;
mod outcome;
mod reference;
mod selfcheck;
mod server;
mod sizes;
mod style;
mod tiers;
mod turns;
mod verdict;
mod workload;

pub use cache::cache_text;
pub use client::client_text;
pub use conversation_table::conversation_table_text;
pub use demo::demo_text;
pub(crate) use frame::Frame;
pub use headlines::headlines_text;
pub use ledger::ledger_text;
pub use outcome::{correction_text, outcome_text};
pub(crate) use reference::{ParameterValue, rates};
pub use reference::{
    Parameters, conversations_text, generation_parameters, generator_text, parameters_text,
    statistics_text,
};
pub use selfcheck::selfcheck_text;
pub use server::server_text;
pub use style::ReferenceStyle;
pub use tiers::tiers_text;
pub use turns::turns_text;
pub use verdict::verdict_text;
pub use workload::workload_text;
