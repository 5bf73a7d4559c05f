//! Every input of the fuzz corpus, through what the fuzz targets do with it.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "its own crate; what fails here has failed"
)]

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/splits.rs"]
mod splits;
#[path = "../../../fuzz/src/raw_request.rs"]
mod targets;

use replay::replay;

#[test]
fn raw_request_holds_for_the_corpus() {
    assert!(replay("raw_request", targets::raw_request) > 3);
}
