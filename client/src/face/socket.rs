//! The socket: a typed stream and sink that stays connected.

use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;

use futures_core::Stream;
use futures_sink::Sink;
use steady_socket_protocol::{Decode, DecodeError, Encode, Endpoint, Message};

use super::application::{FaceRef, Shared};
#[cfg(doc)]
use super::builder::endpoint;
use super::errors::SendError;
use super::events::Events;
use super::handle::Handle;
use super::waiting::Place;
use crate::browser::is_abandoned;
use crate::connection::{DropReason, Dropped, Event, Input, Phase, SendMode, SendRejected};
use crate::driver::Driver;
use crate::platform::FacePlatform;

/// A typed WebSocket that stays connected: a [`Stream`] of what the server sends and a [`Sink`] for what
/// the application sends.
///
/// * The stream yields `Err` for a message that cannot be decoded, and continues. It ends when the connection is
///   closed for good, and resumes after [`Handle::reconnect`].
/// * The sink accepts one message more than the queue has room for, and is then not ready until there is room,
///   connected or not; `send(…).await` returns when the queue or the browser has the message. Closing the sink closes
///   the connection and waits for that.
/// * Dropping it (after a split, dropping its last half) hands the queue to the browser, closes the connection and
///   frees every listener and timer.
///
/// ```no_run
/// # use futures_util::{SinkExt, StreamExt};
/// # use steady_socket::Socket;
/// # use steady_socket::protocol::PlainText;
/// # async fn hello() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = Socket::<String, String, PlainText>::connect("ws://127.0.0.1:8765")?;
/// socket.send("Ada".to_owned()).await?;
/// assert_eq!(socket.next().await.unwrap()?, "Hello Ada!");
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a socket closes the connection"]
pub struct Socket<Out, In, C> {
    pub(super) driver: Driver<Message, FacePlatform, FaceRef>,
    pub(super) shared: Rc<Shared>,
    /// A message that the sink has accepted but the queue has no room for yet.
    pub(super) waiting: Option<Message>,
    /// Where the task that uses the sink waits.
    pub(super) place: Option<Place>,
    pub(super) types: PhantomData<fn(Out, C) -> In>,
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

    fn phase(&self) -> Phase {
        if is_abandoned() {
            return Phase::Closed;
        }
        self.driver.ask(|connection| connection.phase())
    }

    /// Sends the waiting message, if there is room.
    fn poll_waiting(&mut self, task: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = self.waiting.take() else {
            return match self.phase() {
                Phase::Closing | Phase::Closed => Poll::Ready(Err(SendError::Closed)),
                _ => Poll::Ready(Ok(())),
            };
        };
        let sent = match self.shared.send(message, SendMode::default()) {
            Ok(_) => Ok(()),
            Err(SendRejected::Closed(_)) => Err(SendError::Closed),
            Err(SendRejected::Full(message)) => {
                let room = Some(message.len());
                self.shared.wait(&mut self.place, task, room);
                self.waiting = Some(message);
                return Poll::Pending;
            }
        };
        self.shared.leave(&mut self.place);
        Poll::Ready(sent)
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
        let message = self.shared.inbox.borrow_mut().pop();
        if let Some(message) = message {
            return Poll::Ready(Some(C::decode(message)));
        }
        if self.phase() == Phase::Closed {
            return Poll::Ready(None);
        }
        let earlier = self
            .shared
            .reader
            .borrow_mut()
            .replace(task.waker().clone());
        drop(earlier);
        Poll::Pending
    }
}

impl<Out, In, C: Encode<Out>> Sink<Out> for Socket<Out, In, C> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_waiting(task)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Out) -> Result<(), SendError> {
        let message = C::encode(&item).map_err(SendError::Encode)?;
        match self.shared.send(message, SendMode::default()) {
            Ok(_) => Ok(()),
            Err(SendRejected::Closed(_)) => Err(SendError::Closed),
            Err(SendRejected::Full(message)) => {
                self.waiting = Some(message);
                Ok(())
            }
        }
    }

    /// Ready when the queue or the browser has everything; this does not wait for a connection.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.waiting.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.poll_waiting(task)
    }

    /// Closes the connection; ready once it is closed.
    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.waiting.is_some() && self.poll_waiting(task)?.is_pending() {
            return Poll::Pending;
        }
        match self.phase() {
            Phase::Closed | Phase::Idle | Phase::Closing => {}
            _ => self.driver.command(Input::Close {
                code: None,
                reason: String::new(),
            }),
        }
        let this = &mut *self;
        if matches!(this.phase(), Phase::Closed | Phase::Idle) {
            this.shared.leave(&mut this.place);
            return Poll::Ready(Ok(()));
        }
        this.shared.wait(&mut this.place, task, None);
        Poll::Pending
    }
}

impl<Out, In, C> Drop for Socket<Out, In, C> {
    fn drop(&mut self) {
        if is_abandoned() {
            return;
        }
        // In a handler, the driver itself is dropped when its last user on the stack returns.
        if let Some(message) = self.waiting.take() {
            // There was no room for it until now.
            let bytes = message.len() as u64;
            self.shared.tell(&Event::Dropped(Dropped {
                reason: DropReason::Closed,
                payloads: vec![message],
                omitted: 0,
                bytes,
            }));
        }
        self.shared.leave(&mut self.place);
        self.driver.command(Input::Close {
            code: None,
            reason: String::new(),
        });
        // The event streams receive the last event before they end.
        self.driver.tell_now();
        self.shared.gone.set(true);
        self.shared.watchers.end();
        self.shared.wake_waiting(&|_| true);
    }
}
