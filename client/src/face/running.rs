//! A future of the program's that can be cancelled: the search for a URL, the handler of a request.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

use crate::platform::LocalFuture;

/// Dropping this drops the user's future.
pub(crate) struct Running<T>(Rc<State<T>>);

struct State<T> {
    future: RefCell<Option<LocalFuture<T>>>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Running<T> {
    pub(crate) fn watch(future: LocalFuture<T>) -> (Self, Watched<T>) {
        let state = Rc::new(State {
            future: RefCell::new(Some(future)),
            waker: RefCell::new(None),
        });
        (Self(Rc::clone(&state)), Watched(state))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        let future = self.0.future.borrow_mut().take();
        drop(future);
        let waker = self.0.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Yields the output of the user's future, or `None` if it was cancelled.
pub(crate) struct Watched<T>(Rc<State<T>>);

impl<T> Future for Watched<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out while it runs: the user's code may cancel it from inside.
        let Some(mut future) = self.0.future.borrow_mut().take() else {
            return Poll::Ready(None);
        };
        match future.as_mut().poll(task) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                // Cancelled from inside: only the `Running` and this hold the state.
                if Rc::strong_count(&self.0) == 1 {
                    return Poll::Ready(None);
                }
                *self.0.future.borrow_mut() = Some(future);
                *self.0.waker.borrow_mut() = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}
