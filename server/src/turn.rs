//! Futures whose parts wake each other.
//!
//! A handler that sends wakes the connection that it shares a task with. The scheduler takes such a task for one that has
//! more to do than its share: it puts the task behind all others and wakes another thread for it, for every message. Here the
//! task itself goes on instead.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use pin_project_lite::pin_project;

/// How often a task goes on before others have their turn.
const ROUNDS: usize = 16;

/// The states of a [`Bell`].
const SLEEPS: u8 = 0;
const RUNS: u8 = 1;
const RUNS_AGAIN: u8 = 2;

/// What the parts of a task wake.
#[derive(Debug, Default)]
struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Bell {
    /// Moves to another state, if this is the current one.
    fn moves(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.moves(RUNS, RUNS_AGAIN) == Err(SLEEPS) {
            self.task.wake();
        }
    }
}

pin_project! {
    /// A future that goes on at once when it is woken while it runs.
    pub(crate) struct OneTurn<F> {
        #[pin]
        future: F,
        bell: Arc<Bell>,
        waker: Waker,
    }
}

/// Has a future go on at once when it is woken while it runs, with no help from the scheduler.
pub(crate) fn in_one_turn<F: Future>(future: F) -> OneTurn<F> {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    OneTurn {
        future,
        bell,
        waker,
    }
}

impl<F: Future> Future for OneTurn<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.bell.task.register(cx.waker());
        for _ in 0..ROUNDS {
            this.bell.state.store(RUNS, Ordering::Release);
            let mut inner = Context::from_waker(this.waker);
            if let Poll::Ready(output) = this.future.as_mut().poll(&mut inner) {
                return Poll::Ready(output);
            }
            if this.bell.moves(RUNS, SLEEPS).is_ok() {
                return Poll::Pending;
            }
        }
        this.bell.state.store(SLEEPS, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls once. Returns what came of it, and how often that woke the task.
    fn poll_once<F: Future>(future: Pin<&mut OneTurn<F>>) -> (Poll<F::Output>, usize) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let polled = future.poll(&mut Context::from_waker(&waker));
        (polled, woken.0.load(Ordering::Relaxed))
    }

    /// A future that wakes itself so often, and is then ready.
    fn restless(mut times: usize) -> impl Future<Output = ()> {
        poll_fn(move |cx| match times {
            0 => Poll::Ready(()),
            _ => {
                times -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }

    #[test]
    fn what_wakes_itself_goes_on_without_the_scheduler() {
        let mut future = std::pin::pin!(in_one_turn(restless(ROUNDS - 1)));
        assert_eq!(poll_once(future.as_mut()), (Poll::Ready(()), 0));
    }

    #[test]
    fn others_have_their_turn() {
        let mut future = std::pin::pin!(in_one_turn(restless(ROUNDS)));
        assert_eq!(poll_once(future.as_mut()), (Poll::Pending, 1));
        assert_eq!(poll_once(future.as_mut()), (Poll::Ready(()), 0));
    }

    #[test]
    fn who_sleeps_is_woken() {
        let (sender, mut receiver) = tokio::sync::oneshot::channel();
        let mut future = std::pin::pin!(in_one_turn(&mut receiver));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        assert!(future.as_mut().poll(cx).is_pending());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        sender.send(()).expect("it is awaited");
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(future.as_mut().poll(cx), Poll::Ready(Ok(())));
    }
}
