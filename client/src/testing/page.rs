//! The page of a test: its time, timers, tasks and listeners.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Waker};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;

use crate::connection::Hint;
use crate::platform::LocalFuture;

/// A page whose time stands still unless the test advances it.
///
/// Clones share the same page.
#[derive(Clone, Default)]
pub(super) struct Page(Rc<State>);

#[derive(Default)]
struct State {
    now: Cell<u64>,
    /// How far the wall clock is ahead.
    slept: Cell<u64>,
    watches: RefCell<Vec<Rc<WatchState>>>,
    timers: RefCell<Vec<Rc<TimerState>>>,
    tasks: RefCell<Vec<LocalFuture<()>>>,
    /// The page is busy.
    busy: Cell<bool>,
    /// What arrived meanwhile.
    arrived: RefCell<Vec<Box<dyn FnOnce()>>>,
    wakes: Arc<Wakes>,
}

/// Called with the browser's hints.
type HintListener = Rc<dyn Fn(Hint)>;

struct WatchState {
    tell: RefCell<Option<HintListener>>,
}

struct TimerState {
    at: u64,
    fire: RefCell<Option<Box<dyn FnOnce()>>>,
}

/// How often a task was made ready. This is a counter, not a flag, since a task may itself run the world.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wakes {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Page {
    pub(super) fn now(&self) -> u64 {
        self.0.now.get()
    }

    pub(super) fn wall_clock(&self) -> u64 {
        self.0.now.get().saturating_add(self.0.slept.get())
    }

    /// Calls `tell` with hints until the result is dropped.
    pub(super) fn watch(&self, tell: HintListener) -> Box<dyn Any> {
        let watch = Rc::new(WatchState {
            tell: RefCell::new(Some(tell)),
        });
        self.0.watches.borrow_mut().push(Rc::clone(&watch));
        Box::new(StopWatching(watch))
    }

    /// Calls `fire` after `millis` milliseconds, unless the result is dropped first.
    pub(super) fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        let at = self.0.now.get().saturating_add(millis);
        let timer = Rc::new(TimerState {
            at,
            fire: RefCell::new(Some(fire)),
        });
        self.0.timers.borrow_mut().push(Rc::clone(&timer));
        Box::new(CallOff(timer))
    }

    pub(super) fn spawn(&self, task: LocalFuture<()>) {
        self.0.tasks.borrow_mut().push(task);
    }

    /// Does something in the next [`Page::run`].
    pub(super) fn soon(&self, act: impl FnOnce() + 'static) {
        let task: LocalFuture<()> = Box::pin(async move { act() });
        self.0.tasks.borrow_mut().push(task);
    }

    /// How many timers are armed.
    pub(super) fn timer_count(&self) -> usize {
        self.0
            .timers
            .borrow()
            .iter()
            .filter(|timer| timer.fire.borrow().is_some())
            .count()
    }

    /// Emits a hint of the browser that something has changed.
    pub(super) fn hint(&self, hint: Hint) {
        let watches = self.0.watches.borrow().clone();
        for watch in watches {
            let tell = watch.tell.borrow().clone();
            if let Some(tell) = tell {
                tell(hint);
            }
        }
        self.run();
    }

    /// How many listen to hints.
    pub(super) fn watch_count(&self) -> usize {
        self.0
            .watches
            .borrow()
            .iter()
            .filter(|watch| watch.tell.borrow().is_some())
            .count()
    }

    /// Puts the machine to sleep: the wall clock advances, and nothing else does.
    pub(super) fn sleep(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.0.slept.set(self.0.slept.get().saturating_add(millis));
    }

    /// Advances time, and lets everything happen that is due.
    pub(super) fn advance(&self, time: Duration) {
        let end = self.0.now.get().saturating_add(time.as_millis() as u64);
        self.run();
        while let Some(timer) = self.due(end) {
            self.0.now.set(timer.at.max(self.0.now.get()));
            let fire = timer.fire.borrow_mut().take();
            if let Some(fire) = fire {
                fire();
            }
            self.run();
        }
        self.0.now.set(end);
    }

    /// Advances time, but the page's timers fire only at its end, as those of a hidden page may.
    pub(super) fn advance_throttled(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.0.now.set(self.0.now.get().saturating_add(millis));
        self.advance(Duration::ZERO);
    }

    /// Keeps the page busy for some time. What the test does in `meanwhile` reaches it only afterwards; first, the
    /// due timers fire, which is the worst possible order. Only the page is held up: a server that would have
    /// answered within that time answers in `meanwhile`.
    pub(super) fn busy(&self, time: Duration, meanwhile: impl FnOnce()) {
        self.0.busy.set(true);
        meanwhile();
        let millis = time.as_millis() as u64;
        self.0.now.set(self.0.now.get().saturating_add(millis));
        let now = self.0.now.get();
        let timers = self.0.timers.borrow().clone();
        for timer in timers.iter().filter(|timer| timer.at <= now) {
            let fire = timer.fire.borrow_mut().take();
            if let Some(fire) = fire {
                fire();
            }
        }
        self.0.busy.set(false);
        let arrived = self.0.arrived.take();
        for arrive in arrived {
            arrive();
        }
        self.run();
    }

    /// Delivers something to the page, as soon as it is not busy.
    pub(super) fn arrives(&self, arrive: impl FnOnce() + 'static) {
        if self.0.busy.get() {
            self.0.arrived.borrow_mut().push(Box::new(arrive));
        } else {
            arrive();
            self.run();
        }
    }

    fn due(&self, end: u64) -> Option<Rc<TimerState>> {
        let mut timers = self.0.timers.borrow_mut();
        timers.retain(|timer| timer.fire.borrow().is_some());
        timers
            .iter()
            .filter(|timer| timer.at <= end)
            .min_by_key(|timer| timer.at)
            .cloned()
    }

    /// Runs the tasks that are ready, and those that these make ready. A task that keeps making itself ready never
    /// lets this return.
    pub(super) fn run(&self) {
        if self.0.busy.get() {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.0.wakes));
        let mut context = Context::from_waker(&waker);
        // A task made ready by another runs in the next pass. A test may also wake nobody, so the changes of a
        // finished task are checked, too.
        loop {
            let wakes = self.0.wakes.count();
            let tasks = core::mem::take(&mut *self.0.tasks.borrow_mut());
            let before = tasks.len();
            let mut pending = Vec::new();
            for mut task in tasks {
                if task.as_mut().poll(&mut context).is_pending() {
                    pending.push(task);
                }
            }
            let finished = pending.len() < before;
            let mut all = self.0.tasks.borrow_mut();
            let added = !all.is_empty();
            pending.append(&mut all);
            *all = pending;
            if !finished && !added && self.0.wakes.count() == wakes {
                return;
            }
        }
    }
}

/// Cancels a timer on drop.
struct CallOff(Rc<TimerState>);

impl Drop for CallOff {
    fn drop(&mut self) {
        let fire = self.0.fire.borrow_mut().take();
        drop(fire);
    }
}

/// Stops listening on drop.
struct StopWatching(Rc<WatchState>);

impl Drop for StopWatching {
    fn drop(&mut self) {
        let tell = self.0.tell.borrow_mut().take();
        drop(tell);
    }
}
