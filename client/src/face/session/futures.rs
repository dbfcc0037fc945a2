//! The futures of a session: the end of a message, and the answer to a request.

use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::{Rc, Weak};

use steady_socket_protocol::session::frame::Refusal;
use steady_socket_protocol::session::{Ask, AskEnd, End, Ended, NotHandled};
use steady_socket_protocol::{Decode, DecodeError, Message, Request};

use super::super::application::Shared;
use super::super::errors::SendError;
use super::promise::Promise;

/// Waits for the end of a message that [`deliver`](crate::Handle::deliver) has sent. Dropping it changes nothing: the
/// message is on its way.
#[must_use = "it says what becomes of the message"]
#[derive(Debug)]
pub struct Delivering<T> {
    message: Option<T>,
    end: Promise<Option<End<Message>>>,
}

impl<T> Delivering<T> {
    pub(in crate::face) const fn new(message: T, end: Promise<Option<End<Message>>>) -> Self {
        Self {
            message: Some(message),
            end,
        }
    }
}

impl<T> Unpin for Delivering<T> {}

impl<T> Future for Delivering<T> {
    /// Whether the server's application has handled it. The error is not handled, or unknown; the message comes back in
    /// either case.
    type Output = Result<(), End<T>>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(end) = Pin::new(&mut self.end).poll(task) else {
            return Poll::Pending;
        };
        let Some(payload) = self.message.take() else {
            return Poll::Pending;
        };
        Poll::Ready(match end {
            None => Ok(()),
            Some(end) => Err(end.with(payload)),
        })
    }
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RequestError<E> {
    /// The application at the other end has answered with an error of its own.
    Application(E),
    /// The other end has refused it.
    Refused(Refusal),
    /// Its time was over. The other end may have done what was asked.
    TimedOut,
    /// The application at the other end was never given it.
    NotHandled(NotHandled),
    /// The session ended over it, and nobody knows whether it was done.
    Unknown(Ended),
    /// The answer could not be decoded.
    Decode(DecodeError),
    /// It was not sent.
    Unsent(SendError),
}

impl<E: fmt::Display> fmt::Display for RequestError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(error) => error.fmt(f),
            Self::Refused(Refusal::NoHandler) => {
                f.write_str("the other end has no handler for such requests")
            }
            Self::Refused(Refusal::Limit) => {
                f.write_str("the other end has too many unanswered requests")
            }
            Self::Refused(Refusal::Cancelled) => f.write_str("the other end has cancelled it"),
            Self::Refused(Refusal::Failed) => f.write_str("its handler failed"),
            Self::Refused(Refusal::Other) => f.write_str("the other end has refused it"),
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::NotHandled(why) => write!(f, "it was not handled: {why}"),
            Self::Unknown(why) => write!(f, "nobody knows whether it was done: {why}"),
            Self::Decode(error) => write!(f, "the answer cannot be decoded: {error}"),
            Self::Unsent(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RequestError<E> {}

/// Waits for the answer to a request. Dropping it cancels the request, at the other end, too.
#[must_use = "dropping it cancels the request"]
pub struct Asking<R, C> {
    state: State,
    types: PhantomData<fn(R, C)>,
}

enum State {
    Unsent(Option<SendError>),
    Sent {
        shared: Weak<Shared>,
        ask: Ask,
        answer: Promise<AskEnd<Message>>,
    },
    Over,
}

impl<R, C> fmt::Debug for Asking<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}

impl<R, C> Asking<R, C> {
    pub(in crate::face) const fn unsent(error: SendError) -> Self {
        Self {
            state: State::Unsent(Some(error)),
            types: PhantomData,
        }
    }

    pub(in crate::face) fn sent(
        shared: &Rc<Shared>,
        ask: Ask,
        answer: Promise<AskEnd<Message>>,
    ) -> Self {
        Self {
            state: State::Sent {
                shared: Rc::downgrade(shared),
                ask,
                answer,
            },
            types: PhantomData,
        }
    }
}

impl<R, C> Unpin for Asking<R, C> {}

impl<R, C> Future for Asking<R, C>
where
    R: Request,
    C: Decode<R::Response> + Decode<R::Error>,
{
    type Output = Result<R::Response, RequestError<R::Error>>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let end = match &mut self.state {
            State::Unsent(error) => match error.take() {
                Some(error) => return Poll::Ready(Err(RequestError::Unsent(error))),
                None => return Poll::Pending,
            },
            State::Over => return Poll::Pending,
            State::Sent { answer, .. } => match Pin::new(answer).poll(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(end) => end,
            },
        };
        self.state = State::Over;
        Poll::Ready(decode_answer::<R, C>(end))
    }
}

/// What the program is told of the end of its request.
pub(in crate::face) fn decode_answer<R, C>(
    end: AskEnd<Message>,
) -> Result<R::Response, RequestError<R::Error>>
where
    R: Request,
    C: Decode<R::Response> + Decode<R::Error>,
{
    match end {
        AskEnd::Response(payload) => C::decode(payload).map_err(RequestError::Decode),
        AskEnd::Error(payload) => Err(match C::decode(payload) {
            Ok(error) => RequestError::Application(error),
            Err(error) => RequestError::Decode(error),
        }),
        AskEnd::Refused(why) => Err(RequestError::Refused(why)),
        AskEnd::Cancelled => Err(RequestError::Refused(Refusal::Cancelled)),
        AskEnd::TimedOut => Err(RequestError::TimedOut),
        AskEnd::NotHandled(why) => Err(RequestError::NotHandled(why)),
        AskEnd::Unknown(why) => Err(RequestError::Unknown(why)),
    }
}

impl<R, C> Drop for Asking<R, C> {
    fn drop(&mut self) {
        if let State::Sent { shared, ask, .. } = &self.state
            && let Some(shared) = shared.upgrade()
            && let Some(session) = shared.session()
        {
            session.cancel(*ask);
        }
    }
}
