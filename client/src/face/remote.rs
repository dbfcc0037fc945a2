//! What other threads and tasks hold of a socket that runs natively: everything they want crosses a channel.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
#[cfg(feature = "session")]
use core::time::Duration;
use std::rc::Rc;

use futures_core::Stream;
use futures_util::future::{Either, select};
use steady_socket_protocol::{Decode, DecodeError, Message};
#[cfg(feature = "session")]
use steady_socket_protocol::{
    Encode, Request,
    session::{Ask, End, Ended},
};
use tokio::sync::{mpsc, oneshot};

use super::application::Shared;
use super::errors::{ConnectError, Gone, SendError};
use super::handle::Handle;
use super::outbox::Outbox;
use super::outgoing::Outgoing;
use super::session::Unsent;
#[cfg(feature = "session")]
use super::session::{RequestError, decode_answer};
use super::socket::Socket;
use crate::connection::{CloseError, Event, Phase, SendMode, Sent, Snapshot, check_close};
use crate::native::{self, SocketThread};
#[cfg(feature = "session")]
use crate::options::Number as _;

/// What the socket's thread does for another one.
type Job = Box<dyn FnOnce(&Rc<Shared>) + Send>;

/// How many jobs may wait.
const JOBS: usize = 64;

/// How many events are on their way to a reader. More wait in the stream of [`Socket::events`], with its limit.
const EVENTS: usize = 16;

/// Answers, unless nobody waits for it any more.
fn tell<T>(reply: oneshot::Sender<T>, answer: T) {
    drop(reply.send(answer).err());
}

/// A [`Handle`] for other threads and tasks: it is [`Send`], and so are its futures. It does not keep the connection alive.
///
/// [`Handle::remote`] makes it, or [`RemoteSocket::handle`]. What it does is done on the socket's thread, in the order of the
/// calls that a task awaits. A message is encoded, and an answer decoded, on the caller's. Its futures run on any executor.
pub struct RemoteHandle<Out, C> {
    jobs: mpsc::Sender<Job>,
    types: PhantomData<fn(Out, C)>,
}

impl<Out, C> Clone for RemoteHandle<Out, C> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            types: PhantomData,
        }
    }
}

impl<Out, C> fmt::Debug for RemoteHandle<Out, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteHandle").finish_non_exhaustive()
    }
}

impl<Out, C> Handle<Out, C> {
    /// A handle for other threads and tasks.
    ///
    /// # Errors
    /// If the socket is gone, or this is no place where native sockets run.
    pub fn remote(&self) -> Result<RemoteHandle<Out, C>, Gone> {
        let weak = self.shared.clone();
        if weak.upgrade().is_none_or(|shared| shared.is_gone()) {
            return Err(Gone);
        }
        let (jobs, mut to_do) = mpsc::channel::<Job>(JOBS);
        native::start_here(async move {
            while let Some(job) = to_do.recv().await {
                // What is not done is answered by its end of the channel being dropped.
                match weak.upgrade().filter(|shared| !shared.is_gone()) {
                    Some(shared) => job(&shared),
                    None => return,
                }
            }
        })
        .ok_or(Gone)?;
        Ok(RemoteHandle {
            jobs,
            types: PhantomData,
        })
    }
}

impl<Out, C> RemoteHandle<Out, C> {
    /// Has the socket's thread do something that answers, now or later. If this is dropped before, it is not done.
    async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Rc<Shared>, oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |shared| {
            if !reply.is_closed() {
                act(shared, reply);
            }
        });
        self.jobs.send(job).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// Does something with the socket's [`Handle`], on its thread: whatever has no method here.
    ///
    /// # Errors
    /// If the socket is gone.
    pub async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Handle<Out, C>) -> T + Send + 'static,
    ) -> Result<T, Gone>
    where
        Out: 'static,
        C: 'static,
    {
        self.ask(move |shared, reply| tell(reply, act(&Handle::of(shared))))
            .await
    }

    /// Sends, and waits for room in the queue if there is none.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the message may have been sent, or not.
    ///
    /// # Errors
    /// If the message cannot be encoded, or the connection is closed.
    pub async fn send(&self, message: impl Outgoing<Out, C>) -> Result<(), SendError> {
        let message = message.to_message().map_err(SendError::Encode)?;
        let sent =
            self.ask(
                move |shared, mut reply| match shared.send(message, SendMode::default()) {
                    Ok(_) => tell(reply, Ok(())),
                    Err(Unsent::Never(error)) => tell(reply, Err(error)),
                    Err(Unsent::Full(message)) => {
                        let mut outbox = Outbox::new(Rc::clone(shared), Some(message));
                        native::start_here(async move {
                            let sent = poll_fn(|task| match reply.poll_closed(task) {
                                // Nobody waits for it any more.
                                Poll::Ready(()) => Poll::Ready(None),
                                Poll::Pending => outbox.poll(task).map(Some),
                            })
                            .await;
                            drop(outbox);
                            if let Some(sent) = sent {
                                tell(reply, sent);
                            }
                        });
                    }
                },
            );
        sent.await.unwrap_or(Err(SendError::Closed))
    }

    /// Sends without waiting for room: to the system or into the queue.
    ///
    /// # Errors
    /// If the message cannot be encoded, the queue is full, or the connection is closed.
    pub async fn try_send(&self, message: impl Outgoing<Out, C>) -> Result<Sent, SendError> {
        self.try_send_with(message, SendMode::default()).await
    }

    /// Like [`RemoteHandle::try_send`], but ahead of the queue, now or never, or with a time to live.
    ///
    /// # Errors
    /// See [`RemoteHandle::try_send`].
    pub async fn try_send_with(
        &self,
        message: impl Outgoing<Out, C>,
        mode: SendMode,
    ) -> Result<Sent, SendError> {
        let message = message.to_message().map_err(SendError::Encode)?;
        self.ask(move |shared, reply| tell(reply, shared.try_send(message, mode)))
            .await
            .unwrap_or(Err(SendError::Closed))
    }

    /// See [`Handle::close`].
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
    pub async fn close(&self, code: Option<u16>, reason: &str) -> Result<(), CloseError> {
        check_close(code, reason)?;
        let reason = reason.to_owned();
        // One that is gone is closed.
        let _ = self
            .ask(move |shared, reply| {
                shared.close(code, &reason);
                tell(reply, ());
            })
            .await;
        Ok(())
    }

    /// See [`Handle::reconnect`].
    ///
    /// # Errors
    /// If the socket is gone.
    pub async fn reconnect(&self) -> Result<(), Gone> {
        self.ask(|shared, reply| tell(reply, Handle::<(), ()>::of(shared).reconnect()))
            .await?
    }

    /// The connection's state; [`Phase::Closed`] once the socket is gone.
    pub async fn phase(&self) -> Phase {
        self.ask(|shared, reply| tell(reply, shared.phase()))
            .await
            .unwrap_or(Phase::Closed)
    }

    /// The counters.
    ///
    /// # Errors
    /// If the socket is gone.
    pub async fn snapshot(&self) -> Result<Snapshot, Gone> {
        self.ask(|shared, reply| tell(reply, Handle::<(), ()>::of(shared).snapshot()))
            .await?
    }

    /// The connection's events from now on.
    ///
    /// # Errors
    /// If the socket is gone.
    pub async fn events(&self) -> Result<RemoteEvents, Gone> {
        self.ask(|shared, reply| {
            let Ok(mut events) = Handle::<(), ()>::of(shared).events() else {
                return;
            };
            let (sender, receiver) = mpsc::channel(EVENTS);
            native::start_here(async move {
                // Taken out when there is room, so that its limit and its count of what was missed hold.
                while let Ok(room) = sender.reserve().await {
                    let next = select(Box::pin(events.recv()), Box::pin(sender.closed())).await;
                    match next {
                        Either::Left((Some(event), _)) => room.send(event),
                        _ => return,
                    }
                }
            });
            tell(reply, RemoteEvents(receiver));
        })
        .await
    }
}

#[cfg(feature = "session")]
impl<Out, C> RemoteHandle<Out, C> {
    /// Sends a message of a session, and says what becomes of it; see [`Handle::deliver`]. This is ready when the message is
    /// sent or queued, and its output when its end is known.
    ///
    /// # Cancel safety
    /// If this is dropped before it is ready, the message may have been sent, or not. Dropping its output changes nothing.
    ///
    /// # Errors
    /// If the message cannot be encoded, the queue is full, the connection is closed, the message is larger than the
    /// server takes, or there is no session.
    pub async fn deliver<T: Outgoing<Out, C>>(
        &self,
        message: T,
    ) -> Result<RemoteDelivering<T>, SendError> {
        let encoded = message.to_message().map_err(SendError::Encode)?;
        let sent = self.ask(move |shared, reply| {
            let promised = match shared.session() {
                Some(session) => session.deliver(encoded).map_err(SendError::from),
                None => Err(SendError::NoSession),
            };
            let promised = promised.map(|promise| {
                let (told, end) = oneshot::channel();
                native::start_here(async move {
                    tell(told, promise.await);
                });
                end
            });
            tell(reply, promised);
        });
        let end = sent.await.unwrap_or(Err(SendError::Closed))?;
        Ok(RemoteDelivering {
            message: Some(message),
            end,
        })
    }

    /// Asks the server's application; see [`Handle::request`]. Dropping the future cancels the request at the other end, too.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request<R: Request>(
        &self,
        request: R,
    ) -> Result<R::Response, RequestError<R::Error>>
    where
        C: Encode<R> + Decode<R::Response> + Decode<R::Error>,
    {
        let request = C::encode(&request);
        self.answer::<R>(request, None).await
    }

    /// Like [`RemoteHandle::request`], but gives up after `timeout`, which includes the time until there is a connection.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request_within<R: Request>(
        &self,
        request: R,
        timeout: Duration,
    ) -> Result<R::Response, RequestError<R::Error>>
    where
        C: Encode<R> + Decode<R::Response> + Decode<R::Error>,
    {
        let request = C::encode(&request);
        self.answer::<R>(request, Some(timeout.keep())).await
    }

    async fn answer<R: Request>(
        &self,
        request: Result<Message, steady_socket_protocol::EncodeError>,
        timeout: Option<u64>,
    ) -> Result<R::Response, RequestError<R::Error>>
    where
        C: Decode<R::Response> + Decode<R::Error>,
    {
        let request = request.map_err(|error| RequestError::Unsent(SendError::Encode(error)))?;
        let answer = self.ask(move |shared, mut reply| {
            let asked = match shared.session() {
                Some(session) => session.ask(request, timeout).map_err(SendError::from),
                None => Err(SendError::NoSession),
            };
            let (ask, mut promise) = match asked {
                Ok(asked) => asked,
                Err(error) => return tell(reply, Err(error)),
            };
            let asked = Asked {
                shared: Rc::downgrade(shared),
                ask: Some(ask),
            };
            native::start_here(async move {
                let mut asked = asked;
                let end = poll_fn(|task| match Pin::new(&mut promise).poll(task) {
                    Poll::Ready(end) => Poll::Ready(Some(end)),
                    Poll::Pending => reply.poll_closed(task).map(|()| None),
                })
                .await;
                if let Some(end) = end {
                    asked.ask = None;
                    tell(reply, Ok(end));
                }
            });
        });
        match answer.await {
            Ok(Ok(end)) => decode_answer::<R, C>(end),
            Ok(Err(error)) => Err(RequestError::Unsent(error)),
            // The socket was gone before, or its thread is.
            Err(Gone) => Err(RequestError::Unknown(Ended::Aborted)),
        }
    }
}

/// A request that is cancelled when this is dropped, unless it has ended.
#[cfg(feature = "session")]
struct Asked {
    shared: std::rc::Weak<Shared>,
    ask: Option<Ask>,
}

#[cfg(feature = "session")]
impl Drop for Asked {
    fn drop(&mut self) {
        if let (Some(ask), Some(shared)) = (self.ask, self.shared.upgrade())
            && let Some(session) = shared.session()
        {
            session.cancel(ask);
        }
    }
}

/// Waits for the end of a message that [`RemoteHandle::deliver`] has sent. Dropping it changes nothing: the message is on
/// its way.
#[cfg(feature = "session")]
#[must_use = "it says what becomes of the message"]
#[derive(Debug)]
pub struct RemoteDelivering<T> {
    message: Option<T>,
    end: oneshot::Receiver<Option<End<Message>>>,
}

#[cfg(feature = "session")]
impl<T> Unpin for RemoteDelivering<T> {}

#[cfg(feature = "session")]
impl<T> Future for RemoteDelivering<T> {
    /// As of [`Delivering`](crate::Delivering).
    type Output = Result<(), End<T>>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(end) = Pin::new(&mut self.end).poll(task) else {
            return Poll::Pending;
        };
        let Some(payload) = self.message.take() else {
            return Poll::Pending;
        };
        Poll::Ready(match end {
            Ok(None) => Ok(()),
            Ok(Some(end)) => Err(end.with(payload)),
            // Its thread is gone.
            Err(_) => Err(End::Unknown {
                payload,
                why: Ended::Aborted,
            }),
        })
    }
}

/// The events of a socket on another thread, by [`RemoteHandle::events`]. As of [`Socket::events`], so many are kept for a
/// reader that is slow.
#[derive(Debug)]
pub struct RemoteEvents(mpsc::Receiver<Event<Message>>);

impl RemoteEvents {
    /// The next event, like the stream's `next`; `None` once the socket was dropped.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, no event is lost.
    pub async fn recv(&mut self) -> Option<Event<Message>> {
        self.0.recv().await
    }
}

impl Stream for RemoteEvents {
    type Item = Event<Message>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(task)
    }
}

/// An item of a socket's stream.
type Item<In> = Option<Result<In, DecodeError>>;

/// A [`Socket`] that runs on a [`SocketThread`]: it is [`Send`], and so are its futures. Dropping it closes the connection.
#[must_use = "dropping a socket closes the connection"]
pub struct RemoteSocket<Out, In, C> {
    handle: RemoteHandle<Out, C>,
    /// Wants the next message.
    wants: mpsc::Sender<oneshot::Sender<Item<In>>>,
    /// The next message, which is wanted.
    wanted: Option<oneshot::Receiver<Item<In>>>,
    /// The thread goes on as long as its sockets.
    _thread: SocketThread,
}

impl<Out, In, C> fmt::Debug for RemoteSocket<Out, In, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSocket").finish_non_exhaustive()
    }
}

impl<Out, In, C> RemoteSocket<Out, In, C> {
    /// Runs a socket here, and gives its other end.
    pub(crate) fn new(
        mut socket: Socket<Out, In, C>,
        thread: SocketThread,
    ) -> Result<Self, ConnectError>
    where
        Out: 'static,
        In: Send + 'static,
        C: Decode<In> + 'static,
    {
        let remote = socket.handle().remote();
        let handle = remote.map_err(|Gone| ConnectError::NoRuntime)?;
        let (wants, mut wanted) = mpsc::channel::<oneshot::Sender<Item<In>>>(1);
        native::stay_here(async move {
            // Only what is wanted is taken out: in a session, taking the next message says that this one is handled.
            while let Some(reader) = wanted.recv().await {
                let next = select(Box::pin(socket.recv()), Box::pin(wanted.recv())).await;
                match next {
                    Either::Left((next, _)) => tell(reader, next),
                    // The other end was dropped: it wants no second one meanwhile.
                    Either::Right(_) => return,
                }
            }
        });
        Ok(Self {
            handle,
            wants,
            wanted: None,
            _thread: thread,
        })
    }

    /// A handle for any thread and task, which does not keep the connection alive.
    #[must_use]
    pub fn handle(&self) -> RemoteHandle<Out, C> {
        self.handle.clone()
    }

    /// Sends, and waits for room in the queue if there is none. See [`RemoteHandle::send`].
    ///
    /// # Errors
    /// If the message cannot be encoded, or the connection is closed.
    pub async fn send(&self, message: impl Outgoing<Out, C>) -> Result<(), SendError> {
        self.handle.send(message).await
    }

    /// The next message, like the stream's `next`; `None` once the connection is closed for good.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, no message is lost.
    pub async fn recv(&mut self) -> Item<In> {
        poll_fn(|task| self.poll_recv(task)).await
    }

    fn poll_recv(&mut self, task: &mut Context<'_>) -> Poll<Item<In>> {
        let wanted = match &mut self.wanted {
            Some(wanted) => wanted,
            None => {
                let (reader, wanted) = oneshot::channel();
                // There is room: the one before was answered.
                if self.wants.try_send(reader).is_err() {
                    return Poll::Ready(None);
                }
                self.wanted.insert(wanted)
            }
        };
        let Poll::Ready(next) = Pin::new(wanted).poll(task) else {
            return Poll::Pending;
        };
        self.wanted = None;
        // If its thread is gone, so is the connection.
        Poll::Ready(next.unwrap_or(None))
    }
}

impl<Out, In, C> Stream for RemoteSocket<Out, In, C> {
    type Item = Result<In, DecodeError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(task)
    }
}

/// It holds nothing that is pinned.
impl<Out, In, C> Unpin for RemoteSocket<Out, In, C> {}
