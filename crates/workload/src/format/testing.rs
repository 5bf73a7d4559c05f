//! What the tests of all readers need.

use std::path::PathBuf;

use proptest::prelude::*;
use turnbench_model::{Conversation, TurnRules};

use super::{Format, Item, Source};

/// What a reader handed out.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Conversations, in order.
    pub(crate) conversations: Vec<Conversation>,
    /// Skips, as `reason: complaint`.
    pub(crate) skips: Vec<String>,
    /// Remarks.
    pub(crate) remarks: Vec<String>,
    /// What ended the file.
    pub(crate) error: Option<String>,
}

/// A file `in.data` of this text.
pub(crate) fn source(text: &str) -> Source {
    source_of_bytes(text.as_bytes())
}

/// Rows as JSONL.
pub(crate) fn lines(rows: &[serde_json::Value]) -> String {
    rows.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A file `in.data` of these bytes; it is gone from its folder once it is open.
pub(crate) fn source_of_bytes(bytes: &[u8]) -> Source {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.data");
    std::fs::write(&path, bytes).unwrap();
    Source::open(&path).unwrap()
}

/// A file below `testdata/formats`.
pub(crate) fn sample(name: &str) -> Source {
    Source::open(&sample_path(name)).unwrap()
}

/// Path of a file below `testdata/formats`.
pub(crate) fn sample_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/formats").join(name)
}

/// Reads all of a file that the format recognizes.
pub(crate) fn read(format: &Format, source: Source) -> Seen {
    assert!((format.sniff)(source.peek()), "not recognized as {}", format.name);
    read_anyway(format, source)
}

/// What holds of each conversation that any reader hands out, however odd the file: it has an id and
/// something to send or to make up, and what was recorded belongs to turns, one entry each.
fn check_whole(conversation: &Conversation) {
    let Conversation { id, messages, recorded, .. } = conversation;
    assert!(!(messages.is_empty() && recorded.is_empty()), "{id}: neither text nor lengths");
    if !messages.is_empty() && !recorded.is_empty() {
        let turns = conversation.turns(TurnRules::default()).len();
        assert_eq!(recorded.len(), turns, "{conversation:?}");
    }
}

/// Reads all of a file, recognized or not.
pub(crate) fn read_anyway(format: &Format, source: Source) -> Seen {
    let mut seen = Seen::default();
    let folder = format!("{}/", source.path().parent().unwrap().display());
    let text = |shown: &dyn std::fmt::Display| shown.to_string().replace(&folder, "");
    for item in (format.read)(source).unwrap() {
        match item {
            Ok(Item::Conversation(conversation)) => {
                check_whole(&conversation);
                seen.conversations.push(*conversation);
            }
            Ok(Item::Skipped(skipped)) => {
                seen.skips.push(format!("{}: {}", skipped.reason, text(&skipped.error)));
            }
            Ok(Item::Remark(remark)) => seen.remarks.push(text(&remark)),
            Ok(Item::Merged(count)) => seen.remarks.push(format!("{count} merged")),
            Err(error) => {
                seen.error = Some(text(&error));
                break;
            }
        }
    }
    seen
}

/// One of these texts with a few places changed: bytes put in, left out, or exchanged for another
/// JSON value.
pub(crate) fn mutated(seeds: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 14] = [
        "null",
        "-1",
        "1e999",
        "18446744073709551616",
        "\"\"",
        "[]",
        "{}",
        "true",
        "\"x\"",
        ",",
        ":",
        "\\u0000",
        "0.5",
        "[[]]",
    ];
    let place = any::<prop::sample::Index>();
    let change = (
        place,
        0_usize..12,
        prop::sample::select(&PIECES[..]),
        prop::option::weighted(0.2, any::<u8>()),
    );
    (prop::sample::select(seeds), prop::collection::vec(change, 0..4)).prop_map(
        |(seed, changes)| {
            let mut bytes = seed.as_bytes().to_vec();
            for (place, length, piece, byte) in changes {
                let place = place.index(bytes.len() + 1);
                // Mostly whole JSON values are exchanged, so that the row still parses.
                let after_colon =
                    bytes[..place].iter().rposition(|&it| it == b':').map(|it| it + 1);
                let start = after_colon.unwrap_or(place);
                let mut values = serde_json::Deserializer::from_slice(&bytes[start..])
                    .into_iter::<serde::de::IgnoredAny>();
                let value = values.next().is_some_and(|value| value.is_ok());
                let value_end = start + values.byte_offset();
                let (changed, new) = match byte {
                    None if value => (start..value_end, piece.as_bytes().to_vec()),
                    _ => (place..bytes.len().min(place + length), byte.into_iter().collect()),
                };
                bytes.splice(changed, new);
            }
            bytes
        },
    )
}
