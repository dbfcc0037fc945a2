//! The socket: a typed stream and sink that stays connected.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::rc::Rc;

use futures_core::Stream;
use futures_sink::Sink;
use steady_socket_protocol::{Decode, DecodeError, Encode, Endpoint, Message};

use super::application::{Face, Shared};
#[cfg(doc)]
use super::builder::endpoint;
use super::errors::SendError;
use super::events::Events;
use super::handle::Handle;
use super::outbox::Outbox;
use super::outgoing::Outgoing;
use super::session::Unsent;
use crate::browser::is_abandoned;
use crate::connection::{CloseError, DropReason, Dropped, Event, Input, Phase, SendMode, Sent};
use crate::driver::Driver;
use crate::platform::FacePlatform;

/// A typed WebSocket that stays connected. [`send`](Socket::send) and [`recv`](Socket::recv) need no other crate; for
/// combinators it is also a [`Stream`] of what the server sends and a [`Sink`] for what the application sends.
///
/// * The stream yields `Err` for a message that cannot be decoded, and continues. It ends when the connection is
///   closed for good, and resumes after [`Handle::reconnect`]. It has one reader, like every stream; the JavaScript
///   classes `ReconnectingWebSocket` and `TypedSocket` broadcast to all listeners and loops instead.
/// * The sink accepts one message more than the queue has room for, and is then not ready until there is room,
///   connected or not. Flushing it waits until the queue or the browser has the message. Closing it closes the
///   connection and waits for that.
/// * The stream's `next` is cancel safe. If `SinkExt::send`, `feed` or `flush` is dropped early, a message that the sink
///   has accepted stays there, and the next use of the sink or of `send` sends it first; dropping the socket reports it
///   as dropped. If `SinkExt::close` is dropped early, the connection closes nevertheless.
/// * Dropping it (after a split, dropping its last half) hands the queue to the browser, closes the connection and
///   frees every listener and timer.
///
/// ```no_run
/// # use steady_socket::{PlainText, Socket};
/// # async fn hello() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = Socket::<String, String, PlainText>::connect("ws://127.0.0.1:8765")?;
/// socket.send("Ada").await?;
/// assert_eq!(socket.recv().await.unwrap()?, "Hello Ada!");
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a socket closes the connection"]
pub struct Socket<Out, In, C> {
    driver: Driver<Message, FacePlatform, Face>,
    shared: Rc<Shared>,
    /// A message that the sink has accepted but the queue has no room for yet.
    outbox: Outbox,
    types: PhantomData<fn(Out, C) -> In>,
}

/// The socket that [`endpoint`] makes.
pub type EndpointSocket<E, C> =
    Socket<<E as Endpoint>::ClientMessage, <E as Endpoint>::ServerMessage, C>;

impl<Out, In, C> fmt::Debug for Socket<Out, In, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl<Out, In, C> Socket<Out, In, C> {
    pub(super) fn new(driver: Driver<Message, FacePlatform, Face>, shared: Rc<Shared>) -> Self {
        Self {
            driver,
            outbox: Outbox::new(Rc::clone(&shared), None),
            shared,
            types: PhantomData,
        }
    }

    /// A handle that sends, closes, reconnects and queries, and does not keep the connection alive.
    #[must_use]
    pub fn handle(&self) -> Handle<Out, C> {
        Handle::of(&self.shared)
    }

    /// The connection's events from now on. Right after the socket was made, this includes those of the first
    /// attempt.
    pub fn events(&self) -> Events {
        self.shared.watchers.watch()
    }

    /// Sends, and waits for room in the queue if there is none. What the sink has accepted goes first.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the message was not sent and will not be, it is not reported, and
    /// nothing of it is kept. This does not hold for `SinkExt::send`, which may have handed the message to the sink.
    ///
    /// # Errors
    /// If the message cannot be encoded, or the connection is closed.
    pub async fn send(&mut self, message: impl Outgoing<Out, C>) -> Result<(), SendError> {
        let message = message.to_message().map_err(SendError::Encode)?;
        let mut outbox = Outbox::new(Rc::clone(&self.shared), Some(message));
        poll_fn(move |task| {
            ready!(self.outbox.poll(task))?;
            outbox.poll(task)
        })
        .await
    }

    /// Sends without waiting: to the browser or into the queue, which counts as full while the sink waits for room.
    ///
    /// # Errors
    /// If the message cannot be encoded, the queue is full, or the connection is closed.
    pub fn try_send(&self, message: impl Outgoing<Out, C>) -> Result<Sent, SendError> {
        let message = message.to_message().map_err(SendError::Encode)?;
        if !self.outbox.is_empty() {
            return Err(SendError::Full);
        }
        self.shared.try_send(message, SendMode::default())
    }

    /// The next message, like the stream's `next`; `None` once the connection is closed for good.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, no message is lost.
    pub async fn recv(&mut self) -> Option<Result<In, DecodeError>>
    where
        C: Decode<In>,
    {
        poll_fn(|task| Pin::new(&mut *self).poll_next(task)).await
    }

    /// Closes for good, until [`Handle::reconnect`]. See [`Handle::close`]; `SinkExt::close` also waits for the end.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
    pub fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), CloseError> {
        self.handle().close(code, reason)
    }

    fn phase(&self) -> Phase {
        if is_abandoned() {
            return Phase::Closed;
        }
        self.shared.phase()
    }
}

/// A socket is never structurally pinned.
impl<Out, In, C> Unpin for Socket<Out, In, C> {}

impl<Out, In, C: Decode<In>> Stream for Socket<Out, In, C> {
    type Item = Result<In, DecodeError>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if is_abandoned() {
            return Poll::Ready(None);
        }
        if let Some(session) = self.shared.session() {
            return session
                .poll_next(task)
                .map(|message| message.map(C::decode));
        }
        let message = self.shared.inbox.borrow_mut().pop();
        if let Some(message) = message {
            return Poll::Ready(Some(C::decode(message)));
        }
        if self.phase() == Phase::Closed {
            return Poll::Ready(None);
        }
        self.shared.wait_to_read(task);
        Poll::Pending
    }
}

impl<Out, In, C: Encode<Out>> Sink<Out> for Socket<Out, In, C> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.outbox.is_empty() && matches!(self.phase(), Phase::Closing | Phase::Closed) {
            return Poll::Ready(Err(SendError::Closed));
        }
        self.outbox.poll(task)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Out) -> Result<(), SendError> {
        let message = C::encode(&item).map_err(SendError::Encode)?;
        match self.shared.send(message, SendMode::default()) {
            Ok(_) => Ok(()),
            Err(Unsent::Full(message)) => {
                self.outbox.put(message);
                Ok(())
            }
            Err(unsent) => Err(unsent.into()),
        }
    }

    /// Ready when the queue or the browser has everything; this does not wait for a connection.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.outbox.poll(task)
    }

    /// Closes the connection; ready once it is closed.
    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.outbox.poll(task))?;
        match self.phase() {
            Phase::Closed | Phase::Idle | Phase::Closing => {}
            _ => self.shared.close(None, ""),
        }
        if matches!(self.phase(), Phase::Closed | Phase::Idle) {
            self.outbox.leave();
            return Poll::Ready(Ok(()));
        }
        self.outbox.wait(task, None);
        Poll::Pending
    }
}

impl<Out, In, C> Drop for Socket<Out, In, C> {
    fn drop(&mut self) {
        if is_abandoned() {
            return;
        }
        // In a handler, the driver itself is dropped when its last user on the stack returns.
        if let Some(message) = self.outbox.take() {
            // There was no room for it until now.
            let bytes = message.len() as u64;
            self.shared.emit(&Event::Dropped(Dropped {
                reason: DropReason::Closed,
                payloads: vec![message],
                omitted: 0,
                bytes,
            }));
        }
        self.outbox.leave();
        if let Some(session) = self.shared.session() {
            session.close_now();
        }
        self.driver.command(Input::Close {
            code: None,
            reason: String::new(),
        });
        // The event streams receive the last event before they end.
        self.driver.deliver_now();
        self.shared.gone.set(true);
        self.shared.watchers.end();
        self.shared.wake_waiting(&|_| true);
    }
}
