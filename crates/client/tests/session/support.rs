//! Sockets, sessions and answers that the tests share.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use turnbench_client::http1::{ChatHeaders, HeadTemplate, get_headers};
use turnbench_client::{
    BasePath, Cancel, Connector, Endpoint, KeepBody, Limits, RawResponse, Request, Session,
    TlsOptions,
};
use turnbench_model::{MonotonicClock, Nanos};

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

pub(crate) fn connector(url: &str, tls: &TlsOptions) -> Arc<Connector> {
    let endpoint = Endpoint::parse(url, BasePath::Normalise).unwrap();
    Arc::new(Connector::new(endpoint, tls, Arc::new(MonotonicClock::start())).unwrap())
}

pub(crate) fn session(url: &str) -> Session {
    Session::new(connector(url, &TlsOptions::default()))
}

pub(crate) async fn send_within(
    session: &mut Session,
    millis: Option<u64>,
    cancel: &Cancel,
) -> RawResponse {
    let headers = get_headers(&ChatHeaders::default());
    let endpoint = session.connector().endpoint().clone();
    let mut head = Vec::new();
    HeadTemplate::new("POST", &endpoint, "/x", &headers).unwrap().write("", Some(4), &mut head);
    let now = session.connector().clock().now();
    let request = Request { bytes: &[&head, b"bo", b"", b"dy"], intended_ns: now, built_ns: None };
    let deadline = millis.map(|millis| now + Nanos::from_millis(millis));
    session.send(request, Limits { deadline, cancel }, &mut KeepBody).await
}

pub(crate) async fn send(session: &mut Session) -> RawResponse {
    send_within(session, None, &Cancel::never()).await
}

/// Reads one request with a body of 4 bytes; `false`: the client closed.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nbody") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return false;
        }
        bytes.push(byte[0]);
    }
    true
}

pub(crate) async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    assert!(read_request(stream).await);
    stream.write_all(answer).await.unwrap();
}
