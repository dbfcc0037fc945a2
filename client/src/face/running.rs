//! Code of the program's: a future that can be cancelled, such as the search for a URL or the handler of a request, and what
//! follows from a panic.

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
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

/// Whether the program goes on after a panic in its code. In WebAssembly a panic ends the program, and a test kit passes it
/// on to the test.
#[inline]
pub(crate) fn outlives_panics(platform: &FacePlatform) -> bool {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    return platform.outlives_panics();
    #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
    {
        let _ = platform;
        false
    }
}

/// Calls code of the program's. `None` if it has panicked, and the program goes on.
#[inline]
pub(crate) fn caught<T>(outlives_panics: bool, code: impl FnOnce() -> T) -> Option<T> {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    if outlives_panics {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        // Whoever calls this drops what has panicked.
        return catch_unwind(AssertUnwindSafe(code)).ok();
    }
    let _ = outlives_panics;
    Some(code())
}

/// The output of a future of the program's, or `None` if it has panicked, and the program goes on.
pub(crate) async fn survived<T>(
    outlives_panics: bool,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(
        |task| match caught(outlives_panics, || future.as_mut().poll(task)) {
            Some(polled) => polled.map(Some),
            None => Poll::Ready(None),
        },
    )
    .await
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;

    async fn panics() -> u32 {
        panic!("planned by a test")
    }

    #[test]
    fn a_panic_is_caught_only_where_the_program_outlives_it() {
        let task = &mut Context::from_waker(Waker::noop());
        let survives = pin!(survived(true, panics())).poll(task);
        assert_eq!(survives, Poll::Ready(None));
        let passed_on =
            std::panic::catch_unwind(|| caught::<()>(false, || panic!("planned by a test")));
        assert!(passed_on.is_err());
    }
}
