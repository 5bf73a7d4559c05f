//! Every input of the fuzz corpus, through what the fuzz targets do with it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "its own crate; what fails here has failed"
)]

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/client.rs"]
mod targets;

use replay::replay;

#[test]
fn response_holds_for_the_corpus() {
    assert!(replay("response", targets::response) > 3);
}

#[test]
fn chunked_holds_for_the_corpus() {
    assert!(replay("chunked", targets::chunked) > 3);
}

#[test]
fn event_stream_holds_for_the_corpus() {
    assert!(replay("event_stream", targets::event_stream) > 3);
}

#[test]
fn chat_holds_for_the_corpus() {
    assert!(replay("chat", targets::chat) > 3);
}
