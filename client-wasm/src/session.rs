//! Sessions of the JavaScript API: what lies between the connection's events and those of the class.
//!
//! Messages stay JavaScript values here, too: `js/frames.js` reads and writes the frames that carry them, and this passes
//! on what the half of the session says.

use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use steady_socket::cell::RefCell;
use steady_socket::connection::{DropReason, Event, Loss, Phase, Verdict};
use steady_socket::driver::{Driver, WeakDriver};
use steady_socket::platform::RawSocket as _;
use steady_socket::protocol::session::frame::{Answer, Credential, Frame, Kind, Refusal};
use steady_socket::protocol::session::{
    Ask, AskEnd, Deliveries, Delivery, End, Ended, Options as HalfOptions, Overflow, Payload,
    Rejection, SendMode, Token,
};
use steady_socket::session::{ConnectionOf, News, Over, SessionDriver, SessionFace, Start};
use wasm_bindgen::prelude::*;

#[cfg(doc)]
use crate::READINGS;
use crate::face::Face;
use crate::host::{self, Host};
use crate::platform::JsPlatform;
use crate::{COUNTERS, Handed};

mod frames;

#[wasm_bindgen(module = "/js/frames.js")]
extern "C" {
    /// Its kind: 1 for bytes, 0 for text.
    #[wasm_bindgen(js_name = kindOf)]
    fn kind_of(message: &JsValue) -> i32;

    /// Its bytes; of a text that has arrived, at least its UTF-16 code units.
    #[wasm_bindgen(js_name = sizeOf)]
    fn size_of(message: &JsValue) -> f64;
}

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

    /// How a message is to be sent: a number of [`marks`], and [`marks::BYTES`] if it has bytes.
    #[wasm_bindgen(js_name = markOf)]
    fn mark_of(message: &JsValue) -> i32;

    /// A text with a number in it.
    #[wasm_bindgen(js_name = withCode)]
    fn with_code(before: JsValue, code: i32, behind: JsValue) -> JsValue;

    /// The session has taken a message: nothing else sends it. Its end, or the answer to it, comes under this number.
    fn took(host: &Host, message: &JsValue, id: f64);

    /// Why the message that is being sent can never be sent.
    fn refuse(host: &Host, message: &JsValue, why: JsValue);

    // ----- to the program

    /// Whether anything reads messages.
    #[wasm_bindgen(js_name = takesMessages)]
    fn takes_messages(host: &Host) -> i32;

    /// Delivers a message. Returns [`given`]. If the program is not done with it, it says so later, by this number.
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
    pub(super) const BYTES: i32 = 4;
}

/// The results of [`give`], added up.
mod given {
    /// The program is done with the message.
    pub(super) const DONE: i32 = 1;
    /// It reads the next one.
    pub(super) const READS: i32 = 2;
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
    session: SessionDriver<Self>,
    host: Rc<Host>,
    connection: RefCell<Option<WeakDriver<JsValue, JsPlatform, Face>>>,
    message_ttl: Option<u64>,
    /// What the program was given and is not done with, by rising numbers.
    given: RefCell<Vec<(u64, Token)>>,
    last_given: Cell<u64>,
}

/// The number of a request in JavaScript, which differs from those of messages.
fn number_of_ask(id: u64) -> f64 {
    -(id as f64) - 1.0
}

/// The indices of [`COUNTERS`] and, behind them, [`READINGS`], that are the session's.
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

/// A text of the core's, without the formatting of `core`, which takes more bytes than all texts.
fn text(text: &'static str) -> JsValue {
    JsValue::from_str(text)
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
        let start = Start {
            options,
            optional: wish(wishes::OPTIONAL) != 0.0,
            connect_timeout: wish(wishes::CONNECT_TIMEOUT) as u64,
            close_timeout: wish(wishes::CLOSE_TIMEOUT) as u64,
            random: random(),
        };
        let message_ttl = Some(wish(wishes::MESSAGE_TTL)).filter(|ttl| ttl.is_finite());
        Some(Rc::new_cyclic(|weak: &Weak<Self>| Self {
            session: SessionDriver::new(start, Rc::clone(platform), weak.clone()),
            host: Rc::clone(host),
            connection: RefCell::default(),
            message_ttl: message_ttl.map(|ttl| ttl as u64),
            given: RefCell::default(),
            last_given: Cell::new(0),
        }))
    }

    /// The connection below.
    pub(crate) fn run_on(&self, driver: &JsDriver) {
        *self.connection.borrow_mut() = Some(driver.downgrade());
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.session.is_plain()
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
        let marks = mark_of(message);
        let mark = marks & !marks::BYTES;
        let kind = match marks & marks::BYTES {
            0 => Kind::Text,
            _ => Kind::Binary,
        };
        if self.is_plain() {
            if mark == marks::NONE {
                return None;
            }
            let why = JsValue::from_str("the server speaks no sessions");
            refuse(&self.host, message, why);
            return Some(Handed::Refused);
        }
        let parcel = Parcel {
            value: message.clone(),
            bytes,
            kind,
        };
        if volatile {
            let kept = parcel.clone();
            if !self.session.send_volatile(parcel) {
                self.session.drop_new(DropReason::Volatile, kept);
            }
            return Some(Handed::Taken);
        }
        let ttl = (!ttl.is_nan()).then_some(ttl as u64);
        let rejected = if mark == marks::ASKS {
            match self.session.ask(parcel, ttl) {
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
                expires: ttl.map(|ttl| self.session.now().after(ttl)),
            };
            match self.session.send(parcel, mode) {
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
                    self.session.drop_new(DropReason::Closed, rejected.payload);
                }
                Handed::Closed
            }
            why => {
                refuse(&self.host, message, text(why.text()));
                Handed::Refused
            }
        })
    }

    /// The end of the message of this number, or the answer to the request, is no longer wanted. Returns whether the message
    /// was withdrawn: it had no number yet, and will not be sent.
    pub(crate) fn cancel(&self, id: f64) -> bool {
        if id < 0.0 {
            self.session.cancel(Ask((-id - 1.0) as u64));
            return false;
        }
        self.session.withdraw(Delivery(id as u64)).is_some()
    }

    /// The program is done with a message.
    pub(crate) fn handled(&self, id: f64) {
        if let Some(token) = self.take_given(id) {
            self.session.handled(token);
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
        self.session.reply(token, answer);
    }

    /// There may be somebody to read messages now.
    pub(crate) fn read(&self) {
        self.session.deliver_now();
    }

    pub(crate) fn flush(&self) {
        self.session.flush();
    }

    pub(crate) fn send_credential(&self, credential: &str) {
        if let Some(credential) = Credential::parse(credential) {
            self.session.send_credential(credential);
        }
    }

    pub(crate) fn close(&self, code: Option<u16>, reason: String) {
        self.session.close(code, reason);
    }

    /// Whether the program has closed the session, or it is over.
    pub(crate) fn is_closing(&self) -> bool {
        self.session.is_closing()
    }

    /// A new connection is wanted: with a fresh session if the last one is over.
    pub(crate) fn renew(&self) {
        self.session.renew(self);
    }

    /// A counter or reading that is the session's; see [`Core::counter`](crate::Core).
    pub(crate) fn counter(&self, index: usize, driver: &JsDriver) -> Option<f64> {
        if self.is_plain() {
            return None;
        }
        let phase = driver.ask(|connection| connection.phase());
        let seen = self.session.phase_of(phase);
        let [queued, bytes, ..] = self.session.pending();
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
        let [_, _, sent, sent_bytes] = self.session.pending();
        if bytes { sent_bytes } else { sent }
    }

    pub(crate) fn unwelcomed(&self) -> JsValue {
        let Some(why) = self.session.unwelcomed() else {
            return JsValue::UNDEFINED;
        };
        match why.words() {
            (before, Some(code), behind) => with_code(text(before), code.into(), text(behind)),
            (words, None, _) => text(words),
        }
    }

    // ----- from the connection

    pub(crate) fn event(&self, event: Event<JsValue>) {
        self.session.event(self, event);
    }

    pub(crate) fn message(&self, payload: JsValue) {
        self.session.receive(self, payload);
    }

    pub(crate) fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        self.session.verdict(self, loss)
    }

    pub(crate) fn settled(&self) {
        self.session.settled();
    }

    // ----- to the program

    /// A number under which the program says that it is done.
    fn number(&self, token: Token) -> f64 {
        let id = self.last_given.get().saturating_add(1);
        self.last_given.set(id);
        self.given.borrow_mut().push((id, token));
        id as f64
    }

    /// What was given under a number, which is free then.
    fn take_given(&self, id: f64) -> Option<Token> {
        let mut given = self.given.borrow_mut();
        let place = given.binary_search_by_key(&(id as u64), |(id, _)| *id);
        let (_, token) = given.remove(place.ok()?);
        Some(token)
    }
}

/// What a message came to, for JavaScript, and why.
fn end_of(end: &End<Parcel>) -> (i32, JsValue) {
    match end {
        End::NotHandled { why, .. } => (ends::NOT_HANDLED, text(why.text())),
        End::Unknown { why, .. } => (ends::UNKNOWN, text(why.text())),
    }
}

fn value_of(end: End<Parcel>) -> JsValue {
    let (End::NotHandled { payload, .. } | End::Unknown { payload, .. }) = end;
    payload.value
}

impl SessionFace for JsSession {
    type Payload = Parcel;
    type Message = JsValue;
    type Platform = JsPlatform;
    type Application = Face;

    fn session(&self) -> &SessionDriver<Self> {
        &self.session
    }

    fn connection(&self) -> Option<ConnectionOf<Self>> {
        self.connection.borrow().as_ref()?.upgrade()
    }

    fn random(&self) -> [u8; 16] {
        random()
    }

    fn credential(&self) -> Option<Credential> {
        Credential::parse(&credential_of(&self.host).as_string()?)
    }

    fn offer_session(&self, offers: bool) -> bool {
        offer_session(&self.host, offers.into()) != 0
    }

    fn offers_only_session(&self) -> bool {
        offers_only_session(&self.host) != 0
    }

    fn read(&self, message: JsValue) -> Option<Frame<Parcel>> {
        frames::read(&self.host, message)
    }

    fn write(&self, frame: Frame<Parcel>) -> Option<(JsValue, usize)> {
        let value = frames::write(&self.host, frame)?;
        let bytes = size_of(&value) as usize;
        Some((value, bytes))
    }

    fn message_of(payload: Parcel) -> JsValue {
        payload.value
    }

    fn tell(&self, event: Event<JsValue>) {
        crate::face::tell(&self.host, event);
    }

    fn tell_news(&self, news: News) {
        let (what, number, other) = match news {
            // JavaScript asks.
            News::Unwelcomed(_) => return,
            News::Began => (events::BEGAN, 0, 0),
            News::Resumed(replayed) => (events::RESUMED, replayed, 0),
            News::Unacknowledged(tally) => (events::PENDING, tally.messages, tally.bytes),
            News::StalledHere => (events::STALLED_HERE, 0, 0),
            News::StalledThere => (events::STALLED_THERE, 0, 0),
            News::Discarded(count) => (events::DISCARDED, count, 0),
        };
        session_event(&self.host, what, number as f64, other as f64);
    }

    fn takes_messages(&self) -> bool {
        takes_messages(&self.host) != 0
    }

    fn give(&self, token: Option<Token>, payload: Parcel) -> Option<bool> {
        let id = token.map_or(0.0, |token| self.number(token));
        let given = give(&self.host, &payload.value, id);
        if given & given::DONE == 0 {
            return None;
        }
        self.handled(id);
        Some(given & given::READS != 0)
    }

    fn asked(&self, token: Token, payload: Parcel) {
        ask(&self.host, &payload.value, self.number(token));
    }

    fn withdrawn(&self, token: Token) {
        let id = {
            let given = self.given.borrow();
            let found = given.iter().find(|(_, asked)| *asked == token);
            found.map(|(id, _)| *id)
        };
        if let Some(id) = id {
            withdraw(&self.host, id as f64);
        }
    }

    fn handled(&self, run: Deliveries) {
        settle_run(&self.host, run.first.0 as f64, run.last.0 as f64);
    }

    fn settle(&self, delivery: Delivery, end: End<Parcel>) -> Option<End<Parcel>> {
        let (what, why) = end_of(&end);
        let awaited = settle(&self.host, delivery.0 as f64, what, why) != 0;
        (!awaited).then_some(end)
    }

    fn answered(&self, Ask(id): Ask, end: AskEnd<Parcel>) {
        let (what, value) = match end {
            AskEnd::Response(payload) => (ends::RESPONSE, payload.value),
            AskEnd::Error(payload) => (ends::ERROR, payload.value),
            AskEnd::Refused(why) => (ends::REFUSED, (frames::index_of(why) as f64).into()),
            AskEnd::Cancelled => (ends::CANCELLED, JsValue::UNDEFINED),
            AskEnd::TimedOut => (ends::TIMED_OUT, JsValue::UNDEFINED),
            AskEnd::NotHandled(why) => (ends::NOT_HANDLED, text(why.text())),
            AskEnd::Unknown(why) => (ends::UNKNOWN, text(why.text())),
        };
        settle(&self.host, number_of_ask(id), what, value);
    }

    fn undelivered(&self, end: End<Parcel>) {
        let (what, why) = end_of(&end);
        let is_unknown = i32::from(what == ends::UNKNOWN);
        undelivered(&self.host, value_of(end), is_unknown, why);
    }

    fn losing(&self) {
        losing(&self.host);
    }

    fn keep(&self, end: End<Parcel>) {
        let is_unknown = matches!(end, End::Unknown { .. });
        keep_over(&self.host, value_of(end), is_unknown.into());
    }

    fn resend(&self) {
        resend(&self.host);
    }

    fn over(&self, over: Over, why: Ended, handled: u64) {
        let how = match over {
            Over::Lost => overs::LOST,
            Over::Ended => overs::FINAL,
            Over::Plain => overs::PLAIN,
        };
        session_over(&self.host, how, text(why.text()), handled as f64);
    }

    fn settled(&self) {}
}
