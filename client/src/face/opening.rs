//! A connection that has just opened.

use core::fmt;
use std::rc::Rc;

use super::application::Shared;
#[cfg(doc)]
use super::builder::Builder;
use super::handle::Handle;

/// A connection that has just opened, passed to the handler of [`Builder::on_open`].
pub struct Opening<Out, C> {
    handle: Handle<Out, C>,
    reconnected: bool,
    attempt: u32,
}

impl<Out, C> fmt::Debug for Opening<Out, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("reconnected", &self.reconnected)
            .field("attempt", &self.attempt)
            .finish()
    }
}

impl<Out, C> Opening<Out, C> {
    pub(super) fn new(shared: &Rc<Shared>, reconnected: bool, attempt: u32) -> Self {
        Self {
            handle: Handle::of(shared),
            reconnected,
            attempt,
        }
    }

    /// Whether an earlier connection was open.
    #[must_use]
    pub const fn reconnected(&self) -> bool {
        self.reconnected
    }

    /// The number of attempts it took.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The socket's handle, for sending, closing and querying.
    #[must_use]
    pub const fn handle(&self) -> &Handle<Out, C> {
        &self.handle
    }
}
