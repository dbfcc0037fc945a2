//! Sessions of the Rust API: what lies between the connection's events and the socket's when a program asks for one.
//!
//! A socket knows its session as an object ([`FaceSession`]), and a builder what makes one ([`Setup`]). Both come from
//! [`Builder::session`](super::Builder::session), with the feature `session`: a program without it is built without all of
//! the rest here.

#[cfg(feature = "session")]
mod config;
#[cfg(feature = "session")]
mod futures;
#[cfg(feature = "session")]
mod methods;
#[cfg(feature = "session")]
mod promise;
#[cfg(feature = "session")]
mod run;
#[cfg(feature = "session")]
mod setup;

use core::task::{Context, Poll};
#[cfg(feature = "session")]
use std::rc::Rc;

use steady_socket_protocol::Message;
#[cfg(feature = "session")]
use steady_socket_protocol::session::frame::{Answer, Credential};
#[cfg(feature = "session")]
use steady_socket_protocol::session::{Ask, AskEnd, End, Token};

#[cfg(feature = "session")]
use super::application::Shared;
use super::errors::SendError;
#[cfg(feature = "session")]
use super::source::{FindSession, Source, Sources};
use crate::connection::{Event, Loss, Phase, SendMode, Sent, Tally, Unwelcomed, Verdict};
#[cfg(feature = "session")]
use crate::options::Options;
#[cfg(feature = "session")]
use crate::platform::{LocalFuture, Refused};

#[cfg(feature = "session")]
pub use config::Session;
#[cfg(all(feature = "native", feature = "session", not(target_family = "wasm")))]
pub(super) use futures::decode_answer;
#[cfg(feature = "session")]
pub use futures::{Asking, Delivering, RequestError};
#[cfg(feature = "session")]
use promise::Promise;

/// The application's handler for requests: takes one, encoded, and answers it.
#[cfg(feature = "session")]
pub(super) type OnRequest = Box<dyn Fn(Message) -> LocalFuture<Answer<Message>>>;

/// A session that a builder was asked for: an object, so that a program without one is built without it.
#[cfg(feature = "session")]
pub(super) trait Setup {
    /// Fits the options and the sub-protocols to the session.
    ///
    /// # Errors
    /// What excludes a session.
    fn prepare(
        &mut self,
        options: &mut Options,
        protocols: &mut Option<Source<Vec<String>>>,
    ) -> Result<(), Refused>;

    /// How the socket finds its targets.
    fn finder(&self) -> Box<dyn FindSession>;

    /// Makes the session.
    ///
    /// # Errors
    /// If the platform has no source of random numbers for its secret.
    fn start(
        &self,
        on_request: Option<OnRequest>,
        shared: &Rc<Shared>,
        sources: &Rc<Sources>,
    ) -> Result<Rc<dyn FaceSession>, Refused>;
}

/// A message that was not accepted.
pub(super) enum Unsent {
    /// There is no room now.
    Full(Message),
    /// There never will be.
    Never(SendError),
}

impl From<Unsent> for SendError {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Full(_) => Self::Full,
            Unsent::Never(why) => why,
        }
    }
}

/// A session, as the socket, its handles and the driver's application use it.
pub(super) trait FaceSession {
    // ----- from the connection

    /// Something happened to the connection.
    fn event(&self, event: Event<Message>);

    /// Something arrived.
    fn message(&self, payload: Message);

    /// What follows a loss, if the session knows better than the policy.
    fn verdict(&self, loss: &Loss) -> Option<Verdict>;

    /// The connection has delivered everything for now.
    fn settled(&self);

    /// The page is about to be hidden or frozen.
    #[cfg(feature = "session")]
    fn flush(&self);

    // ----- from the program

    fn send(&self, message: Message, mode: SendMode) -> Result<Sent, Unsent>;

    #[cfg(feature = "session")]
    fn deliver(&self, message: Message) -> Result<Promise<Option<End<Message>>>, Unsent>;

    #[cfg(feature = "session")]
    fn ask(
        &self,
        request: Message,
        timeout: Option<u64>,
    ) -> Result<(Ask, Promise<AskEnd<Message>>), Unsent>;

    #[cfg(feature = "session")]
    fn cancel(&self, ask: Ask);

    #[cfg(feature = "session")]
    /// The handler of a request has answered.
    fn answer(&self, token: Token, answer: Answer<Message>);

    #[cfg(feature = "session")]
    fn send_credential(&self, credential: Credential);

    /// The next message for a program that reads them; the one before is handled.
    fn poll_next(&self, task: &mut Context<'_>) -> Poll<Option<Message>>;

    /// Whether a message of this size would be accepted now; `None` if that is for the connection to say.
    fn has_room(&self, bytes: usize) -> Option<bool>;

    /// Closes for good when everything is handled, or after the option `close_timeout`.
    fn close(&self, code: Option<u16>, reason: &str);

    /// Likewise, but without waiting.
    fn close_now(&self);

    /// Why no server has welcomed this client yet.
    fn unwelcomed(&self) -> Option<Unwelcomed>;

    /// Whether the program has closed the session, or it is over.
    fn is_closing(&self) -> bool;

    /// A new connection is wanted: with a fresh session if the last one is over.
    fn renew(&self);

    /// The phase of a connection that carries the session.
    fn phase(&self, connection: Phase) -> Phase;

    /// Messages in the queue, and sent but not acknowledged; `None` on a connection without a session.
    fn pending(&self) -> Option<(Tally, Tally)>;
}
