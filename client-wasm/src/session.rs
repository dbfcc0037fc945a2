//! Sessions of the JavaScript API: what lies between the connection's events and those of the class.
//!
//! Messages stay JavaScript values here, too: `js/session.js` reads and writes the frames that carry them, and this passes
//! on what the half of the session says.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::any::Any;
use core::cell::Cell;

use steady_socket::cell::RefCell;
use steady_socket::connection::{Cause, DropReason, Event, Input, Loss, Phase, Tally, Verdict};
use steady_socket::driver::{Driver, WeakDriver};
use steady_socket::platform::{Platform as _, RawSocket as _};
use steady_socket::protocol::session::frame::{
    Answer, Credential, Data, Frame, Kind, Refusal, Style, read, write,
};
use steady_socket::protocol::session::{
    Ask, AskEnd, Client, Deliveries, Delivery, End, Ended, NotHandled, Opened,
    Options as HalfOptions, Output, Overflow, Payload, Rejection, SendMode, Time, Token, close,
};
use steady_socket::session::{Line, SessionApplication, SessionDriver};
use wasm_bindgen::prelude::*;

#[cfg(doc)]
use crate::READINGS;
use crate::face::Face;
use crate::host::{self, Host};
use crate::platform::JsPlatform;
use crate::{COUNTERS, Handed};

#[wasm_bindgen(module = "/js/session.js")]
extern "C" {
    /// A number of what the program wants of its session: see [`wishes`].
    #[wasm_bindgen(js_name = sessionWish)]
    fn session_wish(host: &Host, index: i32) -> f64;

    /// 16 random bytes, as four numbers.
    #[wasm_bindgen(js_name = randomPart)]
    fn random_part(index: i32) -> f64;

    /// The credential that was found for this attempt; `undefined` if there is none.
    #[wasm_bindgen(js_name = credentialOf)]
    fn credential_of(host: &Host) -> JsValue;

    /// Whether the next attempts are to offer a session. Returns whether that is a change.
    #[wasm_bindgen(js_name = offerSession)]
    fn offer_session(host: &Host, offers: i32) -> i32;

    /// Whether every sub-protocol that was offered asks for a session.
    #[wasm_bindgen(js_name = offersOnlySession)]
    fn offers_only_session(host: &Host) -> i32;

    /// How a message is to be sent: a number of [`marks`].
    #[wasm_bindgen(js_name = markOf)]
    fn mark_of(message: &JsValue) -> i32;

    /// The session has taken a message: nothing else sends it. Its end, or the answer to it, comes under this number.
    fn took(host: &Host, message: &JsValue, id: f64);

    /// Why the message that is being sent can never be sent.
    fn refuse(host: &Host, message: &JsValue, why: JsValue);

    // ----- frames

    /// Sorts what has arrived: returns a number of [`sorts`].
    #[wasm_bindgen(js_name = sortFrame)]
    fn sort_frame(host: &Host, data: &JsValue) -> i32;

    /// Of what was sorted last: a number by its index, see [`parts`].
    #[wasm_bindgen(js_name = partOf)]
    fn part_of(index: i32) -> f64;

    /// Of what was sorted last: a message.
    #[wasm_bindgen(js_name = messageAt)]
    fn message_at(index: u32) -> JsValue;

    /// Of a frame that was sorted last: its head, as if it were text. Its payload, if it has one, is [`message_at`] 0.
    #[wasm_bindgen(js_name = frameHead)]
    fn frame_head() -> JsValue;

    /// A message as it travels alone.
    #[wasm_bindgen(js_name = loneFrame)]
    fn lone_frame(host: &Host, message: &JsValue) -> JsValue;

    #[wasm_bindgen(js_name = batchAdd)]
    fn batch_add(host: &Host, message: &JsValue);

    /// The batch of the messages that were added. A negative number means no acknowledgement.
    #[wasm_bindgen(js_name = batchFrame)]
    fn batch_frame(host: &Host, first: f64, handled: f64) -> JsValue;

    /// A frame of this head, with a payload behind it unless that is `undefined`.
    #[wasm_bindgen(js_name = frameWith)]
    fn frame_with(host: &Host, head: JsValue, payload: &JsValue) -> JsValue;

    /// Its kind: 1 for bytes, 0 for text.
    #[wasm_bindgen(js_name = kindOf)]
    fn kind_of(message: &JsValue) -> i32;

    /// Its bytes; of a text that has arrived, at least its UTF-16 code units.
    #[wasm_bindgen(js_name = sizeOf)]
    fn size_of(message: &JsValue) -> f64;

    // ----- to the program

    /// Whether anything reads messages.
    #[wasm_bindgen(js_name = takesMessages)]
    fn takes_messages(host: &Host) -> i32;

    /// Delivers a message. Returns 1 if the program is done with it; otherwise it says so later, by this number.
    #[wasm_bindgen(js_name = give)]
    fn give(host: &Host, message: &JsValue, id: f64) -> i32;

    /// Delivers a request, to be answered by this number.
    #[wasm_bindgen(js_name = ask)]
    fn ask(host: &Host, request: &JsValue, id: f64);

    #[wasm_bindgen(js_name = withdraw)]
    fn withdraw(host: &Host, id: f64);

    /// A message or a request has ended. Returns 1 if somebody awaited that. While a session is being lost, they learn of it
    /// after the event.
    fn settle(host: &Host, id: f64, end: i32, value: JsValue) -> i32;

    /// Messages from the one number to the other are handled.
    #[wasm_bindgen(js_name = settleRun)]
    fn settle_run(host: &Host, first: f64, last: f64);

    /// A session is over: what became of its messages follows, and then [`session_over`].
    fn losing(host: &Host);

    #[wasm_bindgen(js_name = sessionEvent)]
    fn session_event(host: &Host, what: i32, number: f64, other: f64);

    /// One of the messages that [`session_over`] reports.
    #[wasm_bindgen(js_name = keepOver)]
    fn keep_over(host: &Host, message: JsValue, is_unknown: i32);

    /// Sends what waited for a session on a plain connection.
    fn resend(host: &Host);

    #[wasm_bindgen(js_name = sessionOver)]
    fn session_over(host: &Host, how: i32, why: JsValue, handled: f64);

    /// A message will not be handled, or nobody knows, though the session goes on.
    #[wasm_bindgen(js_name = undelivered)]
    fn undelivered(host: &Host, message: JsValue, is_unknown: i32, why: JsValue);
}

/// The indices of [`session_wish`].
mod wishes {
    pub(super) const OPTIONAL: i32 = 0;
    pub(super) const MESSAGES: i32 = 1;
    pub(super) const BYTES: i32 = 2;
    pub(super) const REQUESTS: i32 = 3;
    pub(super) const MESSAGE_BYTES: i32 = 4;
    pub(super) const QUEUE_MESSAGES: i32 = 5;
    pub(super) const QUEUE_BYTES: i32 = 6;
    /// Whether the oldest messages make room for newer ones.
    pub(super) const DROP_OLDEST: i32 = 7;
    pub(super) const CONNECT_TIMEOUT: i32 = 8;
    pub(super) const CLOSE_TIMEOUT: i32 = 9;
    /// Infinity if messages do not expire.
    pub(super) const MESSAGE_TTL: i32 = 10;
}

/// The results of [`mark_of`].
mod marks {
    pub(super) const NONE: i32 = 0;
    /// Somebody waits for its end.
    pub(super) const AWAITED: i32 = 1;
    /// It is a request.
    pub(super) const ASKS: i32 = 2;
}

/// The results of [`sort_frame`].
mod sorts {
    /// A message of the application's, alone: the value itself, or what is [`message_at`](super::message_at) 0.
    pub(super) const LONE: i32 = 0;
    pub(super) const ESCAPED: i32 = 1;
    pub(super) const BATCH: i32 = 2;
    /// A frame whose head is read here.
    pub(super) const FRAME: i32 = 3;
}

/// The indices of [`part_of`].
mod parts {
    pub(super) const FIRST: i32 = 0;
    pub(super) const HANDLED: i32 = 1;
    pub(super) const COUNT: i32 = 2;
    /// The bytes of all messages in a batch.
    pub(super) const BYTES: i32 = 3;
}

/// How a session is over, for [`session_over`].
mod overs {
    /// A fresh one has begun.
    pub(super) const LOST: i32 = 0;
    pub(super) const FINAL: i32 = 1;
    /// The server speaks none, and the program goes on without.
    pub(super) const PLAIN: i32 = 2;
}

/// What [`session_event`] reports.
mod events {
    pub(super) const BEGAN: i32 = 0;
    pub(super) const RESUMED: i32 = 1;
    pub(super) const PENDING: i32 = 2;
    pub(super) const STALLED_HERE: i32 = 3;
    pub(super) const STALLED_THERE: i32 = 4;
    pub(super) const DISCARDED: i32 = 5;
}

/// A message on its way. A clone costs as much as one of a JavaScript value.
#[derive(Clone)]
pub(crate) struct Parcel {
    value: JsValue,
    bytes: usize,
    kind: Kind,
}

impl Payload for Parcel {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}

impl Parcel {
    fn of(value: JsValue) -> Self {
        let bytes = size_of(&value) as usize;
        Self::sized(value, bytes)
    }

    fn sized(value: JsValue, bytes: usize) -> Self {
        let kind = match kind_of(&value) {
            0 => Kind::Text,
            _ => Kind::Binary,
        };
        Self { value, bytes, kind }
    }
}

type JsDriver = Driver<JsValue, JsPlatform, Face>;

/// The session of one socket.
pub(crate) struct JsSession {
    driver: SessionDriver<Parcel>,
    host: Rc<Host>,
    connection: RefCell<Option<WeakDriver<JsValue, JsPlatform, Face>>>,
    optional: bool,
    close_timeout: u64,
    message_ttl: Option<u64>,
    /// The server speaks no sessions, and the program can do without.
    plain: Cell<bool>,
    was_welcomed: Cell<bool>,
    /// Whether the program knows of the current connection.
    is_announced: Cell<bool>,
    /// What happened to a connection that waits for its welcome.
    held: RefCell<Vec<Event<JsValue>>>,
    /// What the program was given and is not done with, by rising numbers.
    given: RefCell<VecDeque<(u64, Token)>>,
    last_given: Cell<u64>,
    losing: Cell<Option<Losing>>,
    /// The code and the reason that the program closes with.
    closing: RefCell<Option<(Option<u16>, String)>>,
    /// What was last reported.
    told: Cell<[u64; 4]>,
}

/// A session that is over, whose messages are being settled.
#[derive(Clone, Copy)]
struct Losing {
    is_final: bool,
    why: Ended,
    handled: u64,
}

/// The connection below a session.
struct JsLine {
    session: Weak<JsSession>,
    platform: Rc<JsPlatform>,
}

/// The number of a request in JavaScript, which differs from those of messages.
fn number_of_ask(id: u64) -> f64 {
    -(id as f64) - 1.0
}

/// The indices of [`COUNTERS`] and, behind them, [`READINGS`], that are the session's.
const ATTEMPT: usize = 0;
const MESSAGES_SENT: usize = 3;
const BYTES_RECEIVED: usize = 6;
const QUEUED_MESSAGES: usize = 7;
const QUEUED_BYTES: usize = 8;
const UNCONFIRMED_MESSAGES: usize = 11;
const UNCONFIRMED_BYTES: usize = 12;
const STATE: usize = COUNTERS.len();
const READY_STATE: usize = COUNTERS.len() + 1;
const BUFFERED_AMOUNT: usize = COUNTERS.len() + 2;

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&(random_part(index as i32) as u32).to_be_bytes());
    }
    bytes
}

/// The ends of a message and of a request, for JavaScript.
mod ends {
    pub(super) const NOT_HANDLED: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const RESPONSE: i32 = 3;
    pub(super) const ERROR: i32 = 4;
    pub(super) const REFUSED: i32 = 5;
    pub(super) const CANCELLED: i32 = 6;
    pub(super) const TIMED_OUT: i32 = 7;
}

fn text(value: impl core::fmt::Display) -> JsValue {
    JsValue::from_str(&value.to_string())
}

impl JsSession {
    /// The session that the program has asked for; `None` if it has not.
    pub(crate) fn new(host: &Rc<Host>, platform: &Rc<JsPlatform>) -> Option<Rc<Self>> {
        let wish = |index| session_wish(host, index);
        if wish(wishes::OPTIONAL).is_nan() {
            return None;
        }
        let mut options = HalfOptions {
            queue_messages: (wish(wishes::QUEUE_MESSAGES) as usize).max(1),
            queue_bytes: (wish(wishes::QUEUE_BYTES) as usize).max(1),
            ..HalfOptions::default()
        };
        options.limits.messages = wish(wishes::MESSAGES) as u64;
        options.limits.bytes = wish(wishes::BYTES) as u64;
        options.limits.requests = wish(wishes::REQUESTS) as u64;
        options.limits.message_bytes = wish(wishes::MESSAGE_BYTES) as u64;
        if wish(wishes::DROP_OLDEST) != 0.0 {
            options.overflow = Overflow::DropOldest;
        }
        Some(Rc::new_cyclic(|weak: &Weak<Self>| {
            let line = Box::new(JsLine {
                session: weak.clone(),
                platform: Rc::clone(platform),
            });
            let connect_timeout = wish(wishes::CONNECT_TIMEOUT) as u64;
            Self {
                driver: SessionDriver::new(options, connect_timeout, line, weak.clone()),
                host: Rc::clone(host),
                connection: RefCell::default(),
                optional: wish(wishes::OPTIONAL) != 0.0,
                close_timeout: wish(wishes::CLOSE_TIMEOUT) as u64,
                message_ttl: Some(wish(wishes::MESSAGE_TTL))
                    .filter(|ttl| ttl.is_finite())
                    .map(|ttl| ttl as u64),
                plain: Cell::new(false),
                was_welcomed: Cell::new(false),
                is_announced: Cell::new(false),
                held: RefCell::default(),
                given: RefCell::default(),
                last_given: Cell::new(0),
                losing: Cell::new(None),
                closing: RefCell::default(),
                told: Cell::default(),
            }
        }))
    }

    /// The connection below.
    pub(crate) fn run_on(&self, driver: &JsDriver) {
        *self.connection.borrow_mut() = Some(driver.downgrade());
    }

    fn connection(&self) -> Option<JsDriver> {
        self.connection.borrow().as_ref()?.upgrade()
    }

    fn command(&self, input: Input<JsValue>) {
        if let Some(driver) = self.connection() {
            driver.command(input);
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.plain.get()
    }

    // ----- from the program

    /// Sends a message, or makes a request, as its marks say; see [`Core::send`](crate::Core). `None` if there is no session.
    pub(crate) fn send(
        &self,
        message: &JsValue,
        bytes: usize,
        first: bool,
        volatile: bool,
        ttl: f64,
    ) -> Option<Handed> {
        let mark = mark_of(message);
        if self.is_plain() {
            if mark == marks::NONE {
                return None;
            }
            let why = JsValue::from_str("the server speaks no sessions");
            refuse(&self.host, message, why);
            return Some(Handed::Refused);
        }
        let parcel = Parcel::sized(message.clone(), bytes);
        if volatile {
            if !self.driver.send_volatile(parcel) {
                self.dropped(DropReason::Volatile, Parcel::sized(message.clone(), bytes));
            }
            return Some(Handed::Taken);
        }
        let ttl = (!ttl.is_nan()).then_some(ttl as u64);
        let rejected = if mark == marks::ASKS {
            match self.driver.ask(parcel, ttl) {
                Ok(Ask(id)) => {
                    took(&self.host, message, number_of_ask(id));
                    return Some(Handed::Taken);
                }
                Err(rejected) => rejected,
            }
        } else {
            let ttl = ttl.or(self.message_ttl);
            let mode = SendMode {
                first,
                awaited: mark == marks::AWAITED,
                expires: ttl.map(|ttl| self.driver.now().after(ttl)),
            };
            match self.driver.send(parcel, mode) {
                Ok(Delivery(id)) => {
                    took(&self.host, message, id as f64);
                    return Some(Handed::Taken);
                }
                Err(rejected) => rejected,
            }
        };
        Some(match rejected.why {
            Rejection::Full => Handed::Full,
            Rejection::Closed => {
                if mark == marks::NONE {
                    self.dropped(DropReason::Closed, rejected.payload);
                }
                Handed::Closed
            }
            why => {
                refuse(&self.host, message, text(why));
                Handed::Refused
            }
        })
    }

    /// The end of the message of this number, or the answer to the request, is no longer wanted. Returns whether the message
    /// was withdrawn: it had no number yet, and will not be sent.
    pub(crate) fn cancel(&self, id: f64) -> bool {
        if id < 0.0 {
            self.driver.cancel(Ask((-id - 1.0) as u64));
            return false;
        }
        self.driver.withdraw(Delivery(id as u64)).is_some()
    }

    /// The program is done with a message.
    pub(crate) fn handled(&self, id: f64) {
        if let Some(token) = self.take_given(id) {
            self.driver.handled(token);
        }
    }

    /// The program answers a request: with a response, an error, or a refusal.
    pub(crate) fn answer(&self, id: f64, how: i32, payload: JsValue) {
        let Some(token) = self.take_given(id) else {
            return;
        };
        let answer = match how {
            ends::RESPONSE => Answer::Response(Parcel::of(payload)),
            ends::ERROR => Answer::Error(Parcel::of(payload)),
            ends::CANCELLED => Answer::Refused(Refusal::Cancelled),
            ends::NOT_HANDLED => Answer::Refused(Refusal::NoHandler),
            _ => Answer::Refused(Refusal::Failed),
        };
        if self.driver.answer(token, answer).is_err() {
            // It is larger than the server takes.
            let _ = self.driver.answer(token, Answer::Refused(Refusal::Failed));
        }
    }

    /// There may be somebody to read messages now.
    pub(crate) fn read(&self) {
        self.driver.deliver_now();
    }

    pub(crate) fn flush(&self) {
        self.driver.flush();
    }

    pub(crate) fn send_credential(&self, credential: &str) {
        if let Some(credential) = Credential::parse(credential) {
            self.driver.send_credential(credential);
        }
    }

    pub(crate) fn close(&self, code: Option<u16>, reason: String) {
        // The first one stands.
        self.closing.borrow_mut().get_or_insert((code, reason));
        self.driver.close(match self.line_phase() {
            // There will be no connection.
            Some(Phase::Idle | Phase::Suspended) => 0,
            _ => self.close_timeout,
        });
    }

    /// Whether the program has closed the session, or it is over.
    pub(crate) fn is_closing(&self) -> bool {
        !self.is_plain() && self.driver.is_closing()
    }

    fn line_phase(&self) -> Option<Phase> {
        self.connection()
            .map(|driver| driver.ask(|connection| connection.phase()))
    }

    /// A new connection is wanted: with a fresh session if the last one is over.
    pub(crate) fn renew(&self) {
        self.driver.renew();
    }

    /// A counter or reading that is the session's; see [`Core::counter`](crate::Core).
    pub(crate) fn counter(&self, index: usize, driver: &JsDriver) -> Option<f64> {
        if self.is_plain() {
            return None;
        }
        let phase = driver.ask(|connection| connection.phase());
        let seen = self.driver.phase_of(phase);
        let [queued, bytes, ..] = self.pending();
        Some(match index {
            // JavaScript counts messages; the core would count frames.
            MESSAGES_SENT..=BYTES_RECEIVED => host::count_of(&self.host, index as i32),
            QUEUED_MESSAGES => queued as f64,
            QUEUED_BYTES => bytes as f64,
            UNCONFIRMED_MESSAGES | UNCONFIRMED_BYTES => 0.0,
            STATE => seen.index().into(),
            READY_STATE if seen == Phase::Closing => 2.0,
            READY_STATE if seen == Phase::Connecting => 0.0,
            BUFFERED_AMOUNT => {
                let in_browser = driver.ask_socket(|socket| socket.buffered_amount());
                bytes as f64 + in_browser.unwrap_or_default() as f64
            }
            _ => return None,
        })
    }

    pub(crate) fn unacknowledged(&self, bytes: bool) -> u64 {
        let [_, _, sent, sent_bytes] = self.pending();
        if bytes { sent_bytes } else { sent }
    }

    pub(crate) fn unwelcomed(&self) -> JsValue {
        let why = self.driver.unwelcomed().filter(|_| !self.is_plain());
        why.map_or(JsValue::UNDEFINED, text)
    }

    /// Messages and bytes in the queue, and unacknowledged.
    pub(crate) fn pending(&self) -> [u64; 4] {
        let (queued, bytes) = self.driver.ask_half(Client::queued);
        let (sent, sent_bytes) = self.driver.ask_half(Client::unacknowledged);
        [queued as u64, bytes as u64, sent, sent_bytes]
    }

    // ----- from the connection

    /// Something happened to the connection.
    pub(crate) fn event(&self, event: Event<JsValue>) {
        self.tell_closing();
        match event {
            Event::Open { .. } => self.opened(event),
            Event::Closed(_) => self.closed(event),
            Event::State(change) if change.phase == Phase::Open => {
                self.held.borrow_mut().push(event);
            }
            // What the connection holds are frames of the session.
            Event::Dropped(_) | Event::QueueChanged(_) if !self.is_plain() => {}
            event => self.tell(event),
        }
    }

    /// Tells the program of an event of the connection.
    fn tell(&self, event: Event<JsValue>) {
        if !self.driver.conceals(&event) {
            crate::face::tell(&self.host, event);
        }
    }

    /// Tells the program that it has closed the socket, before anything that follows from that.
    fn tell_closing(&self) {
        let attempt = host::count_of(&self.host, ATTEMPT as i32) as u32;
        if let Some(event) = self.driver.closing_event(attempt) {
            crate::face::tell(&self.host, event);
        }
    }

    fn opened(&self, event: Event<JsValue>) {
        self.held.borrow_mut().push(event);
        let carries = self
            .connection()
            .is_some_and(|driver| driver.ask(|connection| connection.carries_session()));
        if self.is_plain() {
            self.announce();
            self.command(Input::Ready);
        } else if carries {
            let credential = credential_of(&self.host).as_string();
            let credential = credential.as_deref().and_then(Credential::parse);
            self.driver.opened(credential);
        } else if self.optional && !self.was_welcomed.get() {
            // For good: what waits in the queue of a plain connection cannot go into a session.
            offer_session(&self.host, 0);
            self.plain.set(true);
            // What waits goes before what the program sends when it is told of the connection.
            self.driver.give_up(Ended::NotSpoken);
            self.command(Input::Ready);
        } else {
            self.held.borrow_mut().clear();
            // Another attempt would find the same server.
            self.driver.give_up(Ended::NotSpoken);
        }
    }

    fn announce(&self) {
        self.is_announced.set(true);
        let held = core::mem::take(&mut *self.held.borrow_mut());
        for event in held {
            self.tell(event);
        }
    }

    fn closed(&self, event: Event<JsValue>) {
        let Event::Closed(mut closed) = event else {
            return;
        };
        self.held.borrow_mut().clear();
        if self.is_plain() {
            return self.tell(Event::Closed(closed));
        }
        if let Some(driver) = self.connection() {
            driver.forget_frames();
        }
        self.driver.closed(&closed.loss);
        // The session knows better, and says so.
        closed.unconfirmed = Tally::default();
        if !self.is_announced.replace(false) && core::mem::take(&mut closed.loss.was_open) {
            // For the program there was no connection.
            self.tell(Event::Error);
        }
        // Unless the program has asked for another connection already.
        let is_over = || matches!(self.line_phase(), None | Some(Phase::Closed));
        if closed.is_final() && is_over() {
            // Nothing more can become of what was sent. A handler of this event may begin another session.
            self.driver.give_up(Ended::Aborted);
        }
        self.tell(Event::Closed(closed));
    }

    pub(crate) fn message(&self, payload: JsValue) {
        self.driver.receive(Parcel {
            value: payload,
            bytes: 0,
            kind: Kind::Text,
        });
    }

    pub(crate) fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        if self.is_plain() {
            return None;
        }
        let verdict = self.driver.verdict(loss);
        let may_be_the_offer = self.optional
            && !loss.was_open
            && !self.was_welcomed.get()
            && loss.cause == Cause::Socket
            && offers_only_session(&self.host) != 0;
        if may_be_the_offer && offer_session(&self.host, 0) != 0 {
            return Some(Verdict::RetryAfterMs(0));
        }
        offer_session(&self.host, 1);
        verdict
    }

    pub(crate) fn settled(&self) {
        if !self.is_plain() {
            self.driver.settled();
        }
    }

    // ----- to the program

    fn over(&self, why: Ended, is_final: bool) {
        self.finish_losing();
        losing(&self.host);
        self.losing.set(Some(Losing {
            is_final,
            why,
            handled: 0,
        }));
    }

    fn finish_losing(&self) {
        let Some(losing) = self.losing.take() else {
            return;
        };
        let how = match losing.is_final {
            _ if self.is_plain() => overs::PLAIN,
            true => overs::FINAL,
            false => overs::LOST,
        };
        if how == overs::PLAIN {
            resend(&self.host);
            self.announce();
        }
        session_over(&self.host, how, text(losing.why), losing.handled as f64);
    }

    fn message_ended(&self, Delivery(id): Delivery, end: End<Parcel>) {
        // As on a plain connection.
        let reason = match &end {
            End::NotHandled {
                why: NotHandled::TimeToLive,
                ..
            } => Some(DropReason::Expired),
            End::NotHandled {
                why: NotHandled::Overflow,
                ..
            } => Some(DropReason::Overflow),
            _ => None,
        };
        let (what, payload, why) = match end {
            End::NotHandled { payload, why } => (ends::NOT_HANDLED, payload, text(why)),
            End::Unknown { payload, why } => (ends::UNKNOWN, payload, text(why)),
        };
        let is_unknown = i32::from(what == ends::UNKNOWN);
        let awaited = settle(&self.host, id as f64, what, why.clone()) != 0;
        let is_losing = self.losing.get().is_some();
        match reason {
            // Each end is reported in one place: here, to who awaits it.
            _ if is_losing && awaited => {}
            _ if is_losing => keep_over(&self.host, payload.value, is_unknown),
            _ if awaited => {}
            Some(reason) => self.dropped(reason, payload),
            None => undelivered(&self.host, payload.value, is_unknown, why),
        }
    }

    fn messages_handled(&self, run: Deliveries) {
        let Deliveries {
            first: Delivery(first),
            last: Delivery(last),
        } = run;
        if let Some(losing) = self.losing.get() {
            let count = last.saturating_sub(first).saturating_add(1);
            let handled = losing.handled.saturating_add(count);
            self.losing.set(Some(Losing { handled, ..losing }));
        }
        settle_run(&self.host, first as f64, last as f64);
    }

    fn dropped(&self, reason: DropReason, message: Parcel) {
        host::dropping(&self.host, message.value);
        let reason = reason.index().into();
        host::dropped(&self.host, reason, message.bytes as f64, 0.0);
    }

    fn request_ended(&self, Ask(id): Ask, end: AskEnd<Parcel>) {
        let (what, value) = match end {
            AskEnd::Response(payload) => (ends::RESPONSE, payload.value),
            AskEnd::Error(payload) => (ends::ERROR, payload.value),
            AskEnd::Refused(why) => (ends::REFUSED, JsValue::from_str(why.word())),
            AskEnd::Cancelled => (ends::CANCELLED, JsValue::UNDEFINED),
            AskEnd::TimedOut => (ends::TIMED_OUT, JsValue::UNDEFINED),
            AskEnd::NotHandled(why) => (ends::NOT_HANDLED, text(why)),
            AskEnd::Unknown(why) => (ends::UNKNOWN, text(why)),
        };
        settle(&self.host, number_of_ask(id), what, value);
    }

    /// A number under which the program says that it is done.
    fn number(&self, token: Token) -> f64 {
        let id = self.last_given.get().saturating_add(1);
        self.last_given.set(id);
        self.given.borrow_mut().push_back((id, token));
        id as f64
    }

    /// What was given under a number, which is free then.
    fn take_given(&self, id: f64) -> Option<Token> {
        let mut given = self.given.borrow_mut();
        let place = given.binary_search_by_key(&(id as u64), |(id, _)| *id);
        let (_, token) = given.remove(place.ok()?)?;
        Some(token)
    }

    fn report_pending(&self) {
        let now = self.pending();
        let told = self.told.replace(now);
        if told.get(..2) != now.get(..2) {
            host::queue_changed(&self.host, now[0] as f64, now[1] as f64);
        }
        if told.get(2..) != now.get(2..) {
            session_event(&self.host, events::PENDING, now[2] as f64, now[3] as f64);
        }
    }
}

impl SessionApplication<Parcel> for JsSession {
    fn read(&self, payload: Parcel) -> Option<Frame<Parcel>> {
        let value = payload.value;
        let part = |index| part_of(index);
        Some(match sort_frame(&self.host, &value) {
            sorts::LONE => Frame::Message(Parcel::of(value)),
            sorts::ESCAPED => Frame::Message(Parcel::of(message_at(0))),
            sorts::BATCH => {
                let count = part(parts::COUNT) as u32;
                // The sizes of its messages are not known one by one; together they are at least as large.
                let each = (part(parts::BYTES) as u32).checked_div(count).unwrap_or(0);
                let messages = (0..count)
                    .map(|index| Parcel::sized(message_at(index), each as usize))
                    .collect();
                let handled = part(parts::HANDLED);
                Frame::Batch {
                    first: part(parts::FIRST) as u64,
                    handled: (handled >= 0.0).then_some(handled as u64),
                    messages,
                }
            }
            sorts::FRAME => {
                let head = frame_head().as_string()?;
                read(Data::Text(head.into()))
                    .ok()?
                    .map(|_| Parcel::of(message_at(0)))
            }
            _ => return None,
        })
    }

    fn write(&self, frame: Frame<Parcel>) -> Option<Parcel> {
        let value = match frame {
            Frame::Message(parcel) => lone_frame(&self.host, &parcel.value),
            Frame::Batch {
                first,
                handled,
                messages,
            } => {
                for parcel in &messages {
                    batch_add(&self.host, &parcel.value);
                }
                let handled = handled.map_or(-1.0, |handled| handled as f64);
                batch_frame(&self.host, first as f64, handled)
            }
            frame => {
                let mut payload = JsValue::UNDEFINED;
                let frame = frame.map(|parcel: Parcel| {
                    payload = parcel.value;
                    Data::from("")
                });
                let Ok(Data::Text(head)) = write(frame, Style::TEXT) else {
                    return None;
                };
                frame_with(&self.host, JsValue::from_str(&head), &payload)
            }
        };
        Some(Parcel::of(value))
    }

    fn takes_messages(&self) -> bool {
        takes_messages(&self.host) != 0
    }

    fn output(&self, output: Output<Parcel>) {
        let is_end = matches!(
            output,
            Output::Handled(_) | Output::Settled(..) | Output::Answered(..)
        );
        if !is_end {
            self.finish_losing();
        }
        self.tell_closing();
        match output {
            Output::Open(opened) => {
                self.was_welcomed.set(true);
                self.announce();
                match opened {
                    Opened::Fresh => session_event(&self.host, events::BEGAN, 0.0, 0.0),
                    Opened::Resumed { replayed } => {
                        session_event(&self.host, events::RESUMED, replayed as f64, 0.0);
                    }
                    // The loss is reported when it is known what became of the messages.
                    Opened::Anew => {}
                }
            }
            Output::Lost(why) => self.over(Ended::Lost(why), false),
            Output::Ended(why) => self.over(why, true),
            Output::Message { token, payload } => {
                let id = self.number(token);
                if give(&self.host, &payload.value, id) != 0 {
                    self.handled(id);
                }
            }
            Output::Volatile(payload) => {
                give(&self.host, &payload.value, 0.0);
            }
            Output::Handled(run) => self.messages_handled(run),
            Output::Settled(delivery, end) => self.message_ended(delivery, end),
            Output::Dropped(count) => {
                session_event(&self.host, events::DISCARDED, count as f64, 0.0);
            }
            Output::Answered(ask, end) => self.request_ended(ask, end),
            Output::Request { token, payload } => {
                ask(&self.host, &payload.value, self.number(token));
            }
            Output::Withdrawn(token) => {
                let id = {
                    let given = self.given.borrow();
                    let found = given.iter().find(|(_, asked)| *asked == token);
                    found.map(|(id, _)| *id)
                };
                if let Some(id) = id {
                    withdraw(&self.host, id as f64);
                }
            }
            Output::StalledHere(_) => session_event(&self.host, events::STALLED_HERE, 0.0, 0.0),
            Output::StalledThere(_) => session_event(&self.host, events::STALLED_THERE, 0.0, 0.0),
            // For a server.
            _ => {}
        }
    }

    fn has_news(&self) -> bool {
        self.losing.get().is_some() || (!self.is_plain() && self.told.get() != self.pending())
    }

    fn report(&self) {
        self.tell_closing();
        self.finish_losing();
        if !self.is_plain() {
            self.report_pending();
        }
    }

    fn settled(&self) {}
}

impl JsLine {
    fn connection(&self) -> Option<JsDriver> {
        self.session.upgrade()?.connection()
    }
}

impl Line<Parcel> for JsLine {
    fn clocks(&self) -> (Time, u64) {
        (self.platform.now(), self.platform.wall_clock())
    }

    fn random(&self) -> [u8; 16] {
        random()
    }

    fn transmit(&self, frame: Parcel) {
        if let Some(driver) = self.connection() {
            driver.send_frame(frame.value, frame.bytes);
        }
    }

    fn is_writable(&self) -> bool {
        self.connection()
            .is_some_and(|driver| driver.ask(|connection| connection.is_writable()))
    }

    fn ready(&self) {
        if let Some(driver) = self.connection() {
            driver.command(Input::Ready);
        }
    }

    fn stable(&self) {
        if let Some(driver) = self.connection() {
            driver.forget_failures();
        }
    }

    fn fail(&self, code: u16) {
        if let Some(driver) = self.connection() {
            driver.fail(code);
        }
    }

    fn stop(&self) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if session.is_plain() {
            return;
        }
        let asked = session.closing.borrow_mut().take();
        let (code, reason) = asked.unwrap_or((Some(close::NORMAL), String::new()));
        session.command(Input::Close { code, reason });
    }

    fn set_timer(&self, millis: u64) -> Box<dyn Any> {
        let session = Weak::clone(&self.session);
        let fire = Box::new(move || {
            if let Some(session) = session.upgrade() {
                session.driver.timer();
            }
        });
        Box::new(self.platform.set_timer(millis, fire))
    }

    fn defer(&self) {
        let session = Weak::clone(&self.session);
        self.platform.defer(Box::new(move || {
            if let Some(session) = session.upgrade() {
                session.driver.soon();
            }
        }));
    }
}
