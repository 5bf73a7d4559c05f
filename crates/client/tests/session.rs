//! Sessions over loopback sockets: stamps, keep-alive, reconnection, deadlines, cancellation, TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use turnbench_client::api::ChatDecoder;
use turnbench_client::http1::{ChatHeaders, HeadTemplate, get_headers};
use turnbench_client::{
    BasePath, Cancel, Canceller, ClientError, Connector, Endpoint, KeepBody, Limits, RawResponse,
    Request, ServerTokenizer, Session, TlsOptions, TransportError, server_info,
};
use turnbench_model::{FailureKind, MonotonicClock, Nanos, Outcome, Tokenizer};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn connector(url: &str, tls: &TlsOptions) -> Arc<Connector> {
    let endpoint = Endpoint::parse(url, BasePath::Normalise).unwrap();
    Arc::new(Connector::new(endpoint, tls, Arc::new(MonotonicClock::start())).unwrap())
}

fn session(url: &str) -> Session {
    Session::new(connector(url, &TlsOptions::default()))
}

async fn send_within(session: &mut Session, millis: Option<u64>, cancel: &Cancel) -> RawResponse {
    let headers = get_headers(&ChatHeaders::default());
    let endpoint = session.connector().endpoint().clone();
    let mut head = Vec::new();
    HeadTemplate::new("POST", &endpoint, "/x", &headers).unwrap().write("", Some(4), &mut head);
    let now = session.connector().clock().now();
    let request = Request { bytes: &[&head, b"bo", b"", b"dy"], intended_ns: now, built_ns: None };
    let deadline = millis.map(|millis| now + Nanos::from_millis(millis));
    session.send(request, Limits { deadline, cancel }, &mut KeepBody).await
}

async fn send(session: &mut Session) -> RawResponse {
    send_within(session, None, &Cancel::never()).await
}

/// Reads one request with a body of 4 bytes; `false`: the client closed.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> bool {
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

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    assert!(read_request(stream).await);
    stream.write_all(answer).await.unwrap();
}

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

struct Authority {
    certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
    file: tempfile::NamedTempFile,
}

fn authority() -> Authority {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::generate_simple_self_signed(names).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.cert.pem()).unwrap();
    Authority { certificate, file }
}

async fn serve_tls(listener: &TcpListener, authority: &Authority) -> std::io::Result<()> {
    let key = rustls_pki_types::PrivateKeyDer::try_from(
        authority.certificate.signing_key.serialize_der(),
    )
    .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.certificate.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let stream: TcpStream = listener.accept().await?.0;
    let mut stream = acceptor.accept(stream).await?;
    for _ in 0..2 {
        answer(&mut stream, OK).await;
        stream.flush().await?;
    }
    Ok(())
}

#[test]
fn tls_trusts_a_given_ca_or_anyone_and_nobody_else() {
    block_on(async {
        let authority = authority();
        let (listener, url) = listen().await;
        let url = url.replace("http://", "https://");
        let given = TlsOptions { ca_cert: Some(authority.file.path().into()), insecure: false };
        let anyone = TlsOptions { insecure: true, ca_cert: None };
        for options in [given, anyone] {
            let client = async {
                let mut session = Session::new(connector(&url, &options));
                for connect in [true, false] {
                    let response = send(&mut session).await;
                    assert!(response.error.is_none(), "{:?}", response.error);
                    assert_eq!(response.body.bytes(), b"ok");
                    assert_eq!(response.stamps.connect_ns.is_some(), connect);
                }
            };
            let (served, ()) = tokio::join!(serve_tls(&listener, &authority), client);
            served.unwrap();
        }
        // Another authority of the same name is a stranger.
        let stranger = self::authority();
        let strange = TlsOptions { ca_cert: Some(stranger.file.path().into()), insecure: false };
        let client = async { send(&mut Session::new(connector(&url, &strange))).await };
        let (served, response) = tokio::join!(serve_tls(&listener, &authority), client);
        assert!(served.is_err());
        let error = response.error.unwrap();
        assert!(matches!(error, TransportError::Handshake { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    });
}

#[test]
fn a_ca_file_must_hold_a_certificate() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "nothing").unwrap();
    let endpoint = Endpoint::parse("https://h", BasePath::Normalise).unwrap();
    for path in [file.path().to_owned(), file.path().with_extension("missing")] {
        let options = TlsOptions { ca_cert: Some(path.clone()), insecure: false };
        let clock = Arc::new(MonotonicClock::start());
        let error = Connector::new(endpoint.clone(), &options, clock).unwrap_err().to_string();
        assert!(error.contains("--ca-cert") && error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn server_info_tolerates_what_servers_lack() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let models = r#"{"data":[{"id":"m","max_model_len":9}]}"#;
            for (status, body) in [("404 Not Found", "{}"), ("200 OK", models)] {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let length = body.len();
                let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        };
        let connector = connector(&url, &TlsOptions::default());
        let headers = ChatHeaders::default();
        let (info, ()) = tokio::join!(server_info(&connector, &headers), server);
        let info = info.unwrap();
        assert_eq!((info.version, info.models_status), (None, 200));
        let models = info.models.unwrap();
        assert_eq!((models[0].id.as_str(), models[0].max_model_len), ("m", Some(9)));
    });
}

#[test]
fn the_servers_tokenizer_speaks_vllms_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut stream = listener.accept().await.unwrap().0;
        let mut bodies = Vec::new();
        for (status, answer) in [
            ("200 OK", r#"{"count":2,"max_model_len":9,"tokens":[5,7],"token_strs":null}"#),
            ("200 OK", r#"{"prompt":"hé"}"#),
            ("404 Not Found", r#"{"error":{"message":"no such model"}}"#),
        ] {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                request.push(stream.read_u8().await.unwrap());
            }
            let text = String::from_utf8(request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            bodies.push((head.split(' ').nth(1).unwrap().to_owned(), body.to_owned()));
            let length = answer.len();
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        bodies
    };
    let server = std::thread::spawn(|| block_on(serve));
    let connector = connector(&url, &TlsOptions::default());
    let tokenizer = ServerTokenizer::new(connector, &ChatHeaders::default(), "m", 100).unwrap();
    assert_eq!(tokenizer.encode("hé").unwrap(), [5, 7]);
    assert_eq!(tokenizer.decode(&[5, 7]).unwrap(), "hé");
    let error = tokenizer.encode("x").unwrap_err().to_string();
    assert_eq!(error, "/tokenize: status 404: no such model");
    let bodies = server.join().unwrap();
    assert_eq!(bodies[0].0, "/tokenize");
    assert_eq!(bodies[0].1, r#"{"model":"m","prompt":"hé","add_special_tokens":false}"#);
    let expect = r#"{"model":"m","tokens":[5,7]}"#;
    assert_eq!((bodies[1].0.as_str(), bodies[1].1.as_str()), ("/detokenize", expect));
}
