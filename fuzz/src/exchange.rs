//! The target on a whole exchange.

#![allow(clippy::expect_used, reason = "a target that does not hold panics")]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turnbench_client::api::{ChatDecoder, decode};
use turnbench_client::http1::ResponseReader;
use turnbench_client::{
    BasePath, BodySink, Cancel, Connector, Endpoint, KeepBody, Limits, RawResponse, Request,
    Session, TlsOptions,
};
use turnbench_model::{ManualClock, Nanos, Received};

use super::splits::splits;

const REQUEST: [&[u8]; 2] = [b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", b"{}"];

/// Any bytes as what a server answers, twice on one connection if the client keeps it: a session reads
/// what the reader reads from the same pieces, keeps the connection when the reader says so, and a
/// decoder that takes long bodies in batches says what one that gets the whole says.
pub fn exchange(data: &[u8]) {
    // Before the first byte, an end is that of an idle connection, and the session dials.
    if data.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    for pieces in splits(data).into_iter().chain([vec![data]]) {
        runtime.block_on(check(&pieces));
    }
}

async fn check(pieces: &[&[u8]]) {
    let (mut keeping, mut decoding) = (session(pieces), session(pieces));
    let expect = Expect::of(pieces);
    for _ in 0..2 {
        let kept = send(&mut keeping, &mut KeepBody).await;
        let error = kept.error.as_ref();
        assert_eq!(error.is_some(), expect.is_failed, "{error:?}");
        assert_eq!(kept.head.as_ref(), expect.reader.head());
        assert_eq!(kept.body.bytes(), expect.reader.body().bytes());
        assert_eq!(keeping.is_connected(), expect.keeps_connection());

        let mut decoder = ChatDecoder::new(true);
        let taken = send(&mut decoding, &mut decoder).await;
        assert_eq!(decoder.finish(&taken), decode(&kept, true));
        assert_eq!(decoding.is_connected(), keeping.is_connected());
        // Else it would dial.
        if !keeping.is_connected() {
            break;
        }
    }
}

/// A session on a connection to a server that answers every request with these pieces.
fn session(pieces: &[&[u8]]) -> Session {
    let endpoint = Endpoint::parse("http://127.0.0.1:1", BasePath::Normalise).expect("a URL");
    let clock = Arc::new(ManualClock::default());
    let connector = Connector::new(endpoint, &TlsOptions::default(), clock).expect("no TLS");
    let answer = pieces.iter().map(|piece| piece.to_vec()).collect();
    let connection = connector.adopt(Answering { answer, left: VecDeque::new() });
    Session::on(Arc::new(connector), connection)
}

async fn send(session: &mut Session, sink: &mut impl BodySink) -> RawResponse {
    let request = Request { bytes: &REQUEST, intended_ns: Nanos::ZERO, built_ns: None };
    session.send(request, Limits { deadline: None, cancel: &Cancel::never() }, sink).await
}

/// What the reader makes of an answer.
struct Expect {
    reader: ResponseReader,
    is_failed: bool,
}

impl Expect {
    fn of(pieces: &[&[u8]]) -> Self {
        let mut reader = ResponseReader::new();
        let at = Received::user(Nanos::ZERO);
        let mut is_failed = false;
        for piece in pieces {
            if reader.is_done() || is_failed {
                break;
            }
            is_failed = reader.push(piece, at).is_err();
        }
        is_failed = is_failed || reader.close(at).is_err();
        Self { reader, is_failed }
    }

    fn keeps_connection(&self) -> bool {
        !self.is_failed && self.reader.can_keep_alive()
    }
}

/// A server that brings its answer in one piece a read, and then closes. A new request gets the answer
/// from its beginning.
struct Answering {
    answer: Vec<Vec<u8>>,
    left: VecDeque<Vec<u8>>,
}

impl AsyncRead for Answering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.left.pop_front() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            buffer.put_slice(&piece);
            if !rest.is_empty() {
                self.left.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Answering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.left = self.answer.clone().into();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
