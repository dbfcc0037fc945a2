//! The way from a session to a connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use steady_socket_protocol::session::frame::Data;

use super::lock;

/// How many bytes may wait for a client's socket before the half is told to wait, and when it may go on.
const HIGH_BYTES: usize = 64 * 1024;
const LOW_BYTES: usize = 16 * 1024;

/// What a session says to a connection.
#[derive(Debug)]
pub(super) enum Order {
    /// Send this.
    Send(Data<'static>),
    /// Close with this code.
    Close(u16),
}

/// The way from a session to a connection. It has no bound of its own: the half stops at [`HIGH_BYTES`].
///
/// A channel of tokio's would do the same, and takes 1.6 KB for as long as it is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Orders>);

#[derive(Debug, Default)]
struct Orders {
    queue: Mutex<VecDeque<Order>>,
    /// The connection, while it waits for an order.
    connection: AtomicWaker,
    /// Bytes that the socket has not taken.
    waiting: AtomicUsize,
}

impl Line {
    fn put(&self, order: Order) {
        lock(&self.0.queue).push_back(order);
        self.0.connection.wake();
    }

    /// Returns whether the half has to wait now.
    pub(super) fn send(&self, data: Data<'static>) -> bool {
        let bytes = data.len();
        let before = self.0.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.put(Order::Send(data));
        before < HIGH_BYTES && before + bytes >= HIGH_BYTES
    }

    pub(super) fn close(&self, code: u16) {
        self.put(Order::Close(code));
    }

    /// The next order, if there is one.
    pub(super) fn take(&self) -> Option<Order> {
        let mut queue = lock(&self.0.queue);
        let order = queue.pop_front();
        if order.is_none() {
            // An idle connection keeps no memory for what it may be told.
            *queue = VecDeque::new();
        }
        order
    }

    /// Waits for the next order. Only the connection does.
    pub(super) async fn next(&self) -> Order {
        poll_fn(|cx| {
            if let Some(order) = self.take() {
                return Poll::Ready(order);
            }
            self.0.connection.register(cx.waker());
            // It may have come in between.
            self.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The socket has taken this much. Returns whether the half may go on.
    pub(super) fn sent(&self, bytes: usize) -> bool {
        let before = self.0.waiting.fetch_sub(bytes, Ordering::Relaxed);
        before >= LOW_BYTES && before - bytes < LOW_BYTES
    }
}
