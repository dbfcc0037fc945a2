//! Code of the program's: a future that can be cancelled, such as the search for a URL or the handler of a request, and what
//! follows from a panic.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

use crate::platform::{FacePlatform, LocalFuture};

/// Dropping this drops the user's future.
pub(crate) struct Running<T>(Rc<State<T>>);

struct State<T> {
    future: RefCell<Option<LocalFuture<T>>>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Running<T> {
    pub(crate) fn watch(future: LocalFuture<T>, on_panic: OnPanic<T>) -> (Self, Watched<T>) {
        #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
        let _ = on_panic;
        let state = Rc::new(State {
            future: RefCell::new(Some(future)),
            waker: RefCell::new(None),
        });
        let watched = Watched {
            state: Rc::clone(&state),
            #[cfg(all(feature = "native", not(target_family = "wasm")))]
            on_panic,
        };
        (Self(state), watched)
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
pub(crate) struct Watched<T> {
    state: Rc<State<T>>,
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    on_panic: OnPanic<T>,
}

impl<T> Future for Watched<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out while it runs: the user's code may cancel it from inside.
        let Some(mut future) = self.state.future.borrow_mut().take() else {
            return Poll::Ready(None);
        };
        #[cfg(all(feature = "native", not(target_family = "wasm")))]
        let polled = match self.on_panic {
            None => future.as_mut().poll(task),
            Some(instead) => caught(true, || future.as_mut().poll(task))
                .unwrap_or_else(|| Poll::Ready(instead())),
        };
        #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
        let polled = future.as_mut().poll(task);
        match polled {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                // Cancelled from inside: only the `Running` and this hold the state.
                if Rc::strong_count(&self.state) == 1 {
                    return Poll::Ready(None);
                }
                *self.state.future.borrow_mut() = Some(future);
                *self.state.waker.borrow_mut() = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// What stands in for the output of a future that panics; `None` if a panic is the end of the program.
pub(crate) type OnPanic<T> = Option<fn() -> T>;

/// Takes `instead` where the program goes on after a panic in its code. In WebAssembly a panic ends the program, and a test
/// kit passes it on to the test.
#[inline]
pub(crate) fn on_panic<T>(platform: &FacePlatform, instead: fn() -> T) -> OnPanic<T> {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    if platform.outlives_panics() {
        return Some(instead);
    }
    let _ = (platform, instead);
    None
}

/// Calls code of the program's. `None` if it has panicked, and the program goes on: whoever calls this drops what has
/// panicked.
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub(crate) fn caught<T>(outlives_panics: bool, code: impl FnOnce() -> T) -> Option<T> {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    match outlives_panics {
        true => catch_unwind(AssertUnwindSafe(code)).ok(),
        false => Some(code()),
    }
}

#[cfg(all(test, feature = "native", not(target_family = "wasm")))]
mod tests {
    use core::pin::pin;

    use super::*;

    async fn panics() -> u32 {
        panic!("planned by a test")
    }

    #[test]
    fn a_panic_is_caught_only_where_the_program_outlives_it() {
        let task = &mut Context::from_waker(Waker::noop());
        let (_running, watched) = Running::watch(Box::pin(panics()), Some(|| 1));
        assert_eq!(pin!(watched).poll(task), Poll::Ready(Some(1)));
        let passed_on = std::panic::catch_unwind(|| {
            let task = &mut Context::from_waker(Waker::noop());
            let (_running, watched) = Running::watch(Box::pin(panics()), None);
            pin!(watched).poll(task)
        });
        assert!(passed_on.is_err());
    }
}
