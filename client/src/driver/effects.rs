//! Carries out the core's effects on the platform, and reports their outcomes.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;

use steady_socket_protocol::control;

use crate::application::{Application, Attempt, Resolution};
use crate::connection::{Effect, Generation, Input, Report};
use crate::platform::{Platform, RawSocket as _, Refused};

use super::reports::AttemptListener;
use super::{Inner, Job, Wire};

impl<P: 'static, L, A> Inner<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    pub(super) fn carry_out(self: &Rc<Self>) {
        while self.verdicts_left.get() > 0 {
            let effect = self.connection.borrow_mut().poll_effect();
            match effect {
                None => return,
                Some(Effect::Resolve { generation }) => self.resolve(generation),
                Some(Effect::CancelResolve { .. }) => {
                    // Dropped outside the borrow: the user's future may call back when dropped.
                    let search = self.search.borrow_mut().take();
                    drop(search);
                }
                Some(Effect::Open { generation }) => self.open(generation),
                Some(Effect::Transmit {
                    generation,
                    payload,
                }) => self.transmit(generation, payload),
                Some(Effect::Ping { generation }) => self.ping(generation, false),
                Some(Effect::KeepAlive { generation }) => self.ping(generation, true),
                Some(Effect::Turn { generation, turn }) => self.turn(generation, turn),
                Some(Effect::Measure { generation }) => self.measure(generation),
                Some(Effect::Judge { generation }) => self.judge(generation),
                Some(Effect::Close {
                    generation,
                    code,
                    reason,
                }) => self.close_socket(self.socket_of(generation), code, &reason),
                Some(Effect::Abandon {
                    generation,
                    code,
                    reason,
                }) => {
                    if let Some(socket) = self.forget_socket(generation) {
                        socket.detach();
                        socket.close(code, &reason);
                    }
                }
            }
        }
    }

    /// Sends a ping of the control messages, or the application's own.
    fn ping(&self, generation: Generation, is_keepalive: bool) {
        let control = self.connection.borrow().control_ping();
        let (ping, is_question) = match control {
            Some(control) => (
                Some(self.platform.message(&control.text)),
                control.is_question,
            ),
            None => match is_keepalive.then(|| self.application.keepalive()).flatten() {
                Some(keepalive) => (Some(keepalive), false),
                None => (self.application.ping(), true),
            },
        };
        if let (Some(socket), Some(ping)) = (self.socket_of(generation), ping)
            // If the socket refuses it, the missing answer reveals that the socket is dead.
            && socket.send(&ping).is_ok()
            && is_question
        {
            self.handle(Report::Pinged.of(generation));
        }
    }

    /// Lets the events waiting in the event loop arrive before something is given up.
    fn turn(self: &Rc<Self>, generation: Generation, turn: u32) {
        let job = Job::Turned { generation, turn };
        if !self.platform.turn(self.later(job)) {
            self.handle(Report::Turned(turn).of(generation));
        }
    }

    /// Calls the application's predicate with the loss of an attempt. What its commands require is carried out when it has
    /// returned: an attempt that fails at once would call it again.
    fn judge(&self, generation: Generation) {
        let loss = self.connection.borrow().lost().cloned();
        if let Some(loss) = loss {
            let left = self.verdicts_left.replace(0);
            let verdict = self.application.verdict(&loss);
            self.verdicts_left.set(left.saturating_sub(1));
            self.handle(Report::Verdict(verdict).of(generation));
        }
    }

    /// Passes a message to the browser and reports the outcome to the core.
    pub(super) fn transmit(&self, generation: Generation, payload: P) {
        let error = match self.socket_of(generation) {
            Some(socket) => match self.send_on(&*socket, &payload) {
                Ok(()) => {
                    let heeded = self.connection.borrow().transmissions_are_timed();
                    let now = self.moment(heeded);
                    self.connection.borrow_mut().transmitted(now, generation);
                    return;
                }
                Err(refused) => refused.in_words(),
            },
            None => None,
        };
        self.handle(Input::TransmitFailed {
            generation,
            payload,
            error,
        });
    }

    /// Reports to the core what the browser holds.
    fn measure(&self, generation: Generation) {
        let socket = self.socket_of(generation);
        let bytes = socket.map_or(0, |socket| socket.buffered_amount());
        self.handle(Report::Buffered(bytes).of(generation));
    }

    fn resolve(self: &Rc<Self>, generation: Generation) {
        let attempt = {
            let connection = self.connection.borrow();
            Attempt {
                number: connection.attempt(),
                last_loss: connection.last_loss().cloned(),
            }
        };
        let weak = Rc::downgrade(self);
        let answer = Box::new(move |target| {
            if let Some(inner) = weak.upgrade() {
                inner.found(generation, target);
            }
        });
        match self.application.resolve(&attempt, answer) {
            Resolution::Ready(target) => self.resolved(generation, target),
            // Unless the function itself has closed the connection or requested another attempt.
            Resolution::Pending(search) => {
                if self.connection.borrow().wants_target(generation) {
                    *self.search.borrow_mut() = Some(search);
                }
            }
        }
    }

    /// The search for a target has ended.
    fn found(self: &Rc<Self>, generation: Generation, target: Result<L::Target, Refused>) {
        if !self.connection.borrow().wants_target(generation) {
            return;
        }
        let search = self.search.borrow_mut().take();
        drop(search);
        self.resolved(generation, target);
        self.deliver();
    }

    fn resolved(&self, generation: Generation, target: Result<L::Target, Refused>) {
        if !self.connection.borrow().wants_target(generation) {
            return;
        }
        let report = match target {
            Ok(target) => {
                *self.target.borrow_mut() = Some(target);
                Report::Resolved
            }
            Err(refusal) => Report::ResolveFailed(refusal.in_words()),
        };
        self.handle(report.of(generation));
    }

    fn open(self: &Rc<Self>, generation: Generation) {
        let target = self.target.borrow_mut().take();
        if !self.connection.borrow().wants_socket(generation) {
            return;
        }
        let max = self.connection.borrow().max_escaped_bytes();
        let listener = Rc::new(AttemptListener {
            driver: Rc::downgrade(self),
            generation,
        });
        let made = match target {
            Some(target) => self.platform.connect(&target, max, listener),
            None => Err(Refused(String::new())),
        };
        match made {
            Ok(socket) if self.connection.borrow().wants_socket(generation) => {
                *self.socket.borrow_mut() = Some(Wire { generation, socket });
            }
            // The constructor, which may be the application's, has closed the connection or requested another.
            Ok(socket) => {
                socket.detach();
                self.close_socket(Some(socket), None, "");
            }
            Err(refusal) => {
                let error = refusal.in_words();
                self.handle(Report::OpenFailed(error).of(generation));
            }
        }
    }

    #[inline(never)]
    pub(super) fn socket_of(&self, generation: Generation) -> Option<Rc<L::Socket>> {
        let wire = self.socket.borrow();
        wire.as_ref()
            .filter(|wire| wire.generation == generation)
            .map(|wire| Rc::clone(&wire.socket))
    }

    #[inline(never)]
    fn close_socket(&self, socket: Option<Rc<L::Socket>>, code: Option<u16>, reason: &str) {
        if let Some(socket) = socket {
            socket.close(code, reason);
        }
    }

    #[inline(never)]
    pub(super) fn forget_socket(&self, generation: Generation) -> Option<Rc<L::Socket>> {
        let mut wire = self.socket.borrow_mut();
        wire.take_if(|wire| wire.generation == generation)
            .map(|wire| wire.socket)
    }
}

impl<P: 'static, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> Inner<P, L, A> {
    /// Passes a message to a socket, without changing it. An application's text that would look like a control message is
    /// escaped.
    pub(super) fn send_on(&self, socket: &L::Socket, payload: &P) -> Result<(), Refused> {
        if self.connection.borrow().uses_control_messages()
            && let Some(text) = self.platform.text_marked(payload, control::MARK)
        {
            return socket.send(&self.platform.message(&control::escaped(&text)));
        }
        socket.send(payload)
    }
}
