//! The connection's requests and reports to JavaScript.

use alloc::boxed::Box;
use alloc::rc::Rc;

use steady_socket::application::{Answer, Application, Attempt, Resolution};
use steady_socket::connection::{Event, Loss, Verdict};
use wasm_bindgen::prelude::*;

use crate::callbacks::{Callback, Callbacks, Registered};
use crate::host::{self, Host, lost, questions};
#[cfg(feature = "session")]
use crate::session::JsSession;

/// An object of the JavaScript class, as the driver sees it.
pub(crate) struct Face {
    host: Rc<Host>,
    callbacks: Rc<Callbacks>,
    /// The sum of the [`questions`].
    questions: i32,
    #[cfg(feature = "session")]
    session: Option<Rc<JsSession>>,
}

impl Face {
    pub(crate) fn new(
        host: Rc<Host>,
        callbacks: Rc<Callbacks>,
        #[cfg(feature = "session")] session: Option<Rc<JsSession>>,
    ) -> Self {
        Self {
            questions: host::questions_of(&host),
            host,
            callbacks,
            #[cfg(feature = "session")]
            session,
        }
    }

    /// The application's own verdict.
    fn asked_verdict(&self, loss: &Loss) -> Option<Verdict> {
        if !self.answers(questions::VERDICT) {
            return None;
        }
        // The host has checked the range; a fraction of a millisecond counts as a whole one.
        match host::verdict_of(&self.host, lost(&self.host, loss)) {
            host::RETRY => Some(Verdict::Retry),
            host::STOP => Some(Verdict::Stop),
            millis if millis >= 0.0 => Some(Verdict::RetryAfterMs(millis as u64)),
            _ => None,
        }
    }

    const fn answers(&self, question: i32) -> bool {
        self.questions & question != 0
    }

    fn message_of(&self, keepalive: i32) -> Option<JsValue> {
        let message = host::ping_of(&self.host, keepalive);
        (!message.is_undefined()).then_some(message)
    }
}

/// Tells the program of an event.
#[inline]
pub(crate) fn tell(host: &Host, event: Event<JsValue>) {
    match event {
        Event::State(change) => host::state_changed(
            host,
            change.phase.index().into(),
            change.attempt.into(),
            or_negative(change.delay_ms),
            change.why.index().into(),
        ),
        Event::Open {
            generation,
            reconnected,
            attempt,
        } => {
            let socket = generation.number() as f64;
            host::opened(host, socket, attempt.into(), reconnected.into());
        }
        Event::Error => host::failed(host),
        Event::Closed(closed) => host::closed(
            host,
            closed.generation.number() as f64,
            lost(host, &closed.loss),
            or_negative(closed.retry_in_ms),
            closed.why.index().into(),
            closed.unconfirmed.messages as f64,
            closed.unconfirmed.bytes as f64,
        ),
        Event::Dropped(dropped) => {
            for message in dropped.payloads {
                host::dropping(host, message);
            }
            let reason = dropped.reason.index().into();
            host::dropped(host, reason, dropped.bytes as f64, dropped.omitted as f64);
        }
        Event::QueueChanged(queued) => {
            host::queue_changed(host, queued.messages as f64, queued.bytes as f64);
        }
        // These classes have no sessions.
        _ => {}
    }
}

/// Optional milliseconds.
fn or_negative(millis: Option<u64>) -> f64 {
    millis.map_or(-1.0, |millis| millis as f64)
}

impl Application<JsValue> for Face {
    type Target = ();

    fn resolve(&self, attempt: &Attempt, answer: Answer<()>) -> Resolution<()> {
        if !self.answers(questions::TARGET) {
            return Resolution::Ready(Ok(()));
        }
        let registered = self.callbacks.register(Callback::Search(answer));
        let last = attempt.last_loss.as_ref();
        let last = last.map_or(JsValue::NULL, |loss| lost(&self.host, loss));
        host::search(&self.host, registered.id, attempt.number.into(), last);
        Resolution::Pending(Box::new(Search(registered)))
    }

    fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        let asked = self.asked_verdict(loss);
        #[cfg(feature = "session")]
        if let Some(session) = &self.session {
            // In any case: it has to know.
            let known = session.verdict(loss);
            return asked.or(known);
        }
        asked
    }

    fn message(&self, event: JsValue) {
        #[cfg(feature = "session")]
        if let Some(session) = self.session.as_ref().filter(|session| !session.is_plain()) {
            return session.message(event);
        }
        host::received(&self.host, event);
    }

    fn event(&self, event: Event<JsValue>) {
        #[cfg(feature = "session")]
        if let Some(session) = &self.session {
            return session.event(event);
        }
        tell(&self.host, event);
    }

    #[cfg(feature = "session")]
    fn speaks_sessions(&self) -> bool {
        self.session.is_some()
    }

    fn settled(&self) {
        #[cfg(feature = "session")]
        if let Some(session) = &self.session {
            session.settled();
        }
    }

    fn ping(&self) -> Option<JsValue> {
        self.answers(questions::PING)
            .then(|| self.message_of(0))
            .flatten()
    }

    fn keepalive(&self) -> Option<JsValue> {
        self.message_of(1)
    }

    fn pings(&self) -> bool {
        self.answers(questions::PING)
    }

    fn is_pong(&self, event: &JsValue) -> bool {
        self.answers(questions::MATCHER) && host::is_heartbeat(&self.host, event) != 0
    }
}

/// The search for the URL and the sub-protocols. Dropping it before the result arrives aborts the functions' signal.
struct Search(Registered);

impl Drop for Search {
    fn drop(&mut self) {
        host::call_off(self.0.id);
    }
}
