//! What makes a session of a socket: options, sub-protocols, and a credential for each attempt.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use steady_socket_protocol::control;
use steady_socket_protocol::session::frame::{Credential, Style};
use steady_socket_protocol::session::{self, Options as HalfOptions, limits};

use super::super::application::Shared;
use super::super::source::{FindSession, Source, Sources, both, find};
use super::config::Session;
use super::run::{RustSession, Start};
use super::{FaceSession, OnRequest, Setup};
use crate::application::{Answer, Attempt, Resolution};
use crate::options::Options;
use crate::platform::{Refused, Runtime, Target};

/// The session of the Rust API, before it begins.
pub(in crate::face) struct Wanted {
    session: Session,
    style: Style,
    options: HalfOptions,
    offers: Rc<Offers>,
}

impl Wanted {
    pub(in crate::face) fn new(session: Session, style: Style) -> Self {
        Self {
            session,
            style,
            options: HalfOptions::default(),
            offers: Rc::default(),
        }
    }
}

/// What is offered to the server at an attempt.
#[derive(Default)]
pub(super) struct Offers {
    credential: RefCell<Option<Source<String>>>,
    found: RefCell<Option<Credential>>,
    /// Whether the next attempts offer no session.
    pub(super) no_session: Cell<bool>,
    /// Whether every sub-protocol that is offered asks for a session.
    pub(super) only_session: Cell<bool>,
}

impl Offers {
    /// The credential for the current attempt.
    pub(super) fn credential(&self) -> Option<Credential> {
        self.found.borrow().clone()
    }

    /// The sub-protocols to offer now.
    fn filter(&self, mut protocols: Vec<String>) -> Vec<String> {
        let asks = |offer: &String| offer.ends_with(session::SUFFIX);
        self.only_session.set(protocols.iter().all(asks));
        if self.no_session.get() {
            protocols.retain(|offer| !asks(offer));
        }
        protocols
    }
}

impl Setup for Wanted {
    fn prepare(
        &mut self,
        options: &mut Options,
        protocols: &mut Option<Source<Vec<String>>>,
    ) -> Result<(), Refused> {
        let values = options.values();
        if values.gate {
            return Err(Refused::because(
                "a session and the option gate exclude each other: the session's own first message opens the gate; \
                 send a credential with the session instead",
            ));
        }
        if !values.reconnect {
            return Err(Refused::because(
                "a session outlives its connections, so the option reconnect cannot be false",
            ));
        }
        if let Some(credential) = self.session.credential.take() {
            if let Some(text) = credential.value() {
                self.offers.found.replace(Some(check_credential(text)?));
            }
            self.offers.credential.replace(Some(credential));
        }
        self.options = self.session.half_options(*options);
        // Frames hold more than the largest message: a full batch, whose texts may double by JSON's escapes.
        let frame = values.max_message_bytes.map(|most| {
            let payload = most.max(limits::BATCH_BYTES as u32);
            payload.saturating_mul(2).saturating_add(1_024)
        });
        *options = options
            .control_messages(true)
            .gate(true)
            .max_message_bytes(frame);
        let plain = protocols.take().unwrap_or_else(|| Source::from([]));
        *protocols = Some(plain.map(offer_session));
        Ok(())
    }

    fn finder(&self) -> Box<dyn FindSession> {
        Box::new(Finder(Rc::clone(&self.offers)))
    }

    fn start(
        &self,
        on_request: Option<OnRequest>,
        shared: &Rc<Shared>,
        sources: &Rc<Sources>,
    ) -> Result<Rc<dyn FaceSession>, Refused> {
        let random = Runtime::random_bytes(sources.platform.as_ref()).ok_or_else(|| {
            Refused::because(
                "a session needs a cryptographic source of random numbers, and there is no `crypto`",
            )
        })?;
        Ok(RustSession::start(
            Start {
                optional: self.session.optional,
                options: self.options,
                style: self.style,
                offers: Rc::clone(&self.offers),
                on_request,
                random,
            },
            shared,
            sources,
        ))
    }
}

/// The sub-protocols of a client that wants a session: those that ask for one first.
fn offer_session(mut plain: Vec<String>) -> Vec<String> {
    let mut offers: Vec<_> = plain
        .iter()
        .filter(|name| !name.ends_with(control::SUFFIX))
        .map(|name| format!("{name}{}", session::SUFFIX))
        .collect();
    if offers.is_empty() {
        offers.push(session::PLAIN_NAME.to_owned());
    }
    offers.append(&mut plain);
    offers
}

/// Finds the target of an attempt, and the credential.
struct Finder(Rc<Offers>);

impl FindSession for Finder {
    fn resolve(
        &self,
        sources: &Rc<Sources>,
        attempt: &Attempt,
        answer: Answer<Target>,
    ) -> Resolution<Target> {
        let credential = self.0.credential.borrow();
        let credential = credential
            .as_ref()
            .filter(|source| source.value().is_none());
        if let (Some(url), Some(protocols), None) =
            (sources.url.value(), sources.protocols.value(), credential)
        {
            // They were checked when the socket was made.
            return Resolution::Ready(Ok(Target {
                url: url.clone(),
                protocols: self.0.filter(protocols.clone()),
            }));
        }
        let credential = credential.map(|credential| credential.give(attempt));
        let target = Box::pin(both(
            sources.url.give(attempt),
            sources.protocols.give(attempt),
        ));
        let (sought, offers) = (Rc::clone(sources), Rc::clone(&self.0));
        let target = Box::pin(async move {
            let (url, protocols) = match credential {
                Some(credential) => {
                    let (target, credential) = both(target, credential).await;
                    let credential = check_credential(&credential?)?;
                    offers.found.replace(Some(credential));
                    target
                }
                None => target.await,
            };
            sought.target(url?, offers.filter(protocols?))
        });
        find(sources, target, answer)
    }
}

/// Checks a credential.
pub(in crate::face) fn check_credential(text: &str) -> Result<Credential, Refused> {
    Credential::parse(text).ok_or_else(|| {
        Refused::because(
            "the credential takes 1 to 4096 printable ASCII characters, without a space",
        )
    })
}
