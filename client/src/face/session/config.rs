//! What a program says of the session that it wants.

use steady_socket_protocol::session::Options as HalfOptions;
use steady_socket_protocol::session::frame::Limits;

use super::super::source::Source;
use crate::options::{Options, Overflow};

/// Asks for a session, by which nothing is lost when the connection breaks. See
/// [`Builder::session`](crate::Builder::session).
#[derive(Debug)]
pub struct Session {
    pub(in crate::face) optional: bool,
    pub(in crate::face) credential: Option<Source<String>>,
    limits: Limits,
}

impl Session {
    /// A session that the program relies on. If the server does not speak sessions, the socket closes for good.
    #[must_use]
    pub fn required() -> Self {
        Self {
            optional: false,
            credential: None,
            limits: HalfOptions::default().limits,
        }
    }

    /// A session if the server speaks them, and a plain connection otherwise.
    #[must_use]
    pub fn optional() -> Self {
        Self {
            optional: true,
            ..Self::required()
        }
    }

    /// What lets this client in, such as a token: 1 to 4096 printable ASCII characters without a space. A function is called
    /// before every attempt, as for a URL. Unlike a query in the URL, it is in no log of a server or proxy.
    #[must_use]
    pub fn credential(mut self, credential: impl Into<Source<String>>) -> Self {
        self.credential = Some(credential.into());
        self
    }

    /// How many messages, and how many bytes in them, the server may send that are not handled yet. The default is 1,000 and
    /// 1 MiB; the least is 1. The server may keep less.
    #[must_use]
    pub fn window(mut self, messages: u32, bytes: u32) -> Self {
        self.limits.messages = u64::from(messages.max(1));
        self.limits.bytes = u64::from(bytes.max(1));
        self
    }

    /// How many requests of the server's may be unanswered. The default is 64; more are refused.
    #[must_use]
    pub fn max_requests(mut self, requests: u32) -> Self {
        self.limits.requests = u64::from(requests);
        self
    }

    /// The options of the half: the queue is that of the options of the connection.
    pub(in crate::face) fn half_options(&self, options: Options) -> HalfOptions {
        let values = options.values();
        let mut half = HalfOptions {
            limits: self.limits,
            queue_messages: (values.max_queued_messages as usize).max(1),
            queue_bytes: (values.max_queued_bytes as usize).max(1),
            ..HalfOptions::default()
        };
        if let Some(most) = values.max_message_bytes {
            half.limits.message_bytes = u64::from(most);
        }
        if values.overflow == Overflow::DropOldest {
            half.overflow = steady_socket_protocol::session::Overflow::DropOldest;
        }
        half
    }
}
