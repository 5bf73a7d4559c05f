use proptest::prelude::*;

use super::{
    BadRequest, FieldFinder, HEAD_BYTES_MAX, Progress, RawRequest, RequestReader, RequestsRead,
    Route,
};
use crate::http::Api;

const PLAIN: &str = "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: a\r\n\
    Content-Type: application/json\r\nX-SESSION-ID: s 1\r\nContent-Length: 33\r\n\r\n\
    {\"max_tokens\": 5, \"stream\": true}";
const CHUNKED: &str = "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\
    x-request-id: r\r\nConnection: Close\r\n\r\n\
    9;x=y\r\n{\"max_tok\r\n8\r\nens\":12}\r\n0\r\nTrailer: 1\r\n\r\n";
const MODELS: &str = "GET /v1/models HTTP/1.1\r\n\r\n";

/// The requests in `bytes`, which come in pieces of at most that length.
fn read(bytes: &[u8], piece_len: usize) -> RequestsRead {
    RequestsRead::of(&bytes.chunks(piece_len).collect::<Vec<_>>())
}

fn requests(bytes: &[u8]) -> Vec<RawRequest> {
    let read = read(bytes, usize::MAX);
    assert_eq!(read.refused, None);
    read.requests
}

fn check_error(bytes: &str, expect: BadRequest) {
    for piece_len in [usize::MAX, 7, 1_000] {
        let read = read(bytes.as_bytes(), piece_len);
        assert_eq!(read.refused, Some(expect), "{bytes:?} in pieces of {piece_len}");
    }
}

#[test]
fn fields_and_framing_are_read() {
    let all = [PLAIN, CHUNKED, MODELS].concat();
    let requests = requests(all.as_bytes());
    let [plain, chunked, models] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(plain.route, Route::Generate(Api::Chat));
    assert_eq!((plain.fields.tokens, plain.fields.stream), (Some(5), true));
    assert_eq!((plain.x_session_id.as_deref(), plain.close), (Some("s 1"), false));
    assert_eq!(chunked.route, Route::Generate(Api::Completion));
    assert_eq!((chunked.fields.tokens, chunked.fields.stream), (Some(12), false));
    assert_eq!((chunked.x_request_id.as_deref(), chunked.close), (Some("r"), true));
    assert_eq!(models.route, Route::Models);
}

#[test]
fn paths_and_methods_find_their_route() {
    let check = |line: &str, expect: Route| {
        let read = requests(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(read[0].route, expect, "{line}");
    };
    check("GET /health", Route::Health);
    check("GET /version", Route::Version);
    check("GET /nothing", Route::Unknown);
    check("GET /v1/chat/completions", Route::WrongMethod("POST"));
    check("POST /v1/models", Route::WrongMethod("GET"));
    check("HEAD /health", Route::WrongMethod("GET"));
}

#[test]
fn a_client_that_waits_is_told_to_go_on_once() {
    let (mut reader, finder) = (RequestReader::default(), FieldFinder::new());
    let head =
        b"POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(reader.push(head, &finder), Ok(Progress::Continue));
    assert_eq!(reader.push(b"{", &finder), Ok(Progress::More));
    assert!(matches!(reader.push(b"}", &finder), Ok(Progress::Request(_))));
}

#[test]
fn what_cannot_be_read_is_refused() {
    check_error("GET\r\n\r\n", BadRequest::Malformed);
    check_error("GET / HTTP/1.0\r\n\r\n", BadRequest::OldVersion);
    check_error("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", BadRequest::Malformed);
    check_error("POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", BadRequest::TooLong);
    check_error("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", BadRequest::Malformed);
    let chunks =
        |chunks: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    check_error(&chunks("x\r\n"), BadRequest::Malformed);
    check_error(&chunks("1\r\nabc"), BadRequest::Malformed);
    check_error(&chunks("ffffffff\r\n"), BadRequest::TooLong);
    check_error(&format!("GET / HTTP/1.1\r\na: {}", "x".repeat(70_000)), BadRequest::TooLong);
}

/// Requests whose head, or whose lines after it, are `long` bytes long where each has its limit.
fn long_requests(long: usize) -> [Vec<u8>; 3] {
    let filled = |start: &str, end: &str, tail: &str, from: usize| {
        let fill = "x".repeat(long - (start.len() - from) - end.len());
        [start, &fill, end, tail].concat().into_bytes()
    };
    let chunked = "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let at = |line: &str| (format!("{chunked}{line}"), chunked.len());
    let (line, line_from) = at("2;");
    let (trailers, _) = at("2\r\n{}\r\n0\r\na: ");
    [
        filled("GET /health HTTP/1.1\r\nx: ", "\r\n\r\n", "", 0),
        filled(&line, "\r\n", "{}\r\n0\r\n\r\n", line_from),
        filled(&trailers, "\r\n\r\n", "", trailers.len() - "a: ".len()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_limits_hold_whatever_the_split(
        over in -20_isize..20,
        piece_len in prop_oneof![500_usize..4_000, 60_000_usize..70_000],
    ) {
        for wire in long_requests(HEAD_BYTES_MAX.saturating_add_signed(over)) {
            let read = read(&wire, piece_len);
            prop_assert_eq!(read.refused, (over > 0).then_some(BadRequest::TooLong));
            prop_assert_eq!(read.requests.len(), usize::from(over <= 0));
        }
    }
}

proptest! {
    #[test]
    fn any_pieces_give_the_same_requests(
        cuts in prop::collection::vec(0_usize..700, 0..40),
        damage in prop::collection::vec((0_usize..700, any::<u8>()), 0..3),
    ) {
        let mut wire = [PLAIN, CHUNKED, MODELS, PLAIN].concat().into_bytes();
        for (at, byte) in damage {
            if let Some(place) = wire.get_mut(at) {
                *place = byte;
            }
        }
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([wire.len()]) {
            pieces.push(&wire[from..cut]);
            from = cut;
        }
        prop_assert_eq!(RequestsRead::of(&pieces), read(&wire, usize::MAX));
    }

    #[test]
    fn any_bytes_are_read_alike_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        piece_len in 1_usize..20,
    ) {
        let wire = [&b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &bytes].concat();
        for wire in [&wire, &bytes] {
            prop_assert_eq!(read(wire, piece_len), read(wire, usize::MAX));
        }
    }
}
