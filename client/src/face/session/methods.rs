//! What a builder and a handle have for sessions.

use core::time::Duration;
use std::rc::Rc;

use steady_socket_protocol::session::frame::{Answer, Refusal, Style};
use steady_socket_protocol::{Codec, Decode, Encode, Message, Request};

use super::super::builder::Builder;
use super::super::errors::SendError;
use super::super::handle::Handle;
use super::super::outgoing::Outgoing;
use super::setup::{Wanted, check_credential};
use super::{Asking, Delivering, Session};
use crate::options::Number as _;
use crate::platform::{LocalFuture, Refused};

impl<Out, In, C> Builder<Out, In, C> {
    /// Asks for a session: then nothing is lost when the connection breaks. Inside the session's window every message is
    /// given to the other application once and in order, in both directions; outside it, the program is told what was
    /// handled, what was not, and what nobody knows. The server has to speak sessions at this endpoint. What they promise,
    /// and what not, is in
    /// [docs/sessions.md](https://github.com/steady-socket/steady-socket/blob/main/docs/sessions.md).
    ///
    /// With it, a message is *handled*, which the server is told, when the handler of [`Builder::on_message`] has returned;
    /// of a stream, when the next one is asked for. The limits of [`Builder::inbox`] do not apply: the server sends no more
    /// than the session's window while messages are unread.
    ///
    /// ```no_run
    /// # #[cfg(feature = "json")] {
    /// use steady_socket::{Json, Session, Socket};
    /// # async fn ticket(_: steady_socket::Attempt) -> Result<String, std::convert::Infallible> { Ok(String::new()) }
    ///
    /// let socket = Socket::<String, String, Json>::builder("wss://example.org/chat")
    ///     .protocols(["chat.json"])
    ///     .session(Session::required().credential(ticket))
    ///     .connect()?;
    /// # }
    /// # Ok::<(), steady_socket::ConnectError>(())
    /// ```
    pub fn session(mut self, session: Session) -> Self
    where
        C: Codec,
    {
        self.session = Some(Box::new(Wanted::new(session, Style::of::<C>())));
        self
    }

    /// With a session: answers the requests of the server's application. The handler runs in a task of its own for each,
    /// which is dropped if the server cancels the request.
    ///
    /// ```no_run
    /// # #[cfg(feature = "json")] {
    /// use steady_socket::{Json, Request, Session, Socket};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct WhatTime;
    ///
    /// impl Request for WhatTime {
    ///     type Response = f64;
    ///     type Error = ();
    /// }
    ///
    /// let socket = Socket::<String, String, Json>::builder("wss://example.org/chat")
    ///     .session(Session::required())
    ///     .on_request(async |_: WhatTime| Ok(1_794_000_000_000.0))
    ///     .connect()?;
    /// # }
    /// # Ok::<(), steady_socket::ConnectError>(())
    /// ```
    pub fn on_request<R>(
        mut self,
        handler: impl AsyncFn(R) -> Result<R::Response, R::Error> + 'static,
    ) -> Self
    where
        R: Request + 'static,
        C: Decode<R> + Encode<R::Response> + Encode<R::Error>,
    {
        let handler = Rc::new(handler);
        self.on_request = Some(Box::new(move |request| {
            let handler = Rc::clone(&handler);
            Box::pin(async move {
                let Ok(request) = <C as Decode<R>>::decode(request) else {
                    return Answer::Refused(Refusal::NoHandler);
                };
                let answer = match handler(request).await {
                    Ok(response) => C::encode(&response).map(Answer::Response),
                    Err(error) => C::encode(&error).map(Answer::Error),
                };
                answer.unwrap_or(Answer::Refused(Refusal::Failed))
            })
        }));
        self
    }
}

impl<Out, In, C> Builder<Out, In, C> {
    /// Likewise, for an API above this one that decodes and refuses requests by itself.
    #[doc(hidden)]
    pub fn on_encoded_request(
        mut self,
        handler: impl Fn(Message) -> LocalFuture<Answer<Message>> + 'static,
    ) -> Self {
        self.on_request = Some(Box::new(handler));
        self
    }
}

impl<Out, C> Handle<Out, C> {
    /// Sends a message of a session, and says what becomes of it: whether the server's application has handled it, was
    /// never given it, so that the message comes back, or whether nobody knows. The server acknowledges it as soon as it is
    /// handled. The message is sent now, or waits in the queue; dropping the future changes nothing.
    ///
    /// # Errors
    /// If the message cannot be encoded, the queue is full, the connection is closed, the message is larger than the
    /// server takes, or there is no session.
    pub fn deliver<T: Outgoing<Out, C>>(&self, message: T) -> Result<Delivering<T>, SendError> {
        let encoded = message.to_message().map_err(SendError::Encode)?;
        let shared = self.shared.upgrade().ok_or(SendError::Closed)?;
        let session = shared.session().ok_or(SendError::NoSession)?;
        let end = session.deliver(encoded)?;
        Ok(Delivering::new(message, end))
    }

    /// Asks the server's application. The request survives reconnects, its answer comes once, and dropping the future
    /// cancels it at the other end, too.
    ///
    /// # Errors
    /// See [`RequestError`](crate::RequestError).
    pub fn request<R: Request>(&self, request: R) -> Asking<R, C>
    where
        C: Encode<R>,
    {
        self.ask(&request, None)
    }

    /// Like [`Handle::request`], but gives up after `timeout`, which includes the time until there is a connection.
    ///
    /// # Errors
    /// See [`RequestError`](crate::RequestError).
    pub fn request_within<R: Request>(&self, request: R, timeout: Duration) -> Asking<R, C>
    where
        C: Encode<R>,
    {
        self.ask(&request, Some(timeout.keep()))
    }

    fn ask<R>(&self, request: &R, timeout: Option<u64>) -> Asking<R, C>
    where
        C: Encode<R>,
    {
        let sent = || {
            let encoded = C::encode(request).map_err(SendError::Encode)?;
            let shared = self.shared.upgrade().ok_or(SendError::Closed)?;
            let session = shared.session().ok_or(SendError::NoSession)?;
            let (ask, answer) = session.ask(encoded, timeout)?;
            Ok(Asking::sent(&shared, ask, answer))
        };
        sent().unwrap_or_else(Asking::unsent)
    }

    /// Sends a fresh credential on the current connection, if that has a session. The next connections ask the function of
    /// [`Session::credential`](crate::Session::credential), as always.
    ///
    /// # Errors
    /// If it is not 1 to 4096 printable ASCII characters without a space.
    pub fn send_credential(&self, credential: &str) -> Result<(), Refused> {
        let credential = check_credential(credential)?;
        self.with_session(|session| session.send_credential(credential));
        Ok(())
    }
}
