//! The platform of the JavaScript API's connections. Its implementation is in JavaScript, in `js/ring.js`, where
//! sockets and timers cost the least: this passes on the driver's requests.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::any::Any;

use steady_socket::connection::{CloseFrame, Hint, Time};
use steady_socket::platform::{
    BinaryType, Platform, RawSocket, Refused, SocketEvent, SocketListener, SocketSettings, Target,
};
use wasm_bindgen::prelude::*;

use crate::callbacks::{Callbacks, Registered};
use crate::host::{self, Host};

/// The hints about the page and the network from JavaScript, by number.
pub(crate) const HINTS: [Hint; 4] = [Hint::Online, Hint::Offline, Hint::Visible, Hint::Resumed];

/// The socket events from JavaScript, by number.
mod told {
    pub(super) const OPENED: i32 = 0;
    pub(super) const MESSAGE: i32 = 1;
    pub(super) const TOO_BIG: i32 = 2;
    pub(super) const ERROR: i32 = 3;
    pub(super) const CLOSED: i32 = 4;
    pub(super) const CLOSED_CLEANLY: i32 = 5;
}

/// The longest that `setTimeout` can wait; the core asks again if it fires too early.
const LONGEST_TIMER: u64 = i32::MAX as u64;

/// The platform of one connection.
pub(crate) struct Ring {
    pub(crate) host: Rc<Host>,
    pub(crate) callbacks: Rc<Callbacks>,
}

impl Platform<JsValue> for Ring {
    fn now(&self) -> Time {
        Time::from_millis(host::now() as u64)
    }

    fn wall_clock(&self) -> u64 {
        host::wall_clock() as u64
    }

    fn watch(&self, tell: Box<dyn Fn(Hint)>) -> Box<dyn Any> {
        let registered = self.callbacks.add(move |_, hint, _| {
            if let Some(hint) = HINTS.get(hint as usize) {
                tell(*hint);
            }
        });
        host::watch(registered.id);
        Box::new(Watch(registered))
    }

    fn text_marked(&self, payload: &JsValue, mark: char) -> Option<String> {
        host::marked_text(payload, mark.into()).as_string()
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

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        let registered = self.callbacks.add_once(fire);
        host::set_timer(registered.id, millis.min(LONGEST_TIMER) as f64);
        Box::new(Timer(registered))
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        host::defer(self.callbacks.add_task(task));
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        let id = self.callbacks.add_task(task);
        let waits = host::turn(id) != 0;
        if !waits {
            self.callbacks.remove(id);
        }
        waits
    }

    fn connect(
        &self,
        _: &Target,
        settings: SocketSettings,
        listener: SocketListener<JsValue>,
    ) -> Result<Rc<dyn RawSocket<JsValue>>, Refused> {
        let registered = self.callbacks.add(move |what, number, value| {
            listener(match what {
                told::OPENED => SocketEvent::Opened,
                told::MESSAGE => SocketEvent::Message {
                    payload: value,
                    bytes: number as usize,
                },
                told::TOO_BIG => SocketEvent::TooBig,
                // JavaScript keeps the error that came with it.
                told::ERROR => SocketEvent::Error(None),
                told::CLOSED | told::CLOSED_CLEANLY => SocketEvent::Closed(CloseFrame {
                    code: number as u16,
                    reason: value.as_string().unwrap_or_default(),
                    clean: what == told::CLOSED_CLEANLY,
                }),
                _ => return,
            });
        });
        let max = settings.max_message_bytes.unwrap_or(u32::MAX);
        if host::open_socket(&self.host, registered.id, max.into()) == 0 {
            return Err(refused());
        }
        Ok(Rc::new(Wire(registered)))
    }
}

/// JavaScript keeps the name of the exception.
const fn refused() -> Refused {
    Refused(String::new())
}

struct Watch(Registered);

impl Drop for Watch {
    fn drop(&mut self) {
        host::unwatch(self.0.id);
    }
}

struct Timer(Registered);

impl Drop for Timer {
    fn drop(&mut self) {
        host::clear_timer(self.0.id);
    }
}

/// One socket.
struct Wire(Registered);

impl Drop for Wire {
    fn drop(&mut self) {
        host::let_go_of(self.0.id);
    }
}

impl RawSocket<JsValue> for Wire {
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

    /// The class queries its socket itself.
    fn extensions(&self) -> String {
        String::new()
    }

    /// The class sets it itself.
    fn set_binary_type(&self, _: BinaryType) {}
}
