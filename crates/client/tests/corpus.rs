//! Every input of the fuzz corpus, through what the fuzz targets do with it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "its own crate; what fails here has failed"
)]

#[path = "../../../fuzz/src/exchange.rs"]
mod exchange;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/splits.rs"]
mod splits;
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

#[test]
fn chat_batches_holds_for_the_corpus() {
    assert!(replay("chat_batches", targets::chat_batches) > 3);
    assert!(replay("chat", targets::chat_batches) > 3);
}

#[test]
fn exchange_holds_for_the_corpus() {
    assert!(replay("exchange", exchange::exchange) > 3);
    assert!(replay("response", exchange::exchange) > 3);
}
