//! What each fuzz target does with its input. The plain tests of the crates replay the corpus through
//! the same functions, which they take in by path.

pub mod client;
#[cfg(feature = "data_set")]
pub mod data_set;
pub mod exchange;
pub mod observe;
#[cfg(feature = "raw_request")]
pub mod raw_request;
pub mod splits;
