//! The JavaScript API of steady-socket.
//!
//! JavaScript programs see the class `ReconnectingWebSocket` of `js/reconnecting-websocket.js`: a real `EventTarget`
//! that can be constructed before this module is loaded. It converts and checks arguments, and dispatches events. The
//! connection core makes all decisions: each object of the class has one [`Core`] and passes it an object for
//! callbacks. Messages stay JavaScript values and never enter the memory of this module.

#![cfg_attr(all(target_family = "wasm", not(feature = "std")), no_std)]

extern crate alloc;

mod callbacks;
mod face;
mod host;
mod panics;
mod platform;
#[cfg(feature = "session")]
mod session;

use alloc::boxed::Box;
use alloc::rc::Rc;

use steady_socket::connection::{Hint, Input, NONE, SendMode, SendRejected};
use steady_socket::driver::Driver;
use steady_socket::options::Options;
use steady_socket::platform::RawSocket as _;
use wasm_bindgen::prelude::*;

use callbacks::Callbacks;
use face::Face;
use host::{Host, count_of, option_of, provide_core};
use platform::JsPlatform;
#[cfg(feature = "session")]
use session::JsSession;

#[doc(hidden)]
pub use host::{QUESTIONS, VERDICTS};
#[doc(hidden)]
pub use platform::{HINTS, SOCKET_EVENTS};

#[cfg(all(target_family = "wasm", not(feature = "std")))]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

#[wasm_bindgen(typescript_custom_section)]
const SHARED_DECLARATIONS: &str = steady_socket::options::DECLARATIONS;

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = include_str!("../js/reconnecting-websocket.d.ts");

/// Gives the JavaScript class the function that makes its connections. Called when the module is loaded, except in
/// tests, which wasm-bindgen starts differently.
#[wasm_bindgen(start, private)]
pub fn start() {
    #[cfg(feature = "std")]
    panics::report();
    provide_core(Callbacks::default().into_function());
}

/// The counters of a snapshot, in the order of [`Core::counter`].
#[doc(hidden)]
pub const COUNTERS: [&str; 15] = [
    "attempt",
    "attempts",
    "opens",
    "messagesSent",
    "bytesSent",
    "messagesReceived",
    "bytesReceived",
    "queuedMessages",
    "queuedBytes",
    "droppedMessages",
    "droppedBytes",
    "unconfirmedMessages",
    "unconfirmedBytes",
    "abandoned",
    "nextAttemptIn",
];

/// The other values that [`Core::counter`] returns: the index of the state in `STATES` of `js/names.js`, the `readyState`
/// of the WebSocket interface, and the bytes in the queue and in the browser's buffer.
#[doc(hidden)]
pub const READINGS: [&str; 3] = ["state", "readyState", "bufferedAmount"];

/// The commands of [`Core::command`]. `wake` ends a wait, because the page may now have a permission that it lacked;
/// `ready` lets the queue flow on this connection.
#[doc(hidden)]
pub const COMMANDS: [&str; 7] = [
    "start",
    "reconnect",
    "resume",
    "ready",
    "wake",
    "suspend",
    "close",
];

/// The names in JavaScript of what became of a message passed to [`Core::send`].
#[doc(hidden)]
pub const HANDED: [(&str, i32); 4] = [
    ("taken", Handed::Taken as i32),
    ("full", Handed::Full as i32),
    ("tooLate", Handed::Closed as i32),
    ("refused", Handed::Refused as i32),
];

/// What became of a message passed to [`Core::send`], as a number for JavaScript.
#[repr(u8)]
enum Handed {
    /// Sent, queued, or dropped, which an event reports.
    Taken = 0,
    /// The queue is full, and the option `overflow` is to reject.
    Full = 1,
    /// The connection is closing or closed; an event reports it.
    Closed = 2,
    /// It can never be sent, for the reason that the host was told. Only in a session.
    Refused = 3,
}

/// The connection of one `ReconnectingWebSocket`. Not part of the JavaScript API.
///
/// When the JavaScript object is collected, so is this, and the connection closes. As long as anything can still
/// happen on it, the host keeps the object (see `js/reconnecting-websocket.js`).
#[wasm_bindgen(private, skip_typescript)]
pub struct Core {
    driver: Driver<JsValue, JsPlatform, Face>,
    #[cfg(feature = "session")]
    session: Option<Rc<JsSession>>,
}

impl Core {
    fn new(host: Host, callbacks: &Rc<Callbacks>) -> Self {
        // JavaScript has checked them against the same table.
        let options = Options::from_numbers(&|row| option_of(&host, row as i32));
        let host = Rc::new(host);
        let platform = Rc::new(JsPlatform {
            host: Rc::clone(&host),
            callbacks: Rc::clone(callbacks),
        });
        #[cfg(feature = "session")]
        let session = JsSession::new(&host, &platform);
        let face = Face::new(
            Rc::clone(&host),
            Rc::clone(callbacks),
            #[cfg(feature = "session")]
            session.clone(),
        );
        let driver = Driver::new(options, platform, Box::new(face));
        #[cfg(feature = "session")]
        if let Some(session) = &session {
            session.run_on(&driver);
        }
        // What an earlier core of the host counted.
        driver.go_on_from(&|counter| count_of(&host, counter as i32) as u64);
        Self {
            driver,
            #[cfg(feature = "session")]
            session,
        }
    }
}

#[wasm_bindgen]
impl Core {
    /// Carries out one of [`COMMANDS`], by its index. The code and the reason were checked; a negative code means none.
    pub fn command(&self, what: u8, code: f64, reason: JsValue) {
        let reason = reason.as_string().unwrap_or_default();
        let code = (code >= 0.0).then_some(code as u16);
        #[cfg(feature = "session")]
        if let Some(session) = &self.session {
            match what {
                1 => session.renew(),
                5 if session.is_closing() => return,
                6 if !session.is_plain() => return session.close(code, reason),
                _ => {}
            }
        }
        self.driver.command(match what {
            0 => Input::Start,
            1 => Input::Reconnect { code, reason },
            2 => Input::Resume,
            3 => Input::Ready,
            4 => Input::Hint(Hint::Visible),
            5 => Input::Suspend { code, reason },
            _ => Input::Close { code, reason },
        });
    }

    /// Sends a message of `bytes` bytes that nobody else will change, or that is lent (`js/message.js`). `ttl` is how many
    /// milliseconds it may wait; NaN means the option's value. Returns a number of `Handed`.
    pub fn send(&self, data: JsValue, bytes: f64, first: bool, volatile: bool, ttl: f64) -> u8 {
        #[cfg(feature = "session")]
        if let Some(session) = &self.session
            && let Some(handed) = session.send(&data, bytes as usize, first, volatile, ttl)
        {
            return handed as u8;
        }
        let mode = SendMode {
            first,
            volatile,
            ttl_ms: (!ttl.is_nan()).then_some(ttl as u64),
        };
        let handed = match self.driver.send(data, bytes as usize, mode) {
            Ok(_) => Handed::Taken,
            Err(SendRejected::Full(_)) => Handed::Full,
            Err(SendRejected::Closed(data)) => {
                // The standard lets it do nothing; here it is reported instead.
                self.driver.discard(data, bytes as usize);
                Handed::Closed
            }
        };
        handed as u8
    }

    /// One of the [`COUNTERS`] or, after them, of the [`READINGS`], by its index.
    pub fn counter(&self, index: usize) -> f64 {
        #[cfg(feature = "session")]
        if let Some(session) = &self.session
            && let Some(count) = session.counter(index, &self.driver)
        {
            return count;
        }
        match index.wrapping_sub(COUNTERS.len()) {
            0 => {
                return self
                    .driver
                    .ask(|connection| connection.phase().index())
                    .into();
            }
            1 => {
                return self
                    .driver
                    .ask(|connection| connection.ready_state())
                    .into();
            }
            2 => {
                let queued = self.driver.ask(|connection| connection.queued_bytes());
                let in_browser = self.driver.ask_socket(|socket| socket.buffered_amount());
                return queued as f64 + in_browser.unwrap_or_default() as f64;
            }
            _ => {}
        }
        match self.driver.counters().get(index) {
            Some(&count) if count != NONE => count as f64,
            _ => f64::NAN,
        }
    }
}

/// What only a session has.
#[cfg(feature = "session")]
#[wasm_bindgen]
impl Core {
    /// The program is done with a message that it was given under this number.
    pub fn handled(&self, id: f64) {
        if let Some(session) = &self.session {
            session.handled(id);
        }
    }

    /// The program answers a request that it was given under this number: see `ends` in `session.rs`.
    pub fn answer(&self, id: f64, how: i32, payload: JsValue) {
        if let Some(session) = &self.session {
            session.answer(id, how, payload);
        }
    }

    /// The end of the message of this number, or the answer to the request, is no longer wanted. Returns whether the message
    /// was withdrawn.
    pub fn cancel(&self, id: f64) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.cancel(id))
    }

    /// There may be somebody to read messages now.
    pub fn read(&self) {
        if let Some(session) = &self.session {
            session.read();
        }
    }

    /// The page is about to be hidden or frozen.
    pub fn flush(&self) {
        if let Some(session) = &self.session {
            session.flush();
        }
    }

    /// Why there has been no session yet, in words; `undefined` if there has been one, or no attempt has failed.
    pub fn unwelcomed(&self) -> JsValue {
        let session = self.session.as_ref();
        session.map_or(JsValue::UNDEFINED, |session| session.unwelcomed())
    }

    /// A fresh credential, which was checked.
    pub fn credential(&self, credential: &JsValue) {
        if let Some(session) = &self.session {
            session.send_credential(&credential.as_string().unwrap_or_default());
        }
    }

    /// Messages that are sent and not acknowledged; their bytes, if `bytes`.
    pub fn unacknowledged(&self, bytes: bool) -> f64 {
        let session = self.session.as_ref();
        session.map_or(0.0, |session| session.unacknowledged(bytes) as f64)
    }
}
