use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turnbench_model::Clock;
use turnbench_socket::StampedStream;

use crate::truth::WriteWatch;

/// A client's connection that tells the [`WriteWatch`] about writes.
pub(crate) struct WatchedStream {
    stream: StampedStream,
    watch: Arc<WriteWatch>,
    clock: Arc<dyn Clock>,
}

impl WatchedStream {
    /// Watches `stream`.
    pub(crate) fn new(
        stream: StampedStream,
        watch: Arc<WriteWatch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { stream, watch, clock }
    }

    fn watched(
        &mut self,
        write: impl FnOnce(Pin<&mut StampedStream>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !self.watch.is_on() {
            return write(Pin::new(&mut self.stream));
        }
        let before = self.clock.unix_ns();
        let written = write(Pin::new(&mut self.stream));
        if matches!(written, Poll::Ready(Ok(_))) {
            self.watch.wrote(before);
        }
        written
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().watched(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().watched(|stream| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
