use std::io;
use std::path::PathBuf;

use turnbench_model::{Failure, FailureKind};

/// What stops a client from being set up. A failed *request* is data: see [`TransportError`].
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL cannot be parsed.
    #[error("url `{url}`: {source}\nhint: give a base url such as http://localhost:8000")]
    Url {
        /// As typed.
        url: String,
        /// Why.
        #[source]
        source: url::ParseError,
    },
    /// The URL has a part that a server's base URL cannot have.
    #[error("url `{url}`: {problem}\nhint: give a base url such as http://localhost:8000")]
    UrlPart {
        /// As typed.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A header's name is not a token (RFC 9110, 5.6.2).
    #[error("header `{name}`: a name is made of letters, digits and any of !#$%&'*+-.^_`|~")]
    HeaderName {
        /// The name.
        name: String,
    },
    /// A header's value holds a control character.
    #[error("header `{name}`: its value must not hold control characters")]
    HeaderValue {
        /// The name; the value may be a secret.
        name: String,
    },
    /// `--ca-cert` cannot be read.
    #[error("--ca-cert {path}: {source}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// `--ca-cert` holds no certificate.
    #[error("--ca-cert {path}: no certificate in it, a PEM file is expected")]
    CaFileEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The machine has no CA certificates, and none were given.
    #[error(
        "no trusted CA certificates on this machine\nhint: give --ca-cert FILE, or --insecure to check none"
    )]
    NoRoots,
    /// TLS cannot be set up.
    #[error("tls: {source}")]
    Tls {
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The server cannot be reached.
    #[error("no answer from {url}: {source}\nhint: {}", source.hint())]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: TransportError,
    },
}

/// Why the exchange of one request and its response broke off.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The host's name has no address.
    #[error("cannot resolve host {host}: {source}")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No connection was accepted.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Address (or host) and port.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Every local port is taken by a connection to this address, open or not yet forgotten by the
    /// kernel.
    #[error("cannot connect to {address}: no local port is free (net.ipv4.ip_local_port_range)")]
    NoLocalPort {
        /// Address and port.
        address: String,
    },
    /// No connection within the connect time limit.
    #[error("cannot connect to {address}: no answer within {} ms", .limit_ms)]
    ConnectTimeout {
        /// Host and port.
        address: String,
        /// The limit.
        limit_ms: u64,
    },
    /// The TLS handshake failed.
    #[error("tls handshake with {host} failed: {source}")]
    Handshake {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The request could not be written, and no response explains why.
    #[error("connection broke while the request was sent: {source}")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading failed.
    #[error("connection broke while the response was read: {source}")]
    Read {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server closed the connection without any response.
    #[error("server closed the connection without a response")]
    Closed,
    /// The server closed the connection inside the response.
    #[error("server closed the connection before the end of the response")]
    Truncated,
    /// The response is not HTTP/1.1, or beyond a limit.
    #[error("invalid http response: {0}")]
    Http(#[from] HttpError),
    /// The request's time limit passed.
    #[error("no complete response within {} ms", .limit_ms)]
    Timeout {
        /// Time from the start of the attempt to its limit.
        limit_ms: u64,
    },
    /// Cut off by the end of the run or by Ctrl-C.
    #[error("cancelled")]
    Cancelled,
}

/// What is wrong with an HTTP response.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HttpError {
    /// The head cannot be parsed.
    #[error("{0} in its head")]
    Head(httparse::Error),
    /// The head is longer than allowed.
    #[error("its head is longer than {limit_bytes} bytes")]
    HeadTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// More interim responses came than allowed.
    #[error("more than {limit_count} interim (1xx) responses before it")]
    TooManyInterim {
        /// The limit.
        limit_count: u32,
    },
    /// `Content-Length` is no number, or several differ.
    #[error("its content-length is not one number")]
    ContentLength,
    /// A switch of protocols that nobody asked for.
    #[error("unasked switch of protocols (status 101)")]
    SwitchingProtocols,
    /// A chunk size line cannot be read.
    #[error("bad chunk framing: {0}")]
    Chunk(&'static str),
    /// The body is longer than allowed.
    #[error("its body is longer than {limit_bytes} bytes")]
    BodyTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body is compressed in a way that was not offered.
    #[error("content-encoding other than gzip, deflate and identity")]
    ContentEncoding,
    /// The compressed body is damaged.
    #[error("its compressed body is damaged")]
    Compression,
}

impl TransportError {
    /// The kind of failure it is in a record; `head_read` when a response head had come.
    pub const fn kind(&self, head_read: bool) -> FailureKind {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::NoLocalPort { .. }
            | Self::ConnectTimeout { .. }
            | Self::Handshake { .. }
            | Self::Closed => FailureKind::Connect,
            Self::Write { .. } | Self::Read { .. } | Self::Truncated => {
                if head_read {
                    FailureKind::Truncated
                } else {
                    FailureKind::Connect
                }
            }
            Self::Http(_) => FailureKind::Invalid,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Cancelled => FailureKind::Cancelled,
        }
    }

    /// What to try, for a server that gives no answer at all.
    const fn hint(&self) -> &'static str {
        match self {
            Self::Handshake { .. } => {
                "--ca-cert FILE trusts the server's CA (a server's own certificate must not be a CA's: \
                 basicConstraints=CA:FALSE), --insecure checks no certificate"
            }
            Self::Http(_) => "is there an http server at this url, or one that speaks https?",
            Self::NoLocalPort { .. } => "widen net.ipv4.ip_local_port_range, or use fewer clients",
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::Closed
            | Self::Truncated
            | Self::Timeout { .. }
            | Self::Cancelled => "is the server running, and is this its url?",
        }
    }

    /// The failure to record. `status` is the response's, where its head had come.
    pub fn failure(&self, status: Option<u16>) -> Failure {
        Failure {
            kind: self.kind(status.is_some()),
            status,
            message: self.to_string(),
            retry_after_ns: None,
        }
    }
}
