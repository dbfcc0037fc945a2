//! A value that comes once.

use core::cell::RefCell;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

/// Yields what its [`Fulfil`] is given.
pub(in crate::face) struct Promise<T>(Rc<RefCell<State<T>>>);

/// The other end of a [`Promise`].
pub(in crate::face) struct Fulfil<T>(Rc<RefCell<State<T>>>);

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

pub(in crate::face) fn promise<T>() -> (Promise<T>, Fulfil<T>) {
    let state = Rc::new(RefCell::new(State {
        value: None,
        waker: None,
    }));
    (Promise(Rc::clone(&state)), Fulfil(state))
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}

impl<T> Fulfil<T> {
    /// Whether the promise is still there.
    pub(in crate::face) fn is_awaited(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    pub(in crate::face) fn give(self, value: T) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.value = Some(value);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Promise<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.borrow_mut();
        if let Some(value) = state.value.take() {
            return Poll::Ready(value);
        }
        let earlier = state.waker.replace(task.waker().clone());
        drop(state);
        drop(earlier);
        Poll::Pending
    }
}
