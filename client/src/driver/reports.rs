//! What the platform reports: of the socket, of the timers, of the world around the page.

use alloc::rc::{Rc, Weak};

use steady_socket_protocol::control::{self, Control, Heard};
use steady_socket_protocol::session;

use crate::application::Application;
use crate::connection::{Generation, Hint, Input, Pings, Report};
use crate::platform::{Platform, RawSocket as _, SocketEvent, SocketListener};

use super::alarm::{DEEP, Which};
use super::{Inner, Job, clocks_of};

/// What the socket of an attempt reports to.
pub(super) struct AttemptListener<P: 'static, L, A>
where
    L: Platform<P> + ?Sized + 'static,
    A: Application<P> + ?Sized + 'static,
{
    pub(super) driver: Weak<Inner<P, L, A>>,
    pub(super) generation: Generation,
}

impl<P: 'static, L, A> SocketListener<P> for AttemptListener<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    /// Usually there is nothing else to deliver, and the message goes straight to the application.
    fn message(&self, payload: P, bytes: usize) {
        let (Some(driver), generation) = (self.driver.upgrade(), self.generation) else {
            return;
        };
        driver.begin_turn();
        match driver.sort(payload, bytes) {
            Report::Message { payload, bytes } if !driver.delivering.get() => {
                let is_timed = driver.connection.borrow().messages_are_timed(bytes);
                let now = driver.moment(is_timed);
                let received = driver
                    .connection
                    .borrow_mut()
                    .receive(now, generation, payload, bytes);
                if let Some(payload) = received {
                    driver.delivering.set(true);
                    driver.application.message(payload);
                    driver.delivering.set(false);
                    if driver.connection.borrow().is_settled() {
                        return driver.delivered();
                    }
                }
                driver.deliver();
            }
            // Also a message behind what is being delivered.
            report => driver.happened(report.of(generation)),
        }
    }

    fn event(&self, event: SocketEvent) {
        let (Some(driver), generation) = (self.driver.upgrade(), self.generation) else {
            return;
        };
        driver.begin_turn();
        let report = match event {
            SocketEvent::Opened => Report::Opened(driver.pings_of(generation)),
            SocketEvent::TooBig => Report::TooBig,
            SocketEvent::Error(error) => Report::Error(error),
            SocketEvent::Closed(close) => {
                driver.look_at_clocks();
                // Kept until the core has processed it: dropping it here would free the running closure.
                let socket = driver.socket_of(generation);
                driver.happened(Report::Closed(close).of(generation));
                if socket.is_some() {
                    driver.forget_socket(generation);
                }
                return;
            }
        };
        driver.happened(report.of(generation));
    }
}

impl<P: 'static, L, A> Inner<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    /// How the server of a socket that is open can be pinged.
    fn pings_of(&self, generation: Generation) -> Pings {
        let offered = self.connection.borrow().offers_control_messages();
        let socket = self.socket_of(generation).filter(|_| offered);
        let protocol = socket.map(|socket| socket.protocol()).unwrap_or_default();
        if self.application.speaks_sessions() && protocol.ends_with(session::SUFFIX) {
            Pings::Session
        } else if protocol.ends_with(control::SUFFIX) {
            Pings::Control
        } else if self.application.pings() {
            Pings::Application
        } else {
            Pings::None
        }
    }

    /// What a message from the server reports: a [`Report::Message`] for the application, unescaped, whose size does not
    /// count the escape either; or what the two ends say to each other.
    fn sort(&self, mut payload: P, mut bytes: usize) -> Report<P> {
        // A session reads and writes all texts itself but control messages, which are short.
        let in_session =
            self.application.speaks_sessions() && self.connection.borrow().carries_session();
        let may_be_control = match in_session {
            true => bytes <= Control::LONGEST,
            false => self.connection.borrow().uses_control_messages(),
        };
        if may_be_control && let Some(text) = self.platform.text_marked(&payload, control::MARK) {
            match control::heard(&text) {
                Heard::Control(control) => return Report::Control(control),
                _ if in_session => {}
                Heard::Application(_) => {
                    payload = self.platform.without_mark(payload);
                    bytes = bytes.saturating_sub(1);
                }
                Heard::Unknown => return Report::Alive,
            }
        }
        match !in_session && self.application.is_pong(&payload) {
            true => Report::Answered,
            false => Report::Message { payload, bytes },
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
