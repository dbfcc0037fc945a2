//! Handles, which do not keep the connection alive.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use std::rc::{Rc, Weak};

use steady_socket_protocol::Message;

use super::application::{Face, Shared};
use super::errors::{Gone, ReconnectError, SendError};
use super::events::Events;
use super::outbox::Outbox;
use super::outgoing::Outgoing;
use super::session::FaceSession;
#[cfg(doc)]
use super::socket::Socket;
#[cfg(doc)]
use crate::connection::Event;
use crate::connection::{CloseError, Input, Phase, SendMode, Sent, Snapshot, Tally, check_close};
use crate::driver::Driver;
use crate::platform::{FacePlatform, RawSocket};

/// Sends, closes, suspends, reconnects and queries; clone it freely. It does not keep the connection alive: once the
/// [`Socket`] is dropped, every call reports that it is closed.
pub struct Handle<Out, C> {
    pub(super) shared: Weak<Shared>,
    types: PhantomData<fn(Out, C)>,
}

impl<Out, C> Clone for Handle<Out, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Weak::clone(&self.shared),
            types: PhantomData,
        }
    }
}

impl<Out, C> fmt::Debug for Handle<Out, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl<Out, C> Handle<Out, C> {
    pub(super) fn of(shared: &Rc<Shared>) -> Self {
        Self {
            shared: Rc::downgrade(shared),
            types: PhantomData,
        }
    }

    fn driver(&self) -> Result<Driver<Message, FacePlatform, Face>, Gone> {
        self.shared
            .upgrade()
            .and_then(|shared| shared.driver())
            .ok_or(Gone)
    }

    /// Closes for good, until [`Handle::reconnect`]. If the connection is open, the queue is handed to the browser
    /// first; otherwise the waiting messages are reported as dropped.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
    pub fn close(&self, code: Option<u16>, reason: &str) -> Result<(), CloseError> {
        check_close(code, reason)?;
        if let Some(shared) = self.shared.upgrade() {
            shared.close(code, reason);
        }
        Ok(())
    }

    /// Opens a new connection now, whatever the state; after a final close, it starts afresh. Only if too many
    /// attempts were made in a short time (options `attempt_burst`, `attempt_interval`) does it wait, without a
    /// connection, until one more is allowed; the event [`Event::State`] reports that.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn reconnect(&self) -> Result<(), Gone> {
        self.reconnect_now(None, "")?;
        Ok(())
    }

    /// Like [`Handle::reconnect`], closing the current connection, if any, with a code and a reason for the server.
    /// The event [`Event::Closed`] has them, too.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, the reason is longer than 123 bytes, or the socket is gone.
    pub fn reconnect_with(&self, code: Option<u16>, reason: &str) -> Result<(), ReconnectError> {
        check_close(code, reason).map_err(ReconnectError::Close)?;
        self.reconnect_now(code, reason)
            .map_err(ReconnectError::Gone)
    }

    fn reconnect_now(&self, code: Option<u16>, reason: &str) -> Result<(), Gone> {
        let driver = self.driver()?;
        self.with_session(|session| session.renew());
        driver.command(Input::Reconnect {
            code,
            reason: reason.to_owned(),
        });
        Ok(())
    }

    /// Does something with the session, if there is one.
    pub(super) fn with_session<T>(&self, act: impl FnOnce(&dyn FaceSession) -> T) -> Option<T> {
        self.shared.upgrade()?.session().map(act)
    }

    /// Pauses: closes the connection, with code 1000 by default, and opens no other until [`Handle::resume`] or
    /// [`Handle::reconnect`]. The queue, the streams and the options stay, and messages sent meanwhile are queued.
    /// [`Phase::Suspended`] applies at once; an attempt or a wait in progress ends. This has no effect before the
    /// start, while closing and when closed.
    ///
    /// The connection's [`Event::Closed`], whose cause is [`Cause::Suspended`](crate::Cause::Suspended), comes when
    /// the server has answered the close, after the option `close_timeout`, or on an earlier resume. It reports
    /// messages that the platform accepted but the server never confirmed. Until the resume there are no timers,
    /// except for the time to live of queued messages, and nothing listens to the page.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
    pub fn suspend(&self, code: Option<u16>, reason: &str) -> Result<(), CloseError> {
        check_close(code, reason)?;
        if let Ok(driver) = self.driver()
            && self.with_session(|session| session.is_closing()) != Some(true)
        {
            driver.command(Input::Suspend {
                code,
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    /// Resumes after [`Handle::suspend`]: connects at once, within the budget of attempts, without waiting for the
    /// server to answer the close of the suspension. Earlier failures do not count. It has no effect unless
    /// suspended.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn resume(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Resume);
        Ok(())
    }

    /// With the option `gate`: lets the queue flow on this connection.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn ready(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Ready);
        Ok(())
    }

    /// The connection's state; [`Phase::Closed`] once the socket is gone.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let shared = self.shared.upgrade();
        shared.map_or(Phase::Closed, |shared| shared.phase())
    }

    /// The counters.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn snapshot(&self) -> Result<Snapshot, Gone> {
        let mut snapshot = self.driver()?.snapshot();
        let pending = self.with_session(|session| session.pending());
        if let Some((queued, unacknowledged)) = pending.flatten() {
            snapshot.phase = self.phase();
            snapshot.queued = queued;
            snapshot.unacknowledged = unacknowledged;
            snapshot.unwelcomed = self.with_session(|session| session.unwelcomed()).flatten();
            snapshot.unconfirmed = Tally::default();
        }
        Ok(snapshot)
    }

    /// Bytes in the queue and in the browser's buffer.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn buffered_amount(&self) -> Result<u64, Gone> {
        let driver = self.driver()?;
        let queued = driver.ask(|connection| connection.queued_bytes()) as u64;
        let pending = self.with_session(|session| session.pending());
        let waiting = pending.flatten().map_or(0, |(queued, _)| queued.bytes);
        let queued = queued.saturating_add(waiting);
        Ok(queued.saturating_add(driver.ask_socket(RawSocket::buffered_amount).unwrap_or(0)))
    }

    /// The sub-protocol that the server chose for this connection; empty if none.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn protocol(&self) -> Result<String, Gone> {
        Ok(self
            .driver()?
            .ask_socket(RawSocket::protocol)
            .unwrap_or_default())
    }

    /// The connection's events from now on.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn events(&self) -> Result<Events, Gone> {
        let shared = self
            .shared
            .upgrade()
            .filter(|shared| !shared.is_gone())
            .ok_or(Gone)?;
        Ok(shared.watchers.watch())
    }

    /// Sends without waiting: to the browser or into the queue.
    ///
    /// # Errors
    /// If the message cannot be encoded, the queue is full, or the connection is closed.
    pub fn try_send(&self, message: impl Outgoing<Out, C>) -> Result<Sent, SendError> {
        self.try_send_with(message, SendMode::default())
    }

    /// Like [`Handle::try_send`], but ahead of the queue, now or never, or with a time to live.
    ///
    /// # Errors
    /// See [`Handle::try_send`].
    pub fn try_send_with(
        &self,
        message: impl Outgoing<Out, C>,
        mode: SendMode,
    ) -> Result<Sent, SendError> {
        let message = message.to_message().map_err(SendError::Encode)?;
        let shared = self.shared.upgrade().ok_or(SendError::Closed)?;
        shared.try_send(message, mode)
    }

    /// Sends, and waits for room in the queue if there is none.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the message was not sent and will not be, it is not reported, and
    /// nothing of it is kept.
    ///
    /// # Errors
    /// If the message cannot be encoded, or the connection is closed.
    pub async fn send(&self, message: impl Outgoing<Out, C>) -> Result<(), SendError> {
        let message = message.to_message().map_err(SendError::Encode)?;
        let shared = self.shared.upgrade().ok_or(SendError::Closed)?;
        let mut outbox = Outbox::new(shared, Some(message));
        poll_fn(move |task| outbox.poll(task)).await
    }
}
