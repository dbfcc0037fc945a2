//! A queue that many places of the code use.

use alloc::collections::VecDeque;
use core::ops::{Deref, DerefMut};

/// A `VecDeque` whose `push_back` and `pop_front` are one function each, and not copied into every place that calls them.
#[derive(Clone, Debug, Hash)]
pub(super) struct Line<T>(VecDeque<T>);

impl<T> Line<T> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    #[inline(never)]
    pub(super) fn push_back(&mut self, value: T) {
        self.0.push_back(value);
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        self.pop()
    }

    #[inline(never)]
    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Line<T> {
    type Target = VecDeque<T>;

    fn deref(&self) -> &VecDeque<T> {
        &self.0
    }
}

impl<T> DerefMut for Line<T> {
    fn deref_mut(&mut self) -> &mut VecDeque<T> {
        &mut self.0
    }
}
