//! What the clients of the benchmark have in common: the work they do and the report they print.
//!
//! Stands outside the layers, beside `xtask`; it is no part of the product. Three programs send the
//! same prebuilt requests over the same number of keep-alive connections and read the same streams:
//! `nullclient` only counts events, which is the practical limit of a machine; `hyperclient` reads
//! through hyper; `turnclient` reads through turnbench's own client. None of them decodes.
//!
//! ```sh
//! turnbench serve --raw-speed --port 8000 &
//! nullclient --url http://127.0.0.1:8000 --connections 32 --requests 2000 --max-tokens 128
//! ```

#[cfg(target_os = "linux")]
mod events;
#[cfg(target_os = "linux")]
pub mod hyper_client;
#[cfg(target_os = "linux")]
pub mod null_client;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
pub mod turn_client;
#[cfg(target_os = "linux")]
mod work;

#[cfg(target_os = "linux")]
pub use events::{END_OF_STREAM, EventCounter};
#[cfg(target_os = "linux")]
pub use report::{Measure, Report};
#[cfg(target_os = "linux")]
pub use work::Work;

/// What the programs say on other systems: the benchmark binds processes to cores and reads `/proc`.
#[cfg(not(target_os = "linux"))]
pub const LINUX_ONLY: &str = "the benchmark's clients run on Linux only";
