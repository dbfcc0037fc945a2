//! What the connection asks of JavaScript, and tells it.

use std::pin::Pin;
use std::task::{Context, Poll};

use js_sys::{Array, JsString};
use steady_socket::connection::{Event, Loss, Verdict};
use steady_socket::driver::{Application, Attempt, Resolution};
use steady_socket::platform::{Refused, Target};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use crate::host::{Host, lost};

/// An object of the JavaScript class, as the driver sees it.
pub(crate) struct Face {
    host: Host,
    /// Where to connect; `None` when functions have to be asked each time.
    target: Option<Target>,
    has_predicate: bool,
    has_log: bool,
    has_ping: bool,
    has_matcher: bool,
}

impl Face {
    pub(crate) fn new(host: Host, target: Option<Target>) -> Self {
        Self {
            target,
            has_predicate: host.has_predicate(),
            has_log: host.has_log(),
            has_ping: host.has_ping(),
            has_matcher: host.has_matcher(),
            host,
        }
    }
}

impl Application<JsValue> for Face {
    fn resolve(&self, attempt: &Attempt) -> Resolution {
        if let Some(target) = &self.target {
            return Resolution::Ready(Ok(target.clone()));
        }
        let controller = match AbortController::new() {
            Ok(controller) => controller,
            Err(_) => return Resolution::Ready(Err(Refused("no AbortController".to_owned()))),
        };
        let last = attempt.last_loss.as_ref().map_or(JsValue::NULL, lost);
        let answer = self
            .host
            .resolve(attempt.number, last, &controller.signal());
        Resolution::Pending(Box::pin(Search {
            answer: JsFuture::from(answer),
            controller: Some(controller),
        }))
    }

    fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        if !self.has_predicate {
            return None;
        }
        let verdict = self.host.verdict(lost(loss));
        match verdict.as_bool() {
            Some(true) => Some(Verdict::Retry),
            Some(false) => Some(Verdict::Stop),
            // The host has checked its range; a part of a millisecond counts as a whole one.
            None => verdict
                .as_f64()
                .map(|millis| Verdict::RetryAfter(millis.ceil() as u64)),
        }
    }

    fn message(&self, event: JsValue) {
        self.host.message(event.unchecked_ref());
    }

    fn event(&self, event: Event<JsValue>) {
        if self.has_log {
            self.host.log(&event.to_string());
        }
        match event {
            Event::State(change) => self.host.state_changed(
                change.phase.name(),
                change.attempt,
                change.delay.map(|delay| delay as f64),
                &change.why.to_string(),
            ),
            Event::Open {
                reconnected,
                attempt,
                ..
            } => self.host.opened(reconnected, attempt),
            Event::Error => self.host.failed(),
            Event::Closed(closed) => self.host.closed(
                lost(&closed.loss),
                closed.retry_in.map(|delay| delay as f64),
                &closed.why.to_string(),
                closed.unconfirmed.messages as f64,
                closed.unconfirmed.bytes as f64,
            ),
            Event::Dropped(dropped) => {
                let messages: Array = dropped.payloads.into_iter().collect();
                self.host
                    .dropped(dropped.reason.name(), messages, dropped.bytes as f64);
            }
        }
    }

    fn settled(&self) {}

    fn ping(&self) -> Option<JsValue> {
        if !self.has_ping {
            return None;
        }
        let ping = self.host.ping();
        (!ping.is_undefined()).then_some(ping)
    }

    fn pings(&self) -> bool {
        self.has_ping
    }

    fn is_pong(&self, event: &JsValue) -> bool {
        self.has_matcher && self.host.is_heartbeat(event.unchecked_ref()).is_truthy()
    }
}

/// The answer of the functions that provide the URL and the sub-protocols. Dropping it before it is
/// there aborts their signal.
struct Search {
    answer: JsFuture,
    /// Taken when the answer is there.
    controller: Option<AbortController>,
}

impl Future for Search {
    type Output = Result<Target, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            self.controller = None;
            answer
                .ok()
                .and_then(|answer| target(&answer))
                .ok_or_else(|| Refused("the functions gave no target".to_owned()))
        })
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.abort();
        }
    }
}

/// Reads an array of strings: the URL, then the sub-protocols.
pub(crate) fn target(answer: &JsValue) -> Option<Target> {
    let mut strings = answer
        .dyn_ref::<Array>()?
        .iter()
        .map(|value| value.dyn_into::<JsString>().ok().map(String::from));
    Some(Target {
        url: strings.next()??,
        protocols: strings.collect::<Option<_>>()?,
    })
}
