use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::ReadBuf;
use turnbench_model::{Clock, Nanos, OpenedConnection, Received, StampSource, Stamps};

use crate::cancel::Cancel;
use crate::connection::{Connection, Connector};
use crate::error::TransportError;
use crate::http1::{Body, ResponseHead, ResponseReader};
use crate::response::RawResponse;
use crate::stream_end::says_done;

/// Bytes of one socket read at most.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Held body bytes from which a sink is asked to take them.
///
/// NOTE(perf): some 50 events, decoded in a few microseconds; with the next read they fit into a buffer
/// of 16 KB. With 256 KB a response's buffer grew through fresh pages: 4 % of a thread's time at full
/// speed, and 50 KB for each of 1,024 streams.
const SINK_BYTES: usize = 12 * 1024;
/// How soon after its sending a request meets the end of a connection that was closed while idle.
const STALE_WITHIN: Nanos = Nanos::from_millis(100);
/// How long the end of the body may follow `[DONE]`; everything has been said by then.
const END_AFTER_DONE: Duration = Duration::from_secs(1);
/// Slices of a request at most.
const SLICES_MAX: usize = 8;

thread_local! {
    /// The read buffer of all connections of a thread; in use only while one of them is polled.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into_boxed_slice());
}

/// Takes body bytes while a long response is still coming, so that memory stays bounded.
pub trait BodySink {
    /// Called now and then with what is held; may take it with [`Body::clear`].
    fn take(&mut self, head: &ResponseHead, body: &mut Body);
}

/// Takes nothing: the whole body stays in the response.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepBody;

impl BodySink for KeepBody {
    fn take(&mut self, _head: &ResponseHead, _body: &mut Body) {}
}

/// A request ready to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its bytes, head first: at most 8 slices, sent one after another without being joined.
    pub bytes: &'a [&'a [u8]],
    /// When the load model wanted it sent.
    pub intended_ns: Nanos,
    /// When its body was ready.
    pub built_ns: Option<Nanos>,
}

/// What cuts a request off.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Moment of the time limit on the connector's clock; `None`: no limit.
    pub deadline: Option<Nanos>,
    /// Cancellation.
    pub cancel: &'a Cancel,
}

/// One client's place at the server: one keep-alive connection, replaced when it is gone.
#[derive(Debug)]
pub struct Session {
    connector: Arc<Connector>,
    connection: Option<Connection>,
}

impl Session {
    /// A session without a connection yet.
    pub const fn new(connector: Arc<Connector>) -> Self {
        Self { connector, connection: None }
    }

    /// A session on a connection made elsewhere.
    pub const fn on(connector: Arc<Connector>, connection: Connection) -> Self {
        Self { connector, connection: Some(connection) }
    }

    /// Its connector.
    pub const fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Whether the next request goes out on an open connection.
    pub const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Opens a connection now, if there is none, so that the next request finds one.
    ///
    /// # Errors
    /// As [`Connector::connect`]; the next request then tries for itself.
    pub async fn connect(&mut self) -> Result<Option<OpenedConnection>, TransportError> {
        if self.is_connected() {
            return Ok(None);
        }
        let connection = self.connector.connect().await?;
        let opened = connection.opened();
        self.connection = Some(connection);
        Ok(opened)
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// Sends a request and reads its response to the end.
    ///
    /// Never fails: what came before an error, the deadline or a cancellation is in the response,
    /// with the reason beside it; the connection is closed then.
    ///
    /// A reused connection that breaks within 100 ms and before any byte of the response had been
    /// closed by the server while it was idle. The request is then sent anew, once, on a fresh
    /// connection, with stamps taken anew, and counted.
    ///
    /// A body that does not end within a second of its `[DONE]` is cut off there.
    pub async fn send(
        &mut self,
        request: Request<'_>,
        limits: Limits<'_>,
        sink: &mut impl BodySink,
    ) -> RawResponse {
        let clock = Arc::clone(self.connector.clock());
        let mut attempt = Attempt::new(request);
        let started = clock.now();
        let deadline = limits.deadline.map(|deadline| deadline.since(started));
        let cut_off = async {
            let Some(left) = deadline else {
                limits.cancel.cancelled().await;
                return TransportError::Cancelled;
            };
            tokio::select! {
                () = limits.cancel.cancelled() => TransportError::Cancelled,
                () = tokio::time::sleep(Duration::from_nanos(left.0)) => {
                    TransportError::Timeout { limit_ms: left.0.div_ceil(1_000_000) }
                }
            }
        };
        // Polled only when it was woken, not at every read.
        let mut cut_off: FuturesUnordered<_> = std::iter::once(cut_off).collect();
        let ended = tokio::select! {
            biased;
            ended = self.attempt(request, &*clock, &mut attempt, sink) => ended,
            Some(why) = cut_off.next() => Err(why),
        };
        attempt.finish(ended, &*clock)
    }

    async fn attempt(
        &mut self,
        request: Request<'_>,
        clock: &dyn Clock,
        attempt: &mut Attempt,
        sink: &mut impl BodySink,
    ) -> Result<(), TransportError> {
        // Taken out: whatever cuts this off drops, and so closes, the connection.
        let idle = self.connection.take().filter(|connection| !connection.is_stale());
        let connection = match idle {
            None => self.connect_and_exchange(request, clock, attempt, sink).await?,
            Some(mut connection) => {
                match attempt.exchange(&mut connection, request, clock, sink).await {
                    Ok(()) => connection,
                    Err(error) if is_closed(&error) && attempt.is_stale(clock.now()) => {
                        drop(connection);
                        attempt.start_anew(request);
                        self.connect_and_exchange(request, clock, attempt, sink).await?
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        if attempt.reader.can_keep_alive() {
            self.connection = Some(connection);
        }
        Ok(())
    }

    async fn connect_and_exchange(
        &self,
        request: Request<'_>,
        clock: &dyn Clock,
        attempt: &mut Attempt,
        sink: &mut impl BodySink,
    ) -> Result<Connection, TransportError> {
        attempt.stamps.connect_ns = Some(clock.now());
        let mut connection = self.connector.connect().await?;
        if let Some(opened) = connection.opened() {
            attempt.stamps.connect_ns = Some(opened.connect_ns);
            attempt.stamps.handshake_ns = opened.handshake_ns;
            attempt.stamps.connected_ns = Some(opened.connected_ns);
        }
        attempt.exchange(&mut connection, request, clock, sink).await?;
        Ok(connection)
    }
}

/// Whether the error is what an already closed connection gives.
const fn is_closed(error: &TransportError) -> bool {
    matches!(
        error,
        TransportError::Closed | TransportError::Write { .. } | TransportError::Read { .. }
    )
}

/// What is known of an exchange while it goes on.
struct Attempt {
    reader: ResponseReader,
    stamps: Stamps,
    connection: Option<u32>,
    reads_count: u32,
    client_delay_max_ns: Option<Nanos>,
    reconnects_count: u32,
    /// Whether the last read brought as much as one can.
    read_is_full: bool,
}

impl Attempt {
    fn new(request: Request<'_>) -> Self {
        Self {
            reader: ResponseReader::new(),
            stamps: Stamps {
                intended_ns: request.intended_ns,
                built_ns: request.built_ns,
                ..Stamps::default()
            },
            connection: None,
            reads_count: 0,
            client_delay_max_ns: None,
            reconnects_count: 0,
            read_is_full: false,
        }
    }

    fn start_anew(&mut self, request: Request<'_>) {
        let reconnects_count = self.reconnects_count + 1;
        *self = Self { reconnects_count, ..Self::new(request) };
    }

    /// Whether what just broke was an idle connection that the server had closed before.
    fn is_stale(&self, now: Nanos) -> bool {
        let sent = self.stamps.sent_ns.unwrap_or(now);
        !self.reader.is_touched() && now.since(sent) < STALE_WITHIN
    }

    async fn exchange(
        &mut self,
        connection: &mut Connection,
        request: Request<'_>,
        clock: &dyn Clock,
        sink: &mut impl BodySink,
    ) -> Result<(), TransportError> {
        self.connection = Some(connection.number());
        self.stamps.sent_ns = Some(clock.now());
        let written = write_all(connection, request.bytes).await;
        if written.is_ok() {
            self.stamps.written_ns = Some(clock.now());
        }
        // A server that refuses a request early may close before it has read all of it: the
        // response that says why is still worth reading.
        let read = self.read(connection, sink).await;
        match (written, read) {
            (Err(source), Err(_)) if !self.reader.is_touched() => {
                Err(TransportError::Write { source })
            }
            (_, read) => read,
        }
    }

    async fn read(
        &mut self,
        connection: &mut Connection,
        sink: &mut impl BodySink,
    ) -> Result<(), TransportError> {
        let mut until = None;
        while !self.reader.is_done() {
            let known_len = self.reader.body().bytes().len();
            let read = poll_fn(|context| {
                SCRATCH.with_borrow_mut(|scratch| {
                    let mut buffer = ReadBuf::new(scratch);
                    let received = ready!(connection.poll_receive(context, &mut buffer))
                        .map_err(|source| TransportError::Read { source })?;
                    Poll::Ready(self.take_read(buffer.filled(), received))
                })
            });
            if let Some(until) = until {
                let Ok(read) = tokio::time::timeout_at(until, read).await else {
                    let limit_ms = END_AFTER_DONE.as_millis() as u64;
                    return Err(TransportError::Timeout { limit_ms });
                };
                read?;
            } else {
                read.await?;
                if says_done(self.reader.body().bytes(), known_len) {
                    // The runtime's timer counts from its own clock.
                    until = Some(after(END_AFTER_DONE));
                }
            }
            let held = self.reader.body().bytes();
            // Between lines, so that `[DONE]` is always seen whole; what has no lines goes anyway.
            if (held.len() >= SINK_BYTES && held.ends_with(b"\n") || held.len() >= 2 * SINK_BYTES)
                && let (Some(head), body) = self.reader.parts_mut()
            {
                sink.take(head, body);
            }
            if self.read_is_full {
                // A source faster than the client: the others, and time limits, have their turn.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn take_read(&mut self, bytes: &[u8], received: Received) -> Result<(), TransportError> {
        if bytes.is_empty() {
            return self.reader.close(received);
        }
        self.reads_count = self.reads_count.saturating_add(1);
        self.read_is_full = bytes.len() == READ_BYTES_MAX;
        // A step of the wall clock must not put an arrival before the request.
        let earliest = self.stamps.sent_ns.unwrap_or_default().min(received.read_ns);
        let received = Received { at_ns: received.at_ns.max(earliest), ..received };
        if received.source == StampSource::Kernel {
            self.client_delay_max_ns = self.client_delay_max_ns.max(Some(received.delay()));
        }
        Ok(self.reader.push(bytes, received)?)
    }

    fn finish(mut self, ended: Result<(), TransportError>, clock: &dyn Clock) -> RawResponse {
        self.stamps.headers = self.reader.head_received();
        self.stamps.end = Some(self.reader.end().unwrap_or_else(|| Received::user(clock.now())));
        let (head, body) = self.reader.into_parts();
        RawResponse {
            head,
            body,
            stamps: self.stamps,
            connection: self.connection,
            reads_count: self.reads_count,
            client_delay_max_ns: self.client_delay_max_ns,
            reconnects_count: self.reconnects_count,
            error: ended.err(),
        }
    }
}

/// That long from now, on the runtime's clock.
fn after(span: Duration) -> tokio::time::Instant {
    tokio::time::sleep(span).deadline()
}

/// Writes all slices, in as few calls as the kernel allows.
async fn write_all(connection: &mut Connection, parts: &[&[u8]]) -> io::Result<()> {
    let mut storage = [io::IoSlice::new(&[]); SLICES_MAX];
    let joined: Vec<u8>;
    let slices = if parts.len() <= SLICES_MAX {
        for (slice, part) in storage.iter_mut().zip(parts) {
            *slice = io::IoSlice::new(part);
        }
        &mut storage[..parts.len()]
    } else {
        joined = parts.concat();
        storage[0] = io::IoSlice::new(&joined);
        &mut storage[..1]
    };
    let mut left = slices;
    io::IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let written = poll_fn(|context| connection.poll_send(context, left)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        io::IoSlice::advance_slices(&mut left, written);
    }
    poll_fn(|context| connection.poll_flush(context)).await
}
