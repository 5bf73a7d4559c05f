//! Every input of the fuzz corpus, through what the fuzz target does with it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "its own crate; what fails here has failed"
)]

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/observe.rs"]
mod targets;

#[test]
fn metrics_holds_for_the_corpus() {
    assert!(replay::replay("metrics", targets::metrics) > 3);
}
