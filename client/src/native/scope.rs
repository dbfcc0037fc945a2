//! Where sockets and their tasks run: on one thread, inside of a tokio runtime.

use core::cell::Cell;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, LocalSet};

use crate::cell::RefCell;

/// How long sockets that were dropped may take to hand over what they still have, and to close.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// The tasks of one place.
#[derive(Default)]
pub(super) struct Home {
    tasks: LocalSet,
    /// How many sockets are closing, with nobody listening.
    leaving: Cell<usize>,
    left: Notify,
}

thread_local! {
    /// The place whose code is running.
    static CURRENT: RefCell<Option<Rc<Home>>> = const { RefCell::new(None) };
}

impl Home {
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        self.tasks.spawn_local(task).abort_handle()
    }

    /// A socket is closing, with nobody listening, until the result is dropped.
    pub(super) fn leave(self: &Rc<Self>) -> Leaving {
        self.leaving.set(self.leaving.get().saturating_add(1));
        Leaving(Rc::downgrade(self))
    }

    /// Waits for the sockets that are closing.
    async fn all_have_left(&self) {
        while self.leaving.get() > 0 {
            self.left.notified().await;
        }
    }
}

/// See [`Home::leave`].
pub(super) struct Leaving(std::rc::Weak<Home>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(home) = self.0.upgrade() {
            home.leaving.set(home.leaving.get().saturating_sub(1));
            home.left.notify_one();
        }
    }
}

/// A future that runs in a place.
struct Inside<'a, F> {
    home: &'a Rc<Home>,
    future: Pin<&'a mut F>,
}

impl<F: Future> Future for Inside<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        /// Puts back what was there, even if the future panics.
        struct Back(Option<Rc<Home>>);
        impl Drop for Back {
            fn drop(&mut self) {
                let earlier = self.0.take();
                let own =
                    CURRENT.with(|current| core::mem::replace(&mut *current.borrow_mut(), earlier));
                drop(own);
            }
        }
        let own = Rc::clone(self.home);
        let _back = Back(CURRENT.with(|current| current.borrow_mut().replace(own)));
        self.future.as_mut().poll(task)
    }
}

/// Runs a future in which there may be sockets, inside of a tokio runtime with its time and its network enabled, as they are
/// in that of `#[tokio::main]`. The sockets belong to this call: when the future is ready, what was dropped has some seconds
/// to send what it still has, and whatever is left then ends.
///
/// ```no_run
/// use steady_socket::{PlainText, Socket, native};
///
/// # async fn program() -> Result<(), Box<dyn std::error::Error>> {
/// native::scope(async {
///     let mut socket = Socket::<String, String, PlainText>::connect("wss://example.org/hello")?;
///     socket.send("Ada").await?;
///     Ok(())
/// })
/// .await
/// # }
/// ```
pub async fn scope<F: Future>(future: F) -> F::Output {
    let home = Rc::new(Home::default());
    let output = {
        let future = pin!(home.tasks.run_until(future));
        Inside {
            home: &home,
            future,
        }
        .await
    };
    if home.leaving.get() > 0 {
        let rest = tokio::time::timeout(LINGER, home.all_have_left());
        let future = pin!(home.tasks.run_until(rest));
        // Those that have not closed by then are dropped.
        let _ = Inside {
            home: &home,
            future,
        }
        .await;
    }
    output
}

/// Runs a future in which there may be sockets, on this thread and a tokio runtime of its own. See [`scope`].
///
/// # Errors
/// If the system does not give what a runtime needs.
///
/// # Panics
/// If it is called inside of an async runtime, which has [`scope`].
pub fn run<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(scope(future)))
}
