use std::io::Write;

use proptest::prelude::*;
use turnbench_model::{Nanos, Received};

use super::{HEAD_BYTES_MAX, INTERIM_MAX, ResponseReader};
use crate::error::{HttpError, TransportError};

fn at(nanos: u64) -> Received {
    Received::user(Nanos(nanos))
}

fn read(pieces: &[&[u8]], close: bool) -> ResponseReader {
    let mut reader = ResponseReader::new();
    for (index, piece) in pieces.iter().enumerate() {
        reader.push(piece, at(index as u64)).unwrap();
    }
    if close {
        reader.close(at(pieces.len() as u64)).unwrap();
    }
    reader
}

const CHUNKED: &[u8] =
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
    Content-Type: text/event-stream; charset=utf-8\r\nRetry-After: 7\r\n\r\n\
    4\r\ndata\r\nB;x=1\r\n: {\"a\": 1}\n\r\n1\r\n\n\r\n0\r\nT: 1\r\n\r\n";

fn body_of(wire: &[u8]) -> Vec<u8> {
    read(&[wire], false).body().bytes().to_vec()
}

#[test]
fn marks_say_which_read_brought_which_bytes() {
    let wire: [&[u8]; 4] = [b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n", b"ab", b"cde", b"f"];
    let reader = read(&wire, false);
    let marks: Vec<_> =
        reader.body().marks().iter().map(|mark| (mark.end, mark.received.at_ns.0)).collect();
    assert_eq!(marks, [(2, 1), (5, 2), (6, 3)]);
    assert_eq!((reader.head_received(), reader.end()), (Some(at(0)), Some(at(3))));
    assert!(reader.can_keep_alive());
}

#[test]
fn a_read_that_brings_only_framing_leaves_no_mark() {
    let reader = read(
        &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n", b"abc", b"\r\n0\r\n\r\n"],
        false,
    );
    assert_eq!(reader.body().marks().len(), 1);
    assert_eq!(reader.end(), Some(at(2)));
}

#[test]
fn taking_bytes_away_keeps_offsets_counting() {
    let mut reader = read(&[b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"], false);
    reader.parts_mut().1.clear();
    reader.push(b"cd", at(9)).unwrap();
    let body = reader.body();
    assert_eq!((body.start(), body.bytes(), body.total_len()), (2, &b"cd"[..], 4));
    assert_eq!(body.marks().iter().map(|mark| mark.end).collect::<Vec<_>>(), [4]);
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    let reader = read(&[b"HTTP/1.0 200 OK\r\n\r\nabc"], true);
    assert_eq!((reader.body().bytes(), reader.can_keep_alive()), (&b"abc"[..], false));
}

#[test]
fn an_early_end_is_told_from_no_response() {
    assert!(matches!(ResponseReader::new().close(at(0)), Err(TransportError::Closed)));
    for cut in [1, 40, CHUNKED.len() - 1] {
        let mut reader = ResponseReader::new();
        reader.push(&CHUNKED[..cut], at(0)).unwrap();
        assert!(matches!(reader.close(at(1)), Err(TransportError::Truncated)), "{cut}");
    }
}

#[test]
fn bytes_after_the_response_forbid_reuse() {
    let reader = read(&[b"HTTP/1.1 204 No Content\r\n\r\n"], false);
    assert!(reader.is_done() && reader.can_keep_alive());
    let reader = read(&[b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"], false);
    assert!(reader.is_done() && !reader.can_keep_alive());
}

#[test]
fn what_is_not_http_is_an_error() {
    let push = |bytes: &[u8]| ResponseReader::new().push(bytes, at(0));
    assert!(matches!(push(b"SSH-2.0-OpenSSH_9.6\r\n"), Err(HttpError::Head(_))));
    assert_eq!(push(b"HTTP/1.1 101 X\r\n\r\n"), Err(HttpError::SwitchingProtocols));
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(70_000));
    assert!(matches!(push(endless.as_bytes()), Err(HttpError::HeadTooLong { .. })));
    let brotli = b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n";
    assert_eq!(push(brotli), Err(HttpError::ContentEncoding));
}

/// Whether a response with a head of `head_len` bytes is read, in pieces of that length.
fn takes_head(head_len: usize, piece_len: usize) -> bool {
    let (start, end) = ("HTTP/1.1 204 No Content\r\nx: ", "\r\n\r\n");
    let wire = format!("{start}{}{end}", "y".repeat(head_len - start.len() - end.len()));
    let mut reader = ResponseReader::new();
    let error = wire.as_bytes().chunks(piece_len).find_map(|piece| reader.push(piece, at(0)).err());
    let limit_bytes = HEAD_BYTES_MAX;
    assert!(error.is_none() || error == Some(HttpError::HeadTooLong { limit_bytes }), "{error:?}");
    assert_eq!(reader.is_done(), error.is_none());
    error.is_none()
}

#[test]
fn interim_responses_have_a_limit_in_number() {
    for (count, is_taken) in [(INTERIM_MAX, true), (INTERIM_MAX + 1, false)] {
        let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count as usize);
        let wire = interim + "HTTP/1.1 204 No Content\r\n\r\n";
        for piece_len in [7, wire.len()] {
            let mut reader = ResponseReader::new();
            let mut pieces = wire.as_bytes().chunks(piece_len);
            let error = pieces.find_map(|piece| reader.push(piece, at(0)).err());
            let refused = HttpError::TooManyInterim { limit_count: INTERIM_MAX };
            assert_eq!(error, (!is_taken).then_some(refused), "{count} in pieces of {piece_len}");
            assert_eq!(reader.is_done(), is_taken);
        }
    }
}

#[test]
fn compressed_bodies_are_decoded_read_by_read() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"data: 1\n\n").unwrap();
    encoder.flush().unwrap();
    let first = encoder.get_ref().len();
    encoder.write_all(b"data: 2\n\n").unwrap();
    let packed = encoder.finish().unwrap();
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    let reader = read(&[head, &packed[..first], &packed[first..]], true);
    assert_eq!(reader.body().bytes(), b"data: 1\n\ndata: 2\n\n");
    assert_eq!(reader.body().marks()[0].end, 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_heads_length_decides_whatever_the_split(
        over in -40_isize..40,
        piece_len in prop_oneof![200_usize..4_000, 60_000_usize..70_000],
    ) {
        let head_len = HEAD_BYTES_MAX.saturating_add_signed(over);
        prop_assert_eq!(takes_head(head_len, piece_len), over <= 0);
    }
}

proptest! {
    #[test]
    fn any_split_reads_the_same(cuts in prop::collection::vec(0..CHUNKED.len(), 0..12)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut reader = ResponseReader::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([CHUNKED.len()]) {
            reader.push(&CHUNKED[from..cut], at(cut as u64)).unwrap();
            from = cut;
        }
        prop_assert!(reader.is_done() && reader.can_keep_alive());
        prop_assert_eq!(reader.body().bytes(), body_of(CHUNKED));
        let head = reader.head().unwrap();
        prop_assert_eq!(head.retry_after.as_deref(), Some("7"));
        prop_assert!(head.is_event_stream());
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let mut reader = ResponseReader::new();
        let starts: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        reader.push(starts, at(0)).unwrap();
        for piece in pieces {
            if reader.push(&piece, at(1)).is_err() {
                break;
            }
        }
    }
}
