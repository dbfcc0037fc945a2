//! A cancellable search for a URL and sub-protocols.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

use crate::platform::{LocalFuture, Refused, Target};

/// Dropping this drops the user's future.
pub(crate) struct Searching(Rc<SearchState>);

struct SearchState {
    future: RefCell<Option<LocalFuture<Result<Target, Refused>>>>,
    waker: RefCell<Option<Waker>>,
}

impl Searching {
    pub(crate) fn watch(future: LocalFuture<Result<Target, Refused>>) -> (Self, Watched) {
        let state = Rc::new(SearchState {
            future: RefCell::new(Some(future)),
            waker: RefCell::new(None),
        });
        (Self(Rc::clone(&state)), Watched(state))
    }
}

impl Drop for Searching {
    fn drop(&mut self) {
        let future = self.0.future.borrow_mut().take();
        drop(future);
        let waker = self.0.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Yields the output of the user's future, or `None` if the search was cancelled.
pub(crate) struct Watched(Rc<SearchState>);

impl Future for Watched {
    type Output = Option<Result<Target, Refused>>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out while it runs: the user's code may cancel the search from inside.
        let Some(mut future) = self.0.future.borrow_mut().take() else {
            return Poll::Ready(None);
        };
        match future.as_mut().poll(task) {
            Poll::Ready(target) => Poll::Ready(Some(target)),
            Poll::Pending => {
                // Cancelled from inside: only the `Searching` and this hold the state.
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
