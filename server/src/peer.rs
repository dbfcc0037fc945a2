//! A client, as the program sees it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use steady_socket_protocol::session::frame::{Refusal, Why};
use steady_socket_protocol::session::store::Identity;
use steady_socket_protocol::session::{Ask, AskEnd, End, Ended, Token};
use steady_socket_protocol::{
    DecodeError, Decodes, Encodes, Endpoint, Message, Request, Subprotocol,
};
use tokio::sync::oneshot;

use crate::body::Body;
use crate::errors::{RequestError, SendError};
use crate::log::{Commit, Entry, Log, Logs};
use crate::plain::Plain;
use crate::session::{Finished, Life, Session, WaitingForRoom};

/// A client: what its handler receives from, and sends to. It lasts as long as the client's session; without a session, as
/// long as its connection. When it is dropped, the conversation ends: a connection is closed with 1000 when everything has
/// been sent, and a session ends when everything has been acknowledged, or after
/// [`close_timeout`](crate::Options::close_timeout).
///
/// Everything of a [`Handle`] can be called on it, too.
pub struct Peer<E: Endpoint> {
    handle: Handle<E>,
    /// The message that the program has, in a session.
    current: Option<Token>,
    /// The last message could not be decoded.
    malformed: bool,
    close_timeout: Duration,
    logs: Arc<Logs>,
}

impl<E: Endpoint> Peer<E> {
    pub(crate) const fn new(handle: Handle<E>, close_timeout: Duration, logs: Arc<Logs>) -> Self {
        Self {
            handle,
            logs,
            current: None,
            malformed: false,
            close_timeout,
        }
    }

    /// The next message; `None` when the client has gone for good or the session is over. With a session, asking for it says
    /// that the one before is *handled*, which the client is told. Cancel-safe: no message is lost if this future is
    /// dropped.
    ///
    /// An error is a message that cannot be decoded. The conversation goes on, if the program wants that; if it ends there,
    /// the client is told why, with the code 1007.
    pub async fn next(&mut self) -> Option<Result<E::ClientMessage, DecodeError>> {
        let message = match &self.handle.link {
            Link::Plain(plain) => plain.next().await?,
            Link::Session(session, life) => {
                session.next(*life, &mut self.current).await?.into_message()
            }
        };
        let decoded = (self.handle.subprotocol.decode_client)(message);
        self.malformed = decoded.is_err();
        Some(decoded)
    }

    /// Says that the message that the program has is *handled*, together with what it has led to: one step of the store. With
    /// sessions in Redis, whichever process has the session next either has all of it, or is given the message again; so a
    /// handler that only commits does everything once, also when its process is killed.
    ///
    /// It waits while too much waits for this client. Without a message of a session, all is sent and appended, one after
    /// another.
    ///
    /// # Errors
    /// [`SendError::Encode`], [`SendError::TooLarge`] if a message, or all of them together, are larger than the client takes,
    /// or [`SendError::Closed`]. Then nothing was done, and the message is not handled yet.
    pub async fn commit(&mut self, commit: Commit<E>) -> Result<(), SendError> {
        let sends = commit.sends.iter().map(|message| self.encode(message));
        let mut sends = sends.collect::<Result<Vec<_>, _>>()?;
        let appends = commit.appends.iter().map(|(log, entry)| {
            let entry = Entry::of::<E>(entry).map_err(SendError::Encode)?;
            Ok((Arc::clone(log), entry))
        });
        let mut appends = appends.collect::<Result<Vec<_>, SendError>>()?;
        let (Link::Session(session, life), Some(token)) = (&self.handle.link, self.current) else {
            for body in sends {
                self.send_body(body).await?;
            }
            for (log, entry) in appends {
                self.logs.append(&log, entry).await?;
            }
            return Ok(());
        };
        let _waiting = WaitingForRoom::new(session);
        loop {
            // Before it is tried, so that no wake-up is missed.
            let mut room = std::pin::pin!(session.room().notified());
            room.as_mut().enable();
            match session.commit(*life, token, sends, appends) {
                Ok(()) => break,
                Err((SendError::Full, back)) => {
                    (sends, appends) = back;
                    room.await;
                }
                Err((why, _)) => return Err(why),
            }
        }
        self.current = None;
        Ok(())
    }

    /// Joins the log of this name: from now on its entries are sent to this client, each once and in the log's order, among
    /// what else is sent. One that has not joined yet is sent the last `history` entries first. With sessions in Redis a
    /// session stays joined when it goes on in another process, once its handler there has called this, too.
    ///
    /// A session that is so far behind that its next entry is gone from the log is lost, *full*.
    ///
    /// # Errors
    /// [`SendError::NoSession`], [`SendError::Closed`], or [`SendError::Store`].
    pub async fn join(&self, log: &str, history: u64) -> Result<(), SendError> {
        let Link::Session(session, life) = &self.handle.link else {
            return Err(SendError::NoSession);
        };
        let name = self.handle.subprotocol.name;
        let encode = move |entry: &Entry| entry.body_for::<E>(name);
        session.join(*life, log.into(), history, encode).await
    }

    /// The shared log of this name.
    #[must_use]
    pub fn log(&self, name: &str) -> Log<E> {
        Log::new(name.into(), Arc::clone(&self.logs))
    }

    /// A handle to send from anywhere in the process.
    #[must_use]
    pub fn handle(&self) -> Handle<E> {
        self.handle.clone()
    }

    /// The number of the message that the program has, which with the session's [`id`](Handle::id) makes a stable name for
    /// it: for side effects that must not happen twice. `None` without a session, and for a volatile message.
    #[must_use]
    pub fn message_number(&self) -> Option<u64> {
        self.current.map(Token::number)
    }
}

impl<E: Endpoint> Deref for Peer<E> {
    type Target = Handle<E>;

    fn deref(&self) -> &Handle<E> {
        &self.handle
    }
}

impl<E: Endpoint> fmt::Debug for Peer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.handle.id).finish()
    }
}

impl<E: Endpoint> Drop for Peer<E> {
    fn drop(&mut self) {
        // What a panic has interrupted is not handled.
        let panics = std::thread::panicking();
        match &self.handle.link {
            Link::Plain(plain) if panics => plain.close(1011, "the handler failed".to_owned()),
            Link::Plain(plain) if self.malformed => {
                plain.close(1007, "a message cannot be decoded".to_owned());
            }
            Link::Plain(plain) => plain.close(1000, String::new()),
            Link::Session(session, life) => {
                let handled = self.current.take().filter(|_| !panics);
                session.finish(*life, handled, self.close_timeout);
            }
        }
    }
}

/// What carries a client's messages.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    Plain(Arc<Plain>),
    Session(Arc<Session>, Life),
}

/// Sends to a client, from anywhere in the process. Cheap to clone.
pub struct Handle<E: Endpoint> {
    id: u64,
    link: Link,
    subprotocol: &'static Subprotocol<E::ClientMessage, E::ServerMessage>,
    identity: Option<Arc<Identity>>,
    endpoint: PhantomData<fn(E)>,
}

impl<E: Endpoint> Clone for Handle<E> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            link: self.link.clone(),
            subprotocol: self.subprotocol,
            identity: self.identity.clone(),
            endpoint: PhantomData,
        }
    }
}

impl<E: Endpoint> fmt::Debug for Handle<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.id).finish()
    }
}

impl<E: Endpoint> Handle<E> {
    pub(crate) const fn new(
        id: u64,
        link: Link,
        subprotocol: &'static Subprotocol<E::ClientMessage, E::ServerMessage>,
        identity: Option<Arc<Identity>>,
    ) -> Self {
        Self {
            id,
            link,
            subprotocol,
            identity,
            endpoint: PhantomData,
        }
    }

    /// A number that no other client of this server has: of a session, the same on all its connections.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Who the client is, as the handshake or the check of its credential has said; `None` if nobody has.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// Whether the client has a session.
    #[must_use]
    pub const fn has_session(&self) -> bool {
        matches!(self.link, Link::Session(..))
    }

    /// Whether the client is connected at the moment. Of a session that is not, what is sent waits.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.link {
            Link::Plain(plain) => !plain.is_over(),
            Link::Session(session, life) => session.is_connected(*life),
        }
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.link {
            Link::Plain(plain) => plain.is_over(),
            Link::Session(session, life) => !session.takes(*life),
        }
    }

    fn encode(&self, message: &E::ServerMessage) -> Result<Body, SendError> {
        let encoded = (self.subprotocol.encode_server)(message);
        encoded.map(Body::from).map_err(SendError::Encode)
    }

    pub(crate) fn try_send_body(&self, body: Body) -> Result<(), SendError> {
        match &self.link {
            Link::Plain(plain) => plain.try_send(body),
            Link::Session(session, life) => session.try_send(*life, body),
        }
    }

    /// Sends a message, and waits while too much waits for this client.
    ///
    /// Without a session, the message may be lost with the connection. With one, it arrives inside the session's window,
    /// once and in order.
    ///
    /// # Errors
    /// [`SendError::Encode`], [`SendError::TooLarge`] or [`SendError::Closed`].
    pub async fn send(&self, message: &E::ServerMessage) -> Result<(), SendError> {
        self.send_body(self.encode(message)?).await
    }

    async fn send_body(&self, body: Body) -> Result<(), SendError> {
        let plain = match &self.link {
            Link::Plain(plain) => plain,
            Link::Session(session, life) => {
                return session
                    .with_room(|| session.try_send(*life, body.clone()))
                    .await;
            }
        };
        loop {
            // Before it is tried, so that no wake-up is missed.
            let mut room = std::pin::pin!(plain.room().notified());
            room.as_mut().enable();
            match plain.try_send(body.clone()) {
                Err(SendError::Full) => room.await,
                sent => return sent,
            }
        }
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    /// As [`Handle::send`], and [`SendError::Full`].
    pub fn try_send(&self, message: &E::ServerMessage) -> Result<(), SendError> {
        self.try_send_body(self.encode(message)?)
    }

    /// Sends a message that is worth nothing later, such as a position: it is dropped if it cannot go at once. Returns
    /// whether it went. Without a session, it is sent as any other.
    ///
    /// # Errors
    /// [`SendError::Encode`].
    pub fn send_volatile(&self, message: &E::ServerMessage) -> Result<bool, SendError> {
        let body = self.encode(message)?;
        Ok(match &self.link {
            Link::Plain(plain) => plain.try_send(body).is_ok(),
            Link::Session(session, life) => session.send_volatile(*life, body),
        })
    }

    /// Sends a message, and says what becomes of it: whether the client's program has handled it, was never given it, or
    /// nobody knows. The message is on its way, or waits for a connection; dropping the future changes nothing.
    ///
    /// # Errors
    /// If it is not accepted. Without a session that is [`SendError::NoSession`].
    pub fn deliver(
        &self,
        message: E::ServerMessage,
    ) -> Result<impl Future<Output = Result<(), End<E::ServerMessage>>> + use<E>, SendError> {
        let body = self.encode(&message)?;
        let Link::Session(session, life) = &self.link else {
            return Err(SendError::NoSession);
        };
        let end = session.deliver(*life, body)?;
        Ok(async move { delivered(end, message).await })
    }

    /// Asks the client's program. The request survives reconnects, and its answer comes once. Dropping the future cancels it
    /// at the client, too.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request<R: Request>(
        &self,
        request: &R,
    ) -> Result<R::Response, RequestError<R::Error>>
    where
        E: Encodes<R> + Decodes<R::Response> + Decodes<R::Error>,
    {
        self.ask(request, None).await
    }

    /// Likewise, but gives up after `timeout`, which includes the time until the client is connected.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request_within<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, RequestError<R::Error>>
    where
        E: Encodes<R> + Decodes<R::Response> + Decodes<R::Error>,
    {
        self.ask(request, Some(timeout)).await
    }

    async fn ask<R: Request>(
        &self,
        request: &R,
        timeout: Option<Duration>,
    ) -> Result<R::Response, RequestError<R::Error>>
    where
        E: Encodes<R> + Decodes<R::Response> + Decodes<R::Error>,
    {
        let Link::Session(session, life) = &self.link else {
            return Err(RequestError::Unsent(SendError::NoSession));
        };
        let name = self.subprotocol.name;
        let body = <E as Encodes<R>>::encode(name, request)
            .map_err(|error| RequestError::Unsent(SendError::Encode(error)))?;
        let (ask, answer) = session
            .ask(*life, body.into(), timeout)
            .map_err(RequestError::Unsent)?;
        let _cancel = Cancel(session, ask);
        let decode = |body: Body| -> (Message, &'static str) { (body.into_message(), name) };
        match answer.await.unwrap_or(AskEnd::Unknown(Ended::Aborted)) {
            AskEnd::Response(body) => {
                let (message, name) = decode(body);
                <E as Decodes<R::Response>>::decode(name, message).map_err(RequestError::Decode)
            }
            AskEnd::Error(body) => {
                let (message, name) = decode(body);
                Err(match <E as Decodes<R::Error>>::decode(name, message) {
                    Ok(error) => RequestError::Application(error),
                    Err(error) => RequestError::Decode(error),
                })
            }
            AskEnd::Refused(why) => Err(RequestError::Refused(why)),
            AskEnd::Cancelled => Err(RequestError::Refused(Refusal::Cancelled)),
            AskEnd::TimedOut => Err(RequestError::TimedOut),
            AskEnd::NotHandled(why) => Err(RequestError::NotHandled(why)),
            AskEnd::Unknown(why) => Err(RequestError::Unknown(why)),
        }
    }

    /// Closes: a connection without a session with this code and reason (1000, or 3000 to 4999) when everything has been
    /// sent; a session when everything is acknowledged, or after `wait`. The handler's [`Peer::next`] ends.
    pub fn close(&self, code: u16, reason: &str, wait: Duration) {
        match &self.link {
            Link::Plain(plain) => plain.close(code, reason.to_owned()),
            Link::Session(session, life) => session.finish(*life, None, wait),
        }
    }

    /// The client is too far behind: a session is lost, which it learns when it comes back, and a connection is closed with
    /// 1013.
    pub(crate) fn give_up(&self) {
        match &self.link {
            Link::Plain(plain) => {
                crate::observe::full();
                plain.close(1013, "too far behind".to_owned());
            }
            Link::Session(session, life) => session.lose(*life, Why::Full),
        }
    }

    /// The name of the sub-protocol, which decides how messages are encoded: as the endpoint's declaration has it, without a
    /// suffix.
    #[must_use]
    pub const fn subprotocol(&self) -> &'static str {
        self.subprotocol.name
    }

    pub(crate) fn encoded(&self, message: &E::ServerMessage) -> Result<Body, SendError> {
        self.encode(message)
    }
}

async fn delivered<M>(end: oneshot::Receiver<Finished>, message: M) -> Result<(), End<M>> {
    match end.await {
        Ok(None) => Ok(()),
        Ok(Some(end)) => Err(end.with(message)),
        // The session's task was dropped with the runtime.
        Err(_) => Err(End::Unknown {
            payload: message,
            why: Ended::Aborted,
        }),
    }
}

/// Cancels a request that nobody waits for any more. One that has ended is not affected.
struct Cancel<'a>(&'a Session, Ask);

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        self.0.cancel(self.1);
    }
}
