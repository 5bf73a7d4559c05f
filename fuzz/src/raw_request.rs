//! The target on requests to the raw source of `turnbench serve`.

use turnbench_simserver::raw::read_requests;

use super::splits::splits;

/// Any bytes as what a client sends: the same requests, and the same refusal, however they are split.
/// As a request's body they say the same in one piece and in chunks.
pub fn raw_request(data: &[u8]) {
    let expect = read_requests(&[data]);
    let post = "POST /v1/chat/completions HTTP/1.1\r\n";
    let whole = [format!("{post}Content-Length: {}\r\n\r\n", data.len()).as_bytes(), data].concat();
    let whole = read_requests(&[&whole]);
    for pieces in splits(data) {
        assert_eq!(read_requests(&pieces), expect, "{pieces:?}");
        let mut chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for piece in pieces {
            chunked.extend(format!("{:x}\r\n", piece.len()).as_bytes());
            chunked.extend([piece, b"\r\n"].concat());
        }
        chunked.extend(b"0\r\n\r\n");
        assert_eq!(read_requests(&[&chunked]), whole);
    }
}
