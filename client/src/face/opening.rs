//! A connection that has just opened.

use core::fmt;
use std::rc::Rc;

use super::application::Shared;
#[cfg(doc)]
use super::builder::Builder;
use super::handle::Handle;

/// A connection that has just opened, passed to the handler of [`Builder::on_open`].
pub struct Opening<'a> {
    pub(super) shared: &'a Rc<Shared>,
    pub(super) reconnected: bool,
    pub(super) attempt: u32,
}

impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("reconnected", &self.reconnected)
            .field("attempt", &self.attempt)
            .finish()
    }
}

impl Opening<'_> {
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

    /// A handle for sending, closing and querying.
    #[must_use]
    pub fn handle<Out, C>(&self) -> Handle<Out, C> {
        Handle::of(self.shared)
    }
}
