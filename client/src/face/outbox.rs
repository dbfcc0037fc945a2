//! A message that waits for room in the queue.

use core::task::{Context, Poll};
use std::rc::Rc;

use steady_socket_protocol::Message;

use super::application::Shared;
use super::errors::SendError;
use super::session::Unsent;
use super::waiting::Place;
use crate::browser::is_abandoned;
use crate::connection::SendMode;

/// At most one message, and the place of the task that waits for room for it, or for the end. Dropping it gives up
/// both.
pub(super) struct Outbox {
    shared: Rc<Shared>,
    message: Option<Message>,
    place: Option<Place>,
}

impl Outbox {
    pub(super) const fn new(shared: Rc<Shared>, message: Option<Message>) -> Self {
        Self {
            shared,
            message,
            place: None,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.message.is_none()
    }

    /// Holds a message for which there is no room yet.
    pub(super) fn put(&mut self, message: Message) {
        self.message = Some(message);
    }

    /// Takes the message out.
    pub(super) const fn take(&mut self) -> Option<Message> {
        self.message.take()
    }

    /// Sends the message, if there is one, as soon as there is room for it.
    pub(super) fn poll(&mut self, task: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = self.message.take() else {
            return Poll::Ready(Ok(()));
        };
        let sent = match self.shared.send(message, SendMode::default()) {
            Ok(_) => Ok(()),
            Err(Unsent::Full(message)) => {
                self.wait(task, Some(message.len()));
                self.message = Some(message);
                return Poll::Pending;
            }
            Err(unsent) => Err(unsent.into()),
        };
        self.leave();
        Poll::Ready(sent)
    }

    /// Registers the task to be woken when there is room for so many bytes, or only at the end.
    pub(super) fn wait(&mut self, task: &Context<'_>, room: Option<usize>) {
        self.shared.wait(&mut self.place, task, room);
    }

    /// The task waits no longer.
    pub(super) fn leave(&mut self) {
        self.shared.leave(&mut self.place);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if !is_abandoned() {
            self.leave();
        }
    }
}
