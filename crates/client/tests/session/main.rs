//! Sessions over loopback sockets: stamps, keep-alive, reconnection, deadlines, cancellation, TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server;
mod support;
mod tls;

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turnbench_client::api::ChatDecoder;
use turnbench_client::http1::ChatHeaders;
use turnbench_client::{
    Cancel, Canceller, ClientError, KeepBody, Limits, Request, Session, TlsOptions, TransportError,
    server_info,
};
use turnbench_model::{FailureKind, Nanos, Outcome};

use support::*;

#[test]
fn stamps_come_in_order_and_the_connection_is_reused() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            answer(&mut stream, OK).await;
            answer(&mut stream, OK).await;
        };
        let client = async {
            let mut session = session(&url);
            let first = send(&mut session).await;
            assert!(first.error.is_none() && session.is_connected());
            let stamps = &first.stamps;
            let order = [
                Some(stamps.intended_ns),
                stamps.connect_ns,
                stamps.connected_ns,
                stamps.sent_ns,
                stamps.written_ns,
                stamps.end.map(|end| end.read_ns),
            ];
            assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}");
            assert_eq!((first.connection, first.body.bytes()), (Some(0), &b"ok"[..]));
            let second = send(&mut session).await;
            assert_eq!((second.connection, second.stamps.connect_ns), (Some(0), None));
            assert_eq!(second.reads_count, 1);
        };
        tokio::join!(server, client);
    });
}

#[test]
fn a_connection_that_the_server_means_to_close_is_not_reused() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            for _ in 0..2 {
                let mut stream = listener.accept().await.unwrap().0;
                let close = b"HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                answer(&mut stream, close).await;
            }
        };
        let client = async {
            let mut session = session(&url);
            let first = send(&mut session).await;
            assert_eq!((first.status(), session.is_connected()), (Some(400), false));
            let second = send(&mut session).await;
            assert_eq!((second.connection, second.reconnects_count), (Some(1), 0));
        };
        tokio::join!(server, client);
    });
}

#[test]
fn a_reused_connection_closed_without_a_byte_is_replaced_once() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            answer(&mut stream, OK).await;
            // Closed with the second request already in it: seen only after sending.
            assert!(read_request(&mut stream).await);
            drop(stream);
            answer(&mut listener.accept().await.unwrap().0, OK).await;
        };
        let client = async {
            let mut session = session(&url);
            send(&mut session).await;
            let second = send(&mut session).await;
            assert!(second.error.is_none(), "{:?}", second.error);
            assert_eq!((second.connection, second.reconnects_count), (Some(1), 1));
            assert!(second.stamps.connect_ns >= Some(second.stamps.intended_ns));
            assert!(second.stamps.sent_ns >= second.stamps.connected_ns);
        };
        tokio::join!(server, client);
    });
}

#[test]
fn a_connection_closed_while_idle_is_replaced_before_sending() {
    block_on(async {
        let (listener, url) = listen().await;
        let mut session = session(&url);
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            answer(&mut stream, OK).await;
            stream.shutdown().await.unwrap();
            stream
        };
        let (first, stream) = tokio::join!(send(&mut session), server);
        assert!(first.error.is_none());
        drop(stream);
        let server = async { answer(&mut listener.accept().await.unwrap().0, OK).await };
        let (second, ()) = tokio::join!(send(&mut session), server);
        assert_eq!((second.error.is_none(), second.connection), (true, Some(1)));
    });
}

#[test]
fn a_fresh_connection_closed_without_a_byte_is_a_failure() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            assert!(read_request(&mut listener.accept().await.unwrap().0).await);
        };
        let (response, ()) = tokio::join!(async { send(&mut session(&url)).await }, server);
        let error = response.error.unwrap();
        assert_eq!((error.kind(false), response.reconnects_count), (FailureKind::Connect, 0));
    });
}

#[test]
fn a_broken_response_is_not_sent_anew() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            answer(&mut stream, OK).await;
            answer(&mut stream, &OK[..OK.len() - 1]).await;
        };
        let client = async {
            let mut session = session(&url);
            send(&mut session).await;
            let second = send(&mut session).await;
            assert_eq!((second.body.bytes(), second.reconnects_count), (&b"o"[..], 0));
            let kind = second.error.unwrap().kind(second.head.is_some());
            assert_eq!((kind, session.is_connected()), (FailureKind::Truncated, false));
        };
        tokio::join!(server, client);
    });
}

#[test]
fn deadline_and_cancellation_keep_what_came() {
    block_on(async {
        let (listener, url) = listen().await;
        let (canceller, cancel) = Canceller::new();
        let server = async {
            let mut first = listener.accept().await.unwrap().0;
            answer(&mut first, &OK[..OK.len() - 1]).await;
            let mut second = listener.accept().await.unwrap().0;
            answer(&mut second, &OK[..OK.len() - 1]).await;
            canceller.cancel();
            // The client closes what it cut off.
            assert!(!read_request(&mut first).await && !read_request(&mut second).await);
        };
        let client = async {
            let mut session = session(&url);
            let timed_out = send_within(&mut session, Some(100), &cancel).await;
            assert!(matches!(timed_out.error, Some(TransportError::Timeout { .. })));
            let cancelled = send_within(&mut session, None, &cancel).await;
            assert!(matches!(cancelled.error, Some(TransportError::Cancelled)));
            assert_eq!((timed_out.body.bytes(), timed_out.status()), (&b"o"[..], Some(200)));
            assert!(!session.is_connected() && timed_out.stamps.end.is_some());
        };
        tokio::join!(server, client);
    });
}

#[test]
fn an_early_refusal_of_a_long_request_is_read() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let mut start = [0; 1024];
            stream.read_exact(&mut start).await.unwrap();
            stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
            // Drained, so that closing does not reset the connection before the client has read.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap_or_default();
        };
        let client = async {
            let mut session = session(&url);
            let body = vec![b'x'; 4 << 20];
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
            let now = session.connector().clock().now();
            let request =
                Request { bytes: &[head.as_bytes(), &body], intended_ns: now, built_ns: None };
            let limits = Limits { deadline: None, cancel: &Cancel::never() };
            let response = session.send(request, limits, &mut KeepBody).await;
            assert_eq!(response.status(), Some(413));
        };
        tokio::join!(server, client);
    });
}

#[test]
fn nobody_listening_is_a_connect_failure_with_the_address() {
    block_on(async {
        let (listener, url) = listen().await;
        drop(listener);
        let response = send(&mut session(&url)).await;
        let error = response.error.unwrap();
        assert_eq!((error.kind(false), response.connection), (FailureKind::Connect, None));
        assert!(error.to_string().contains(url.strip_prefix("http://").unwrap()), "{error}");
        let connector = connector(&url, &TlsOptions::default());
        let error = server_info(&connector, &ChatHeaders::default()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }));
        assert!(error.to_string().contains("/version"), "{error}");
    });
}

#[test]
fn adopted_streams_work_as_sockets_do() {
    block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(7);
        let connector = connector("http://simulated", &TlsOptions::default());
        let mut session = Session::on(Arc::clone(&connector), connector.adopt(ours));
        let (response, ()) = tokio::join!(send(&mut session), answer(&mut theirs, OK));
        assert_eq!((response.body.bytes(), response.client_delay_max_ns), (&b"ok"[..], None));
        assert!(session.is_connected());
    });
}

#[test]
fn a_long_stream_is_taken_in_batches_while_it_comes() {
    const EVENTS: usize = 10_000;
    block_on(async {
        let (listener, url) = listen().await;
        let event = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}],\"pad\":\"{}\"}}\n\n",
            "y".repeat(100)
        );
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            answer(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
            stream.write_all(event.repeat(EVENTS).as_bytes()).await.unwrap();
            stream.write_all(b"data: [DONE]\n\n").await.unwrap();
        };
        let client = async {
            let mut session = session(&url);
            let now = session.connector().clock().now();
            let head = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
            let request = Request { bytes: &[head, b"body"], intended_ns: now, built_ns: None };
            let limits = Limits { deadline: None, cancel: &Cancel::never() };
            let mut decoder = ChatDecoder::new(true);
            let response = session.send(request, limits, &mut decoder).await;
            assert!(response.body.start() > event.len() * EVENTS / 2);
            assert!(response.body.bytes().len() < 512 * 1024);
            let decoded = decoder.finish(&response);
            assert_eq!(
                (decoded.outcome, decoded.answer.content.len()),
                (Outcome::Completed, EVENTS)
            );
            assert!(decoded.answer.chunks_ns.is_sorted());
        };
        tokio::join!(server, client);
    });
}

/// An answer longer than what is held at once, whose body stays open: `[DONE]` is seen wherever the
/// reads cut it.
#[test]
fn the_end_of_a_long_stream_is_seen_however_it_is_cut() {
    const EVENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let events = EVENT.repeat(700);
    let done = "data: [DONE]\n\n";
    for cut in 0..done.len() {
        block_on(async {
            let connector = connector("http://127.0.0.1:1", &TlsOptions::default());
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let mut session = Session::on(Arc::clone(&connector), connector.adopt(ours));
            let serve = async {
                let mut theirs = theirs;
                let mut request = [0; 4096];
                assert!(theirs.read(&mut request).await.unwrap() > 0);
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
                theirs.write_all(head.as_bytes()).await.unwrap();
                theirs.write_all(events.as_bytes()).await.unwrap();
                theirs.write_all(&done.as_bytes()[..cut]).await.unwrap();
                tokio::task::yield_now().await;
                theirs.write_all(&done.as_bytes()[cut..]).await.unwrap();
                // Open until the client has gone.
                theirs.read(&mut request).await
            };
            let mut decoder = ChatDecoder::new(true);
            let cancel = Cancel::never();
            let deadline = Some(Nanos::from_millis(3_600_000));
            let limits = Limits { deadline, cancel: &cancel };
            let request = Request { bytes: &[b"x"], intended_ns: Nanos::ZERO, built_ns: None };
            tokio::time::pause();
            let client = async {
                let response = session.send(request, limits, &mut decoder).await;
                drop(session);
                response
            };
            let (response, _) = tokio::join!(client, serve);
            let error = response.error.as_ref();
            assert!(
                matches!(error, Some(TransportError::Timeout { limit_ms: 1_000 })),
                "{cut}: {error:?}"
            );
            let decoded = decoder.finish(&response);
            assert!(decoded.outcome.is_completed(), "{cut}: {:?}", decoded.outcome);
            assert_eq!(decoded.answer.content.len(), 700);
        });
    }
}
