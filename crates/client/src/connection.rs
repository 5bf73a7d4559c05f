use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use turnbench_model::{Clock, OpenedConnection, Received};
use turnbench_socket::{StampKeeper, StampedStream};

use crate::endpoint::Endpoint;
use crate::error::{ClientError, TransportError};
use crate::tls::{TlsOptions, client_config};

/// Time limit of a connection attempt (all addresses and the TLS handshake).
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// Connections opened at the same time. A server's queue of connections not yet accepted is some
/// hundreds long (nginx: 511, uvicorn: 2,048), and what does not fit into it waits a second.
const CONNECTS_MAX: usize = 256;

/// Makes connections to one server. Shared by all shards of a run.
pub struct Connector {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    tls: Option<TlsConnector>,
    addresses: OnceCell<Vec<SocketAddr>>,
    connections_count: AtomicU32,
    connects: Semaphore,
    /// Whether a connection's two ends had the same address.
    server_on_this_host: AtomicBool,
    /// From before the first connection until after the last one.
    _stamps: StampKeeper,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connector")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector to `endpoint`. Reads the CA certificates; opens no connection.
    ///
    /// # Errors
    /// When the endpoint is https and the certificates cannot be read.
    pub fn new(
        endpoint: Endpoint,
        tls: &TlsOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let tls =
            if endpoint.is_secure() { Some(TlsConnector::from(client_config(tls)?)) } else { None };
        Ok(Self {
            endpoint,
            clock,
            tls,
            addresses: OnceCell::new(),
            connections_count: AtomicU32::new(0),
            connects: Semaphore::new(CONNECTS_MAX),
            server_on_this_host: AtomicBool::new(false),
            _stamps: StampKeeper::new(),
        })
    }

    /// The server.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The clock of every stamp.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether the server's address is one of this machine's own, as far as connections were made.
    /// A tunnel's near end counts as well.
    pub fn is_server_on_this_host(&self) -> bool {
        self.server_on_this_host.load(Ordering::Relaxed)
    }

    /// Opens a connection, with TLS where the endpoint wants it. The host's name is resolved once
    /// per connector; its addresses are tried in order. Beyond 256 at a time connections wait for one
    /// another, which is in no stamp.
    ///
    /// # Errors
    /// When the name has no address, no address accepts, or the handshake fails, within 30 s.
    pub async fn connect(&self) -> Result<Connection, TransportError> {
        let host = || format!("{}:{}", self.endpoint.host(), self.endpoint.port());
        // Nobody closes the semaphore.
        let _permit = self.connects.acquire().await;
        match tokio::time::timeout(CONNECT_LIMIT, self.open()).await {
            Ok(connected) => connected,
            Err(_) => Err(TransportError::ConnectTimeout {
                address: host(),
                limit_ms: CONNECT_LIMIT.as_millis() as u64,
            }),
        }
    }

    async fn open(&self) -> Result<Connection, TransportError> {
        let connect_ns = self.clock.now();
        let tcp = self.open_tcp().await?;
        let mut handshake_ns = None;
        let address = || format!("{}:{}", self.endpoint.host(), self.endpoint.port());
        let stamped = StampedStream::new(tcp, Arc::clone(&self.clock))
            .map_err(|source| TransportError::Connect { address: address(), source })?;
        let transport = match &self.tls {
            None => Transport::Plain(stamped),
            Some(connector) => {
                let host = self.endpoint.host().to_owned();
                let failed = |source| TransportError::Handshake { host: host.clone(), source };
                let name = ServerName::try_from(host.clone())
                    .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
                handshake_ns = Some(self.clock.now());
                let stream = connector.connect(name, stamped).await.map_err(failed)?;
                Transport::Tls(Box::new(stream))
            }
        };
        let connected_ns = self.clock.now();
        let mut connection = self.connection(transport);
        connection.opened = Some(OpenedConnection {
            connection: connection.number,
            connect_ns,
            handshake_ns,
            connected_ns,
        });
        Ok(connection)
    }

    async fn open_tcp(&self) -> Result<TcpStream, TransportError> {
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let addresses = self
            .addresses
            .get_or_try_init(|| async {
                tokio::net::lookup_host((host, port)).await.map(Iterator::collect::<Vec<_>>)
            })
            .await
            .map_err(|source| TransportError::Resolve { host: host.to_owned(), source })?;
        let mut failure = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    // To an address of its own, a machine connects from that address.
                    let ip = |address: io::Result<SocketAddr>| address.ok().map(|at| at.ip());
                    let is_own =
                        ip(tcp.local_addr()).is_some_and(|own| Some(own) == ip(tcp.peer_addr()));
                    self.server_on_this_host.fetch_or(is_own, Ordering::Relaxed);
                    return Ok(tcp);
                }
                Err(source) => {
                    let refused = self.refused(*address, source);
                    // Of several addresses the first one's reason, but a lack of ports before all.
                    if failure.is_none() || matches!(refused, TransportError::NoLocalPort { .. }) {
                        failure = Some(refused);
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| TransportError::Resolve {
            host: host.to_owned(),
            source: io::Error::from(io::ErrorKind::NotFound),
        }))
    }

    /// Why an address cannot be connected to. Once one connection stood, the address is there, and
    /// `EADDRNOTAVAIL` means that no local port is free.
    fn refused(&self, address: SocketAddr, source: io::Error) -> TransportError {
        let address = address.to_string();
        let was_connected = self.connections_count.load(Ordering::Relaxed) > 0;
        if source.kind() == io::ErrorKind::AddrNotAvailable && was_connected {
            return TransportError::NoLocalPort { address };
        }
        TransportError::Connect { address, source }
    }

    /// Wraps a stream that is no socket, such as one end of `tokio::io::duplex` in a simulation.
    /// Its reads are stamped by the clock.
    pub fn adopt(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Connection {
        self.connection(Transport::Other(Box::new(stream), None))
    }

    fn connection(&self, transport: Transport) -> Connection {
        Connection {
            transport,
            number: self.connections_count.fetch_add(1, Ordering::Relaxed),
            opened: None,
            clock: Arc::clone(&self.clock),
        }
    }
}

/// One connection to the server.
pub struct Connection {
    transport: Transport,
    number: u32,
    opened: Option<OpenedConnection>,
    clock: Arc<dyn Clock>,
}

enum Transport {
    Plain(StampedStream),
    Tls(Box<TlsStream<StampedStream>>),
    Other(Box<dyn Stream>, Option<Received>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Connection {
    /// Its number among the connector's connections, from 0.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How it was opened; `None` for an adopted stream.
    pub const fn opened(&self) -> Option<OpenedConnection> {
        self.opened
    }

    /// Whether the server has closed it, or sent something unasked, while it was idle.
    pub fn is_stale(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_stale(),
            // Session tickets may wait unread: only the end of the stream would mean anything,
            // and telling it apart would take bytes.
            Transport::Tls(_) | Transport::Other(..) => false,
        }
    }

    /// Reads into `buffer`; the stamp is that of the read. No bytes: the end of the stream.
    ///
    /// Over TLS it is the stamp of the latest segment needed for the bytes.
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Received>> {
        let (polled, received) = match &mut self.transport {
            Transport::Plain(stream) => {
                let polled = Pin::new(&mut *stream).poll_read(context, buffer);
                (polled, stream.last_read())
            }
            Transport::Tls(stream) => {
                let filled = buffer.filled().len();
                let polled = Pin::new(&mut *stream).poll_read(context, buffer);
                let socket = stream.get_ref().0;
                // It reads on while there is something to read, be it the end of the stream.
                let has_bytes = buffer.filled().len() > filled;
                (polled, if has_bytes { socket.last_bytes() } else { socket.last_read() })
            }
            Transport::Other(stream, last) => {
                let polled = Pin::new(stream).poll_read(context, buffer);
                if polled.is_ready() {
                    *last = Some(Received::user(self.clock.now()));
                }
                (polled, *last)
            }
        };
        polled.map_ok(|()| received.unwrap_or_else(|| Received::user(self.clock.now())))
    }

    fn stream(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match &mut self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => &mut **stream,
            Transport::Other(stream, _) => stream,
        })
    }

    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, slices)
    }

    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }
}
