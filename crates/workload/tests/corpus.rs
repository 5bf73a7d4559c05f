//! Every input of the fuzz corpus, through what the fuzz targets do with it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "its own crate; what fails here has failed"
)]

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/data_set.rs"]
mod targets;

use replay::replay;

#[test]
fn data_set_holds_for_the_corpus() {
    assert!(replay("data_set", targets::data_set) > 3);
}
