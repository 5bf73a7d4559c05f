use super::{ReferenceEnd, decode_reference};
use crate::api::chat::tests::{recorded, response};
use crate::error::TransportError;
use turnbench_model::Nanos;

fn check(name: &str, end: ReferenceEnd, chunks: usize) {
    let decoded = decode_reference(&recorded(name), !name.starts_with("ns_"));
    assert_eq!(decoded.end, end, "{name}");
    assert_eq!(decoded.answer.chunks_ns.len(), chunks, "{name}");
    assert_eq!(decoded.outcome.is_completed(), end == ReferenceEnd::Completed, "{name}");
}

#[test]
fn the_stub_servers_behaviours_end_as_recorded_from_the_reference() {
    // Expectations: `exceptions`, `stats` and log markers of the recorded runs `sse_*`, `no_stream_*`.
    for name in ["normal", "role_null", "no_role", "empty_chunks", "crlf", "no_done", "reasoning"] {
        check(name, ReferenceEnd::Completed, 10);
    }
    check("multi", ReferenceEnd::Completed, 3);
    check("single", ReferenceEnd::Completed, 1);
    check("cut_clean", ReferenceEnd::Completed, 3);
    check("none", ReferenceEnd::Rejected, 0);
    check("ns_normal", ReferenceEnd::Completed, 0);
    let raised = |class| ReferenceEnd::Raised { class };
    check("comments", raised("JSONDecodeError"), 0);
    check("event", raised("JSONDecodeError"), 0);
    check("nospace", raised("JSONDecodeError"), 0);
    check("error_json", raised("KeyError"), 3);
    check("usage_chunk", raised("IndexError"), 10);
    check("ns_null", raised("TypeError"), 0);
    check("ns_role", raised("AssertionError"), 0);
    check("ns_pretty", raised("JSONDecodeError"), 0);
}

#[test]
fn latency_runs_to_done_and_ttft_to_the_first_content() {
    let decoded = decode_reference(&recorded("normal"), true);
    let at = |received: Option<turnbench_model::Received>| received.unwrap().at_ns;
    // One line per read: the role's event, a blank line, the first content.
    assert_eq!(at(decoded.stamps.first_token), Nanos(3));
    assert_eq!(at(decoded.stamps.last_token), Nanos(21));
    assert_eq!(at(decoded.stamps.end), Nanos(25));
    assert_eq!(decoded.answer.first_chunk, "Reply");
    let count = decoded.answer.chunks_ns.len() as u32;
    assert_eq!(decoded.answer.user_stamped_chunks, (0..count).collect::<Vec<_>>());
    let raw = recorded("ns_normal");
    let plain = decode_reference(&raw, false);
    assert_eq!(plain.stamps.first_token, raw.stamps.end);
    assert_eq!(plain.answer.first_chunk, "");
}

#[test]
fn a_broken_connection_raises() {
    let mut raw =
        response(&["data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\ndata: {\"c"]);
    raw.error = Some(TransportError::Truncated);
    let decoded = decode_reference(&raw, true);
    assert_eq!(decoded.end, ReferenceEnd::Raised { class: "ClientPayloadError" });
    assert_eq!(decoded.answer.content, "a");
    raw.error = Some(TransportError::Timeout { limit_ms: 1 });
    assert_eq!(decode_reference(&raw, true).end, ReferenceEnd::Raised { class: "TimeoutError" });
}
