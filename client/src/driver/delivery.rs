//! Delivers the core's outputs to the application, so much in each task of the platform, and then arms the timers.

use alloc::rc::Rc;

use crate::application::Application;
use crate::connection::{Output, Time, Upcoming};
use crate::limits::{TURN, VERDICTS};
use crate::platform::Platform;

use super::alarm::{Alarm, Which};
use super::{Inner, Job};

impl<P: 'static, L, A> Inner<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    /// Carries out what there is to do, and hands out what there is to tell.
    #[inline(never)]
    pub(super) fn deliver(self: &Rc<Self>) {
        self.carry_out();
        if self.delivering.replace(true) {
            return;
        }
        loop {
            // If `open` was the last one, its handler has not returned before the next is polled.
            if self.deliveries_left.get() == 0 && !self.connection.borrow().is_opening() {
                break;
            }
            let heeded = self.connection.borrow().messages_expire();
            let now = self.moment(heeded);
            let output = self.connection.borrow_mut().poll_output(now);
            self.carry_out();
            self.deliveries_left
                .set(self.deliveries_left.get().saturating_sub(1));
            match output {
                // The effects of the last one may have produced more: a send that threw.
                None if self.connection.borrow().has_output() => continue,
                None => break,
                Some(Output::Message(payload)) => self.application.message(payload),
                Some(Output::Event(event)) => {
                    #[cfg(feature = "log")]
                    if !matches!(event, crate::connection::Event::QueueChanged(_)) {
                        log::debug!(target: "steady_socket", "{event}");
                    }
                    self.application.event(event);
                }
            }
        }
        self.delivering.set(false);
        self.delivered();
    }

    /// The platform has begun a task, unless a handler caused this.
    pub(super) fn begin_turn(&self) {
        if !self.delivering.get() {
            self.deliveries_left.set(TURN);
            self.verdicts_left.set(VERDICTS);
        }
    }

    /// Everything has been delivered, or everything that this task may deliver.
    pub(super) fn delivered(self: &Rc<Self>) {
        self.arm();
        self.application.settled();
    }

    /// Arms the timers for the core's next deadlines, and watches the page while that may matter. Returns what comes next.
    pub(super) fn arm(self: &Rc<Self>) -> Upcoming {
        let next = self.connection.borrow().upcoming();
        if next.is_wanted != self.watch.borrow().is_some() {
            self.watch_page(next.is_wanted);
        }
        // Already half-way, so that a program in whose own tasks events are delivered one by one never reaches the
        // limit of a task.
        let deadline = match self.deliveries_left.get() > TURN / 2 && self.verdicts_left.get() > 0 {
            true => next.deadline,
            false => Some(self.moment(true)),
        };
        for (which, at) in [(Which::Look, next.look), (Which::Deadline, deadline)] {
            if !self.alarm(which).suits(at, self.chain.get()) {
                self.rearm(which, at);
            }
        }
        next
    }

    pub(super) const fn alarm(&self, which: Which) -> &Alarm<L::Timer> {
        let [look, deadline] = &self.alarms;
        match which {
            Which::Look => look,
            Which::Deadline => deadline,
        }
    }

    #[inline(never)]
    fn rearm(self: &Rc<Self>, which: Which, at: Option<Time>) {
        let alarm = self.alarm(which);
        alarm.disarm();
        if let Some(at) = at {
            let chain = self.chain.get();
            let fire = self.later(Job::Timer(which));
            let timer = self.platform.set_timer(at.since(self.platform.now()), fire);
            alarm.keep(at, chain, timer);
        }
    }

    /// Starts or stops watching the page and the network.
    fn watch_page(self: &Rc<Self>, is_wanted: bool) {
        let watch = is_wanted.then(|| {
            let weak = Rc::downgrade(self);
            self.platform.watch(Rc::new(move |hint| {
                if let Some(inner) = weak.upgrade() {
                    inner.hinted(hint);
                }
            }))
        });
        let earlier = core::mem::replace(&mut *self.watch.borrow_mut(), watch);
        drop(earlier);
    }
}
