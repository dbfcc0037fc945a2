//! A timer of the platform that is armed for the earliest of its deadlines.

use core::cell::Cell;

use crate::cell::RefCell;
use crate::connection::Time;

/// The depth limit for timers that arm each other. Browsers run chains of five once a minute in a hidden page
/// ([Chromium's intensive throttling](https://developer.chrome.com/blog/timer-throttling-in-chrome-88/)).
pub(super) const DEEP: u32 = 3;

/// The two alarms. In a hidden page, browsers slow a chain of timers that arm each other down to one a minute, so the
/// frequent measurements of the browser's buffer never share a timer with a deadline, even if a deadline comes before
/// the next measurement.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// For the next measurement of the browser's buffer.
    Look,
    /// For all other deadlines.
    Deadline,
}

/// One timer.
pub(super) struct Alarm<T> {
    armed: RefCell<Option<Armed<T>>>,
    /// How many timers fired in a chain, each armed by the previous one, before this one was armed.
    depth: Cell<u32>,
}

struct Armed<T> {
    at: Time,
    /// Cancels the timer on drop.
    _timer: T,
}

impl<T> Alarm<T> {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each use is a new alarm"
    )]
    pub(super) const NEW: Self = Self {
        armed: RefCell::new(None),
        depth: Cell::new(0),
    };

    /// Whether there is nothing to do to be called at `at`, or not at all, in a chain of timers this deep.
    ///
    /// One that fires earlier stays armed: that is harmless, and messages then need not touch it. But one that is
    /// deeper in a chain than it would be now is rearmed, so that it is not delayed with the chain.
    pub(super) fn suits(&self, at: Option<Time>, chain: u32) -> bool {
        match (&*self.armed.borrow(), at) {
            (None, None) => true,
            (Some(armed), Some(at)) => armed.at <= at && self.depth.get() <= chain,
            _ => false,
        }
    }

    /// Disarms it. Dropped outside the borrow: the platform may call back.
    pub(super) fn disarm(&self) {
        let earlier = self.armed.borrow_mut().take();
        drop(earlier);
    }

    /// Keeps a timer that fires at `at`, armed in a chain this deep.
    pub(super) fn keep(&self, at: Time, chain: u32, timer: T) {
        self.depth.set(chain);
        *self.armed.borrow_mut() = Some(Armed { at, _timer: timer });
    }

    /// The timer fired: it is over. Returns the depth of what it arms.
    pub(super) fn fired(&self) -> u32 {
        self.disarm();
        self.depth.get().saturating_add(1)
    }
}
