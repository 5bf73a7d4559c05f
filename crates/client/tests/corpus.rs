//! Every input of the fuzz corpus, through what the fuzz targets do with it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "its own crate; what fails here has failed"
)]

use std::path::Path;

#[path = "../../../fuzz/src/client.rs"]
mod targets;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut inputs_count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Says which input it was when the target panics.
        println!("{}", path.display());
        target(&std::fs::read(path).unwrap());
        inputs_count += 1;
    }
    assert!(inputs_count > 3, "{name}: {inputs_count}");
}

#[test]
fn response_holds_for_the_corpus() {
    replay("response", targets::response);
}

#[test]
fn chunked_holds_for_the_corpus() {
    replay("chunked", targets::chunked);
}

#[test]
fn event_stream_holds_for_the_corpus() {
    replay("event_stream", targets::event_stream);
}

#[test]
fn chat_holds_for_the_corpus() {
    replay("chat", targets::chat);
}
