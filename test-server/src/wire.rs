//! A TCP connection that counts against the limit while it lives, and ends without losing the last bytes
//! written.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep, timeout};

use crate::guests::Stay;

/// How long a closed connection keeps reading.
const LINGER: Duration = Duration::from_secs(1);
/// How much it still reads, in bytes.
const LINGER_BYTES: u64 = 1024 * 1024;

/// The streams that a wire can wrap.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// A TCP connection, possibly with TLS, with its place in the server.
///
/// If a socket is closed while data from the peer is still unread, the kernel resets the connection, and the
/// peer may lose the response that explains why: the Close frame after a message that was too big, or the 403
/// of a handshake. So a dropped wire ends its own side, then reads and discards for a bounded time until the
/// peer ends its side too.
///
/// While it uses HTTP, it fails if the peer reads nothing for a time: a client that sends requests and does
/// not read would hold its place forever. A WebSocket has its own time limit for that.
pub(crate) struct Wire<S: Stream> {
    stream: Option<S>,
    place: Option<OwnedSemaphorePermit>,
    stay: Arc<Stay>,
    /// How long a write may wait.
    patience: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream> Wire<S> {
    pub(crate) fn new(
        stream: S,
        place: OwnedSemaphorePermit,
        stay: Arc<Stay>,
        patience: Duration,
    ) -> Self {
        Self {
            stream: Some(stream),
            place: Some(place),
            stay,
            patience,
            stalled: None,
        }
    }

    /// The result of a write, or an error if it has waited too long.
    fn in_time<T>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() || self.stay.is_over() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut S>> {
        // Present until the drop.
        self.get_mut()
            .stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: Stream> Drop for Wire<S> {
    fn drop(&mut self) {
        if self.stay.is_sent_away() {
            // Somebody needs the place.
            return;
        }
        // Without a runtime, the process is about to end, and the kernel closes what is left.
        if let (Some(stream), Ok(runtime)) =
            (self.stream.take(), tokio::runtime::Handle::try_current())
        {
            let place = self.place.take();
            runtime.spawn(async move {
                let _ = timeout(LINGER, drain(stream)).await;
                drop(place);
            });
        }
    }
}

async fn drain(mut stream: impl Stream) -> io::Result<u64> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
}

impl<S: Stream> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl<S: Stream> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.as_mut().stream()?.poll_write(cx, buffer);
        self.in_time(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.as_mut().stream()?.poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.as_mut().stream()?.poll_shutdown(cx);
        self.in_time(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.as_mut().stream()?.poll_write_vectored(cx, buffers);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }
}
