//! A TCP connection that counts against the limit while it lives, and ends without losing what was
//! written last.

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

/// How long a closed connection still listens.
const LINGER: Duration = Duration::from_secs(1);
/// How much it still takes, in bytes.
const LINGER_BYTES: u64 = 1024 * 1024;

/// What a wire can be made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// A TCP connection, perhaps with TLS around it, with its place in the server.
///
/// If a socket is closed while something that the peer sent is still unread, the kernel resets the
/// connection, and the peer may lose the answer that explains why: the Close frame after a message
/// that was too big, or the 403 of a handshake. So after its drop a wire ends its own side, and reads
/// and discards for a bounded while until the peer ends its side too.
///
/// As long as it speaks HTTP, it fails when nothing that is written is taken for a time: a client that asks and
/// does not read would hold its place for ever. A WebSocket has a time of its own for that.
pub(crate) struct Wire<S: Stream> {
    stream: Option<S>,
    place: Option<OwnedSemaphorePermit>,
    stay: Arc<Stay>,
    /// How long a write may wait.
    patience: Duration,
    /// Runs while one waits.
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

    /// What has become of a write, or that it has waited for too long.
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
        // There until the drop.
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
            // Somebody waits for the place.
            return;
        }
        // Without a runtime the process is about to end, and the kernel closes what is left.
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
