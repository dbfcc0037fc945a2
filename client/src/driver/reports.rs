//! What the platform reports: of the socket, of the timers, of the world around the page.

use alloc::rc::Rc;

use steady_socket_protocol::control::{self, Heard};

use crate::application::Application;
use crate::connection::{Generation, Hint, Input, Pings, Report};
use crate::platform::{Platform, RawSocket as _, SocketEvent};

use super::alarm::{DEEP, Which};
use super::{Inner, Job, clocks_of};

impl<P: 'static, L, A> Inner<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    pub(super) fn socket_reports(self: &Rc<Self>, generation: Generation, event: SocketEvent<P>) {
        self.begin_turn();
        let report = match event {
            SocketEvent::Opened => Report::Opened(self.pings_of(generation)),
            SocketEvent::Message { payload, bytes } => {
                return self.received(generation, payload, bytes);
            }
            SocketEvent::TooBig => Report::TooBig,
            SocketEvent::Error(error) => Report::Error(error),
            SocketEvent::Closed(close) => {
                self.look_at_clocks();
                // Kept until the core has processed it: dropping it here would free the running closure.
                let socket = self.socket_of(generation);
                self.happened(Report::Closed(close).of(generation));
                if socket.is_some() {
                    self.forget_socket(generation);
                }
                return;
            }
        };
        self.happened(report.of(generation));
    }

    /// How the server of a socket that is open can be pinged.
    fn pings_of(&self, generation: Generation) -> Pings {
        let offered = self.connection.borrow().offers_control_messages();
        let socket = self.socket_of(generation).filter(|_| offered);
        if socket.is_some_and(|socket| socket.protocol().ends_with(control::SUFFIX)) {
            Pings::Control
        } else if self.application.pings() {
            Pings::Application
        } else {
            Pings::None
        }
    }

    /// A message arrived. Usually there is nothing else to deliver, and it goes straight to the application.
    fn received(self: &Rc<Self>, generation: Generation, payload: P, mut bytes: usize) {
        let payload = match self.for_the_application(payload, &mut bytes) {
            Ok(payload) => payload,
            Err(report) => return self.happened(report.of(generation)),
        };
        if self.delivering.get() {
            // Behind what is being delivered.
            return self.happened(Report::Message { payload, bytes }.of(generation));
        }
        let is_timed = self.connection.borrow().messages_are_timed(bytes);
        let now = self.moment(is_timed);
        let received = self
            .connection
            .borrow_mut()
            .receive(now, generation, payload, bytes);
        if let Some(payload) = received {
            self.delivering.set(true);
            self.application.message(payload);
            self.delivering.set(false);
            let is_done = {
                let connection = self.connection.borrow();
                connection.is_settled() && !connection.has_output()
            };
            if is_done {
                return self.delivered();
            }
        }
        self.deliver();
    }

    /// A message for the application, unescaped, whose size does not count the escape either; or what a message between
    /// the two ends reports.
    fn for_the_application(&self, mut payload: P, bytes: &mut usize) -> Result<P, Report<P>> {
        if self.connection.borrow().uses_control_messages()
            && let Some(text) = self.platform.text_marked(&payload, control::MARK)
        {
            match control::heard(&text) {
                Heard::Application(_) => {
                    payload = self.platform.without_mark(payload);
                    *bytes = bytes.saturating_sub(1);
                }
                Heard::Control(control) => return Err(Report::Control(control)),
                Heard::Unknown => return Err(Report::Alive),
            }
        }
        match self.application.is_pong(&payload) {
            true => Err(Report::Answered),
            false => Ok(payload),
        }
    }

    pub(super) fn timer_went_off(self: &Rc<Self>, which: Which) {
        self.chain.set(self.alarm(which).fired());
        self.begin_turn();
        self.look_at_clocks();
        self.happened(Input::Timer);
        if self.chain.replace(0) >= DEEP {
            // What is armed outside timers begins a new chain.
            self.platform.turn(self.later(Job::Arm));
        }
    }

    /// The event loop has turned, as the core has asked.
    pub(super) fn turned(self: &Rc<Self>, generation: Generation, turn: u32) {
        self.begin_turn();
        self.look_at_clocks();
        self.happened(Report::Turned(turn).of(generation));
    }

    /// Something outside may have changed.
    pub(super) fn hinted(self: &Rc<Self>, hint: Hint) {
        self.begin_turn();
        self.look_at_clocks();
        self.happened(Input::Hint(hint));
    }

    /// Informs the core of a sleep of the machine before anything that its deadlines would judge.
    fn look_at_clocks(self: &Rc<Self>) {
        let now = clocks_of(&*self.platform);
        if let Some(slept) = self.clocks.replace(now).slept(now) {
            self.happened(Input::Hint(slept));
        }
    }
}
