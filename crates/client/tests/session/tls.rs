//! Whom a client trusts.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use turnbench_client::{BasePath, Connector, Endpoint, Session, TlsOptions, TransportError};
use turnbench_model::MonotonicClock;
#[cfg(target_os = "linux")]
use turnbench_model::StampSource;

use crate::support::*;

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
                    let stamps = &response.stamps;
                    assert_eq!(stamps.connect_ns.is_some(), connect);
                    assert_eq!(stamps.handshake_ns.is_some(), connect);
                    assert!(stamps.connect_ns <= stamps.handshake_ns);
                    assert!(stamps.handshake_ns <= stamps.connected_ns);
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

/// Linux begins to stamp a moment after the first socket has asked for it.
#[cfg(target_os = "linux")]
#[test]
fn kernel_stamps_are_taken_below_tls() {
    block_on(async {
        let authority = authority();
        let (listener, url) = listen().await;
        let url = url.replace("http://", "https://");
        let options = TlsOptions { ca_cert: Some(authority.file.path().into()), insecure: false };
        let connector = connector(&url, &options);
        let mut stamped = None;
        for _ in 0..200 {
            let client = async {
                let mut session = Session::new(Arc::clone(&connector));
                send(&mut session).await;
                send(&mut session).await.body.marks()[0].received
            };
            let (served, received) = tokio::join!(serve_tls(&listener, &authority), client);
            served.unwrap();
            if received.source == StampSource::Kernel {
                stamped = Some(received);
                break;
            }
        }
        let received = stamped.expect("a stamp of the kernel");
        assert!(received.at_ns <= received.read_ns);
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
