//! The platform of the JavaScript API's connections. Its implementation is in JavaScript, in `js/platform.js`, where
//! sockets and timers cost the least: this passes on the driver's requests.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;

use steady_socket::connection::{CloseFrame, Hint, Time};
use steady_socket::platform::{Platform, RawSocket, Refused, SocketEvent, SocketListener};
use wasm_bindgen::prelude::*;

use crate::callbacks::{Callback, Callbacks, Registered};
use crate::host::{self, Host};

/// The hints about the page and the network from JavaScript, by number.
#[doc(hidden)]
pub const HINTS: [Hint; 4] = [Hint::Online, Hint::Offline, Hint::Visible, Hint::Resumed];

/// The socket events from JavaScript, by number. The two closes come last.
pub(crate) mod event {
    pub(super) const OPENED: i32 = 0;
    pub(crate) const MESSAGE: i32 = 1;
    pub(super) const TOO_BIG: i32 = 2;
    pub(super) const ERROR: i32 = 3;
    pub(super) const CLOSED: i32 = 4;
    pub(super) const CLOSED_CLEANLY: i32 = 5;
}

/// Their names in JavaScript.
#[doc(hidden)]
pub const SOCKET_EVENTS: [(&str, i32); 6] = [
    ("socketOpened", event::OPENED),
    ("socketMessage", event::MESSAGE),
    ("socketTooBig", event::TOO_BIG),
    ("socketError", event::ERROR),
    ("socketClosed", event::CLOSED),
    ("socketClosedCleanly", event::CLOSED_CLEANLY),
];

/// The longest that `setTimeout` can wait; the core sets another if it fires too early.
const LONGEST_TIMER: u64 = i32::MAX as u64;

/// The platform of one connection.
pub(crate) struct JsPlatform {
    pub(crate) host: Rc<Host>,
    pub(crate) callbacks: Rc<Callbacks>,
}

/// An event of a socket, other than a message, from its number and what accompanies it.
pub(crate) fn event_of(what: i32, number: f64, value: &JsValue) -> SocketEvent {
    match what {
        event::OPENED => SocketEvent::Opened,
        event::TOO_BIG => SocketEvent::TooBig,
        // JavaScript keeps the error that came with it.
        event::ERROR => SocketEvent::Error(None),
        _ => SocketEvent::Closed(CloseFrame {
            code: number as u16,
            reason: value.as_string().unwrap_or_default(),
            clean: what == event::CLOSED_CLEANLY,
        }),
    }
}

impl Platform<JsValue> for JsPlatform {
    /// JavaScript keeps the URL and the sub-protocols, and makes its sockets with them.
    type Target = ();
    type Socket = JsSocket;
    type Watch = Watch;
    type Timer = Timer;

    fn now(&self) -> Time {
        Time::from_millis(host::now() as u64)
    }

    fn wall_clock(&self) -> u64 {
        host::wall_clock() as u64
    }

    fn watch(&self, notify: Rc<dyn Fn(Hint)>) -> Watch {
        let registered = self.callbacks.register(Callback::Watch(notify));
        host::watch(registered.id);
        Watch(registered)
    }

    fn text_marked(&self, payload: &JsValue, mark: char) -> Option<String> {
        let text = host::marked_text(payload, mark.into());
        // Only a session asks this of many messages that are not marked.
        #[cfg(feature = "session")]
        if text.is_undefined() {
            return None;
        }
        text.as_string()
    }

    fn without_mark(&self, payload: JsValue) -> JsValue {
        host::without_mark(&payload)
    }

    fn message(&self, text: &str) -> JsValue {
        JsValue::from_str(text)
    }

    fn chance(&self) -> f64 {
        host::chance()
    }

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Timer {
        let registered = self.callbacks.register(Callback::Timer(fire));
        host::set_timer(registered.id, millis.min(LONGEST_TIMER) as f64);
        Timer(registered)
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        host::defer(self.callbacks.add(Callback::Task(task)));
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        let id = self.callbacks.add(Callback::Task(task));
        let waits = host::turn(id) != 0;
        if !waits {
            self.callbacks.remove(id);
        }
        waits
    }

    fn connect(
        &self,
        (): &(),
        max_message_bytes: Option<u32>,
        listener: Rc<dyn SocketListener<JsValue>>,
    ) -> Result<Rc<JsSocket>, Refused> {
        let registered = self.callbacks.register(Callback::Socket(listener));
        let max = max_message_bytes.unwrap_or(u32::MAX);
        if host::open_socket(&self.host, registered.id, max.into()) == 0 {
            return Err(refused());
        }
        Ok(Rc::new(JsSocket(registered)))
    }
}

/// JavaScript keeps the name of the exception.
pub(crate) const fn refused() -> Refused {
    Refused(String::new())
}

pub(crate) struct Watch(Registered);

impl Drop for Watch {
    fn drop(&mut self) {
        host::unwatch(self.0.id);
    }
}

pub(crate) struct Timer(Registered);

impl Drop for Timer {
    fn drop(&mut self) {
        host::clear_timer(self.0.id);
    }
}

/// One socket.
pub(crate) struct JsSocket(Registered);

impl Drop for JsSocket {
    fn drop(&mut self) {
        host::let_go_of(self.0.id);
    }
}

impl RawSocket<JsValue> for JsSocket {
    fn send(&self, payload: &JsValue) -> Result<(), Refused> {
        match host::send_on(self.0.id, payload) {
            0 => Err(refused()),
            _ => Ok(()),
        }
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        let code = code.map_or(-1, i32::from);
        host::close_socket(self.0.id, code, JsValue::from_str(reason));
    }

    fn detach(&self) {
        host::silence(self.0.id);
    }

    fn buffered_amount(&self) -> u64 {
        host::buffered_by(self.0.id) as u64
    }

    fn protocol(&self) -> String {
        host::protocol_of(self.0.id).as_string().unwrap_or_default()
    }
}
