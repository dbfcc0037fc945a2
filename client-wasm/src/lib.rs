//! The JavaScript face of steady-socket.
//!
//! What a JavaScript program sees is the class `ReconnectingWebSocket` of
//! `js/reconnecting-websocket.js`: a real `EventTarget` that can be made before this module is loaded. It
//! converts and checks arguments, and dispatches events. What is to be decided is decided by the
//! connection core: each object of the class has one [`Core`] and hands it an object to be called back
//! on. Messages stay JavaScript values and never enter the memory of this module.

mod face;
mod host;

use std::panic::PanicHookInfo;
use std::rc::Rc;

use js_sys::{Array, Function};
use steady_socket::browser::{Browser, abandon_all, close_sockets_on_panic};
use steady_socket::connection::{Input, SendMode, SendRejected};
use steady_socket::driver::Driver;
use steady_socket::options::Options;
use steady_socket::platform::BinaryType;
use wasm_bindgen::prelude::*;

use face::Face;
use host::{Host, module_failed, provide_core};

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = include_str!("../js/reconnecting-websocket.d.ts");

/// Gives the JavaScript class what it makes its connections with. Called when the module is loaded, save in
/// tests, which wasm-bindgen starts differently.
#[wasm_bindgen(start, private)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| module_failed(&describe(panic))));
    // Its sockets go first.
    close_sockets_on_panic();
    let create = Closure::<dyn Fn(Host, Vec<f64>, Array, Function) -> JsValue>::new(
        |host, options: Vec<f64>, target, constructor| {
            Core::new(host, &options, &target, constructor).into()
        },
    );
    let abandon = Closure::<dyn Fn()>::new(abandon_all);
    provide_core(create.into_js_value(), abandon.into_js_value());
}

/// A panic, for the console: where it was, and its message if that stands in the source as it is. One that
/// was put together may quote what was sent.
fn describe(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload().downcast_ref::<&'static str>();
    let message = message.copied().unwrap_or("panic");
    match panic.location() {
        Some(place) => format!("{message} ({place})"),
        None => message.to_owned(),
    }
}

/// What became of a message that was handed to [`Core::send`], as a number for JavaScript.
#[repr(u8)]
enum Handed {
    /// Sent, queued, or dropped, which an event reports.
    Taken = 0,
    /// The queue is full, and the option `overflow` is to reject.
    Full = 1,
    /// The connection is closing or closed.
    Closed = 2,
}

/// The connection of one `ReconnectingWebSocket`. Not part of the JavaScript API.
///
/// When the JavaScript object is collected, so is this, and the connection is closed. As long as there is
/// anything to happen on it, the host keeps the object (see `js/reconnecting-websocket.js`).
#[wasm_bindgen(private, skip_typescript)]
pub struct Core(Driver<JsValue>);

impl Core {
    /// `options` holds a number for each row of the table of options; `target` the URL, absolute and
    /// checked, then the sub-protocols, or nothing when the host has to be asked each time. `constructor`
    /// makes the sockets.
    fn new(host: Host, options: &[f64], target: &Array, constructor: Function) -> Self {
        let mut checked = Options::default();
        for (index, value) in options.iter().enumerate() {
            // JavaScript has checked them by the same table; what it took by mistake stays at its default.
            let _ = checked.set(index, *value);
        }
        let browser = Browser::with_constructor(constructor);
        let face = Face::new(host, face::target(target));
        let driver = Driver::new(checked, Rc::new(browser), Box::new(face));
        Self(driver)
    }
}

#[wasm_bindgen]
impl Core {
    /// Connects for the first time.
    pub fn start(&self) {
        self.0.command(Input::Start);
    }

    /// Connects anew, in every state.
    pub fn reconnect(&self) {
        self.0.command(Input::Reconnect);
    }

    /// Lets the queue flow on this connection.
    pub fn ready(&self) {
        self.0.command(Input::Ready);
    }

    /// Closes for good. The arguments were checked.
    pub fn close(&self, code: Option<u16>, reason: String) {
        self.0.command(Input::Close { code, reason });
    }

    /// Takes a message of `bytes` bytes that nobody else will change. `ttl` is how many milliseconds it
    /// may wait, if not the option's. The result is a number of `Handed`.
    pub fn send(
        &self,
        data: JsValue,
        bytes: f64,
        first: bool,
        volatile: bool,
        ttl: Option<f64>,
    ) -> u8 {
        let mode = SendMode {
            first,
            volatile,
            ttl_ms: ttl.map(|ttl| ttl as u64),
        };
        let handed = match self.0.send(data, bytes as usize, mode) {
            Ok(_) => Handed::Taken,
            Err(SendRejected::Full(_)) => Handed::Full,
            Err(SendRejected::Closed(_)) => Handed::Closed,
        };
        handed as u8
    }

    /// The `readyState` of the WebSocket interface.
    #[wasm_bindgen(getter, js_name = readyState)]
    pub fn ready_state(&self) -> u16 {
        self.0.ask(|connection| connection.ready_state())
    }

    /// The state, by name.
    #[wasm_bindgen(getter)]
    pub fn state(&self) -> String {
        self.0
            .ask(|connection| connection.phase().name().to_owned())
    }

    /// Bytes in the queue and in the browser.
    #[wasm_bindgen(getter, js_name = bufferedAmount)]
    pub fn buffered_amount(&self) -> f64 {
        let queued = self.0.ask(|connection| connection.queued_bytes());
        let in_browser = self.0.ask_socket(|socket| socket.buffered_amount());
        queued as f64 + in_browser.unwrap_or_default() as f64
    }

    /// The sub-protocol of the present socket, if there is one.
    #[wasm_bindgen(getter)]
    pub fn protocol(&self) -> Option<String> {
        self.0.ask_socket(|socket| socket.protocol())
    }

    /// The extensions of the present socket, if there is one.
    #[wasm_bindgen(getter)]
    pub fn extensions(&self) -> Option<String> {
        self.0.ask_socket(|socket| socket.extensions())
    }

    /// Why the last socket that was refused was, or the last message: the name of the exception.
    #[wasm_bindgen(getter, js_name = lastRefusal)]
    pub fn last_refusal(&self) -> Option<String> {
        self.0.last_refusal().map(|refusal| refusal.0)
    }

    /// Whether binary messages arrive as blobs, rather than as buffers, from now on.
    #[wasm_bindgen(js_name = receiveBlobs)]
    pub fn receive_blobs(&self, blobs: bool) {
        self.0.set_binary_type(if blobs {
            BinaryType::Blob
        } else {
            BinaryType::ArrayBuffer
        });
    }

    /// The counters, in the order of `COUNTERS` in `js/waiting-room.js`.
    pub fn counters(&self) -> Vec<f64> {
        let snapshot = self.0.ask(|connection| connection.snapshot());
        vec![
            f64::from(snapshot.attempt),
            snapshot.attempts as f64,
            snapshot.opens as f64,
            snapshot.sent.messages as f64,
            snapshot.sent.bytes as f64,
            snapshot.received.messages as f64,
            snapshot.received.bytes as f64,
            snapshot.queued.messages as f64,
            snapshot.queued.bytes as f64,
            snapshot.dropped.messages as f64,
            snapshot.dropped.bytes as f64,
            snapshot.unconfirmed.messages as f64,
            snapshot.unconfirmed.bytes as f64,
            snapshot.abandoned as f64,
        ]
    }
}
