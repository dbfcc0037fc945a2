//! What the driver asks of the API above it, and delivers to it.

use alloc::boxed::Box;
use core::any::Any;

use crate::connection::{Event, Loss, Verdict};
use crate::platform::Refused;

/// Describes the attempt to a function that provides the URL or the sub-protocols.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// 1 for the first attempt since the last stable connection, 2 for the first retry, and so on.
    pub number: u32,
    /// How the last connection or attempt ended.
    pub last_loss: Option<Loss>,
}

/// The URL and the sub-protocols for an attempt, now or later.
pub enum Resolution<T> {
    /// Already known.
    Ready(Result<T, Refused>),
    /// Known once the [`Answer`] is called. Dropping this signals that it is no longer needed.
    Pending(Box<dyn Any>),
}

/// Called with the result of a search for the URL and the sub-protocols. A late call does nothing.
pub type Answer<T> = Box<dyn FnOnce(Result<T, Refused>)>;

/// The API above the driver. Its methods may call the driver.
pub trait Application<P> {
    /// What it finds, as the platform takes it: the URL and the sub-protocols.
    type Target: 'static;

    /// Obtains the URL and the sub-protocols for an attempt. `answer` is called only if that takes time, and never
    /// before this has returned.
    fn resolve(&self, attempt: &Attempt, answer: Answer<Self::Target>) -> Resolution<Self::Target>;

    /// Calls the user's predicate with a loss; `None` leaves the decision to the policy.
    fn verdict(&self, loss: &Loss) -> Option<Verdict>;

    /// Delivers a message. When this returns, its handlers have returned.
    fn message(&self, payload: P);

    /// Delivers an event of the connection. When this returns, its handlers have returned.
    fn event(&self, event: Event<P>);

    /// Everything has been delivered for now: there may be room in the queue.
    fn settled(&self);

    /// Whether it speaks sessions, so that a sub-protocol that ends with [`session::SUFFIX`](steady_socket_protocol::session::SUFFIX)
    /// means one.
    fn speaks_sessions(&self) -> bool {
        false
    }

    /// The message that the server is known to reply to; `None` if there is none.
    fn ping(&self) -> Option<P> {
        None
    }

    /// A message that shows the server that this client is alive and that it need not answer; `None` to send the
    /// ping.
    fn keepalive(&self) -> Option<P> {
        None
    }

    /// Whether there is a ping to send; called once for every connection.
    fn pings(&self) -> bool {
        self.ping().is_some()
    }

    /// Whether a message is the answer to the ping, and so not for the application.
    fn is_pong(&self, payload: &P) -> bool {
        let _ = payload;
        false
    }
}
