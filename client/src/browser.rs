//! The browser ring: the only code that touches web-sys. One socket, one timer, clocks, chance, URLs.
//!
//! Works in a window, a worker and Node: it looks for `performance`, `document` and `location` when it
//! needs them, and assumes no `window`. It compiles natively, so that the lints and the documentation
//! see it, and panics when it is called there.

mod text;

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Array, ArrayBuffer, Function, JsString, Reflect, Uint8Array};
use steady_socket_protocol::Message;
use wasm_bindgen::prelude::*;
use web_sys::{CloseEvent, MessageEvent, Url, WebSocket};

use crate::connection::{CloseFrame, Hint, Time};
use crate::platform::{
    BinaryType, LocalFuture, Platform, RawSocket, Refused, Runtime, SocketEvent, SocketListener,
    SocketSettings, Target,
};

fn send(socket: &WebSocket, message: &Message) -> Result<(), JsValue> {
    match message {
        Message::Text(text) => socket.send_with_str(text),
        // A browser refuses a view of memory that threads share: copy it out first.
        #[cfg(target_feature = "atomics")]
        Message::Binary(bytes) => socket.send_with_js_u8_array(&Uint8Array::from(bytes.as_slice())),
        #[cfg(not(target_feature = "atomics"))]
        Message::Binary(bytes) => socket.send_with_u8_array(bytes),
    }
}

/// What a `message` event tells, unless what it carries is no message.
fn received(event: &MessageEvent, max: u32) -> Option<SocketEvent<Message>> {
    let data = data_of(event)?;
    let text = data.dyn_ref::<JsString>();
    // Before anything of it is copied. For text in UTF-16 code units, since its size in bytes would take a walk
    // through it.
    let size = text.map_or_else(|| size_of(&data), JsString::length);
    if size > max {
        return Some(SocketEvent::TooBig);
    }
    let payload = match text {
        Some(text) => Message::Text(text::read(text, size)),
        None => Message::Binary(Uint8Array::new(data.dyn_ref::<ArrayBuffer>()?).to_vec()),
    };
    let bytes = size as usize;
    Some(SocketEvent::Message { payload, bytes })
}

/// The data of an event.
fn data_of(event: &MessageEvent) -> Option<JsValue> {
    // An event that the browser made does not throw, and to be ready for it takes longer than to look.
    if event.is_instance_of::<MessageEvent>() {
        return Some(event.data());
    }
    event.unchecked_ref::<Carrier>().data().ok()
}

/// The size of what is not text, in bytes.
fn size_of(data: &JsValue) -> u32 {
    let data = data.unchecked_ref::<Sized_>();
    let length = data.byte_length().ok().flatten();
    length.or_else(|| data.size().ok()?).unwrap_or(0)
}

#[wasm_bindgen]
extern "C" {
    /// An `ArrayBuffer` or a `Blob`, or whatever a socket that is not the browser's gives.
    #[wasm_bindgen(js_name = Object)]
    type Sized_;

    #[wasm_bindgen(method, getter, catch, js_name = byteLength)]
    fn byte_length(this: &Sized_) -> Result<Option<u32>, JsValue>;

    #[wasm_bindgen(method, getter, catch)]
    fn size(this: &Sized_) -> Result<Option<u32>, JsValue>;

    /// What a `message` event has, without making a string of the name for every message as [`read`] does.
    #[wasm_bindgen(js_name = Object)]
    type Carrier;

    #[wasm_bindgen(method, getter, catch)]
    fn data(this: &Carrier) -> Result<JsValue, JsValue>;

    type Place;

    #[wasm_bindgen(method, getter, js_name = baseURI)]
    fn base_uri(this: &Place) -> Option<String>;

    #[wasm_bindgen(method, getter)]
    fn href(this: &Place) -> Option<String>;

    #[wasm_bindgen(method, getter)]
    fn origin(this: &Place) -> Option<String>;

    /// Looked up at every call, so that a test's clock that is put in its place later is read.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(thread_local_v2, js_name = performance)]
    static PERFORMANCE: Option<Place>;

    /// The document, where there is one now: a test may make one.
    #[wasm_bindgen(method, getter)]
    fn document(this: &Watched) -> Option<Place>;

    /// The window, or the worker.
    #[wasm_bindgen(thread_local_v2, js_name = globalThis)]
    static GLOBAL: Watched;

    /// A function that does nothing.
    #[wasm_bindgen(thread_local_v2, js_namespace = Function, js_name = prototype)]
    static NOTHING: JsValue;

    /// Something that may dispatch events: Node's global object does not.
    #[wasm_bindgen(js_name = Object)]
    type Watched;

    #[wasm_bindgen(method, catch, js_name = addEventListener)]
    fn add_event_listener(this: &Watched, name: &str, listener: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeEventListener)]
    fn remove_event_listener(this: &Watched, name: &str, listener: &JsValue)
    -> Result<(), JsValue>;

    #[wasm_bindgen(method, getter, js_name = visibilityState)]
    fn visibility_state(this: &Place) -> Option<String>;

    /// Whether the page comes back from the back/forward cache.
    #[wasm_bindgen(method, getter)]
    fn persisted(this: &Place) -> Option<bool>;

    #[wasm_bindgen(thread_local_v2, js_name = location)]
    static LOCATION: Option<Place>;
}

/// The browser, or a runtime with the same interfaces.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    constructor: Option<Function>,
}

impl Browser {
    /// The browser as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With another `WebSocket` constructor than the global one: that of a package where there is none,
    /// or of a test.
    #[must_use]
    pub fn with_constructor(constructor: Function) -> Self {
        Self {
            constructor: Some(constructor),
        }
    }

    fn make_socket(&self, target: &Target) -> Result<WebSocket, JsValue> {
        let protocols = || -> Array {
            target
                .protocols
                .iter()
                .map(|protocol| JsValue::from_str(protocol))
                .collect()
        };
        match &self.constructor {
            Some(constructor) => {
                let arguments = Array::of1(&JsValue::from_str(&target.url));
                // Left out when there are none, as a program that offers none does.
                if !target.protocols.is_empty() {
                    arguments.push(&protocols());
                }
                Reflect::construct(constructor, &arguments).map(JsCast::unchecked_into)
            }
            None => WebSocket::new_with_str_sequence(&target.url, &protocols()),
        }
    }
}

/// What the browser threw, as a refusal: the name of the exception, since its message quotes the URL.
fn refused(thrown: &JsValue) -> Refused {
    let name = read(thrown, "name").as_string();
    Refused(name.unwrap_or_else(|| "an exception without a name".to_owned()))
}

/// A field of a socket, an event or an exception that need not be the browser's own: `undefined` where it
/// has no such field, or throws. An exception that passed through Rust would leave it half done.
fn read(object: &JsValue, field: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(field)).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a field of such an object, if it lets itself be set.
fn write(object: &JsValue, field: &str, value: &JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(field), value);
}

impl Platform<Message> for Browser {
    fn now(&self) -> Time {
        let millis = if PERFORMANCE.with(Option::is_some) {
            performance_now()
        } else {
            js_sys::Date::now()
        };
        Time::from_millis(millis as u64)
    }

    fn wall_clock(&self) -> u64 {
        js_sys::Date::now() as u64
    }

    fn watch(&self, tell: Box<dyn Fn(Hint)>) -> Box<dyn Any> {
        Box::new(PageWatch::start(Box::new(move |hint| {
            if !is_abandoned() {
                tell(hint);
            }
        })))
    }

    fn text_marked(&self, payload: &Message, mark: char) -> Option<String> {
        match payload {
            Message::Text(text) => text.starts_with(mark).then(|| text.clone()),
            Message::Binary(_) => None,
        }
    }

    fn message(&self, text: &str) -> Message {
        text.into()
    }

    fn chance(&self) -> f64 {
        js_sys::Math::random()
    }

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        // The longest that `setTimeout` can wait; the core asks again when it goes off too early.
        Box::new(timer(millis.min(i32::MAX as u64) as u32, fire))
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        Runtime::spawn(self, Box::pin(async move { task() }));
    }

    fn connect(
        &self,
        target: &Target,
        settings: SocketSettings,
        listener: SocketListener<Message>,
    ) -> Result<Rc<dyn RawSocket<Message>>, Refused> {
        if is_abandoned() {
            return Err(Refused("the program has panicked".to_owned()));
        }
        let socket = self
            .make_socket(target)
            .map_err(|thrown| refused(&thrown))?;
        let max = settings.max_message_bytes.unwrap_or(u32::MAX);
        let socket = BrowserSocket::listen(socket, Rc::from(listener), max);
        socket.set_binary_type(settings.binary_type);
        Ok(Rc::new(socket))
    }
}

impl Runtime for Browser {
    fn spawn(&self, task: LocalFuture<()>) {
        wasm_bindgen_futures::spawn_local(UntilAbandoned(task));
    }

    fn page_is_secure(&self) -> bool {
        page_origin().is_some_and(|origin| origin.starts_with("https:"))
    }

    /// As the WebSockets standard parses the URL of a constructor: relative to the page or the worker,
    /// `http:` as `ws:` and `https:` as `wss:`, and no fragment.
    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        let parsed = match base_url() {
            Some(base) => Url::new_with_base(url, &base),
            None => Url::new(url),
        }
        .map_err(|_| {
            Refused(
                "the URL cannot be parsed; it takes an absolute ws:, wss:, http: or https: URL, \
                     or one relative to the page"
                    .to_owned(),
            )
        })?;
        match parsed.protocol().as_str() {
            "ws:" | "wss:" => {}
            "http:" => parsed.set_protocol("ws:"),
            "https:" => parsed.set_protocol("wss:"),
            scheme => {
                return Err(Refused(format!(
                    "the URL's scheme is {scheme}; it takes ws:, wss:, http: or https:"
                )));
            }
        }
        let href = parsed.href();
        if href.contains('#') {
            return Err(Refused(
                "the URL has a fragment (#…); a WebSocket URL takes none".to_owned(),
            ));
        }
        Ok(href)
    }
}

/// The origin of the page or the worker; that of a worker made from a blob is the page's.
pub(crate) fn page_origin() -> Option<String> {
    LOCATION.with(|location| location.as_ref().and_then(Place::origin))
}

/// The document, if this is a page.
fn page_document() -> Option<Place> {
    GLOBAL.with(Watched::document)
}

/// What a relative URL is relative to: the document, or the worker's script. A worker made from a blob
/// has no path; its origin serves.
pub(crate) fn base_url() -> Option<String> {
    page_document()
        .as_ref()
        .and_then(Place::base_uri)
        .or_else(|| {
            LOCATION.with(|location| {
                let location = location.as_ref()?;
                let href = location.href()?;
                if href.starts_with("blob:") {
                    location.origin()
                } else {
                    Some(href)
                }
            })
        })
}

/// Listens to what the browser says of the network and of the page, as far as there is a page: a worker
/// hears only of the network. Stops when it is dropped.
struct PageWatch {
    listener: Closure<dyn Fn(web_sys::Event)>,
    document: Option<Place>,
}

impl PageWatch {
    const OF_THE_GLOBAL: [&str; 3] = ["online", "offline", "pageshow"];
    const OF_THE_DOCUMENT: [&str; 2] = ["visibilitychange", "resume"];

    fn start(tell: Box<dyn Fn(Hint)>) -> Self {
        let listener = Closure::new(move |event: web_sys::Event| {
            if let Some(hint) = hint_of(&event) {
                tell(hint);
            }
        });
        let watch = Self {
            listener,
            document: page_document(),
        };
        watch.each(|target, name, listener| {
            // Node's global object takes no listeners.
            let _ = target.add_event_listener(name, listener);
        });
        watch
    }

    fn each(&self, mut act: impl FnMut(&Watched, &str, &JsValue)) {
        let listener = self.listener.as_ref();
        GLOBAL.with(|global| {
            for name in Self::OF_THE_GLOBAL {
                act(global, name, listener);
            }
        });
        if let Some(document) = &self.document {
            for name in Self::OF_THE_DOCUMENT {
                act(document.unchecked_ref(), name, listener);
            }
        }
    }
}

impl Drop for PageWatch {
    fn drop(&mut self) {
        self.each(|target, name, listener| {
            let _ = target.remove_event_listener(name, listener);
        });
    }
}

fn hint_of(event: &web_sys::Event) -> Option<Hint> {
    match event.type_().as_str() {
        "online" => Some(Hint::Online),
        "offline" => Some(Hint::Offline),
        "resume" => Some(Hint::Resumed),
        "pageshow" => {
            let persisted = event.unchecked_ref::<Place>().persisted();
            persisted.unwrap_or(false).then_some(Hint::Resumed)
        }
        "visibilitychange" => {
            let visible = page_document().and_then(|document| document.visibility_state());
            (visible.as_deref() == Some("visible")).then_some(Hint::Visible)
        }
        _ => None,
    }
}

/// Calls `fire` after so many milliseconds, unless the program has panicked or this is dropped before.
fn timer(millis: u32, fire: Box<dyn FnOnce()>) -> Timeout {
    Timeout::new(millis, || {
        if !is_abandoned() {
            fire();
        }
    })
}

/// One socket of the browser, with the closures that listen to it.
struct BrowserSocket {
    socket: WebSocket,
    _listeners: Listeners,
    /// Runs from an `error` of a closed socket to its `close`, which may never come.
    close_timer: Rc<Cell<Option<Timeout>>>,
}

/// Kept as long as the socket may call them.
type Listeners = (
    Closure<dyn Fn()>,
    Closure<dyn Fn(MessageEvent)>,
    Closure<dyn Fn()>,
    Closure<dyn Fn(CloseEvent)>,
);

impl BrowserSocket {
    fn listen(socket: WebSocket, listener: Rc<dyn Fn(SocketEvent<Message>)>, max: u32) -> Self {
        let tell = Rc::clone(&listener);
        let on_open = Closure::new(move || tell(SocketEvent::Opened));
        write(&socket, "onopen", on_open.as_ref());

        let tell = Rc::clone(&listener);
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Some(event) = received(&event, max) {
                tell(event);
            }
        });
        write(&socket, "onmessage", on_message.as_ref());

        let tell = Rc::clone(&listener);
        let close_timer = Rc::new(Cell::new(None));
        let (closed, slot) = (socket.clone(), Rc::clone(&close_timer));
        let on_error = Closure::new(move || {
            // Armed first, since who is told may let go of the socket.
            if read(&closed, "readyState").as_f64() == Some(WebSocket::CLOSED.into()) {
                let tell = Rc::clone(&tell);
                let fire = move || tell(SocketEvent::Closed(CloseFrame::abnormal()));
                let armed = slot.take();
                slot.set(armed.or_else(|| Some(timer(CLOSE_AFTER_ERROR_MS, Box::new(fire)))));
            }
            tell(SocketEvent::Error);
        });
        write(&socket, "onerror", on_error.as_ref());

        let on_close = Closure::new(move |event: CloseEvent| {
            let clean = read(&event, "wasClean").is_truthy();
            // Deno gives 0 where no close frame came, which is no code. A server can send one of 0.
            let code = read(&event, "code").as_f64();
            let code = code.filter(|code| *code > 0.0 || clean);
            listener(SocketEvent::Closed(CloseFrame {
                code: code.map_or(ABNORMAL, |code| code as u16),
                reason: read(&event, "reason").as_string().unwrap_or_default(),
                clean,
            }));
        });
        write(&socket, "onclose", on_close.as_ref());

        SOCKETS.with_borrow_mut(|sockets| sockets.push(socket.clone()));
        Self {
            socket,
            _listeners: (on_open, on_message, on_error, on_close),
            close_timer,
        }
    }

    fn silence(&self) {
        drop(self.close_timer.take());
        silence(&self.socket);
    }
}

impl Drop for BrowserSocket {
    /// Before the closures go.
    fn drop(&mut self) {
        self.silence();
        SOCKETS.with_borrow_mut(|sockets| sockets.retain(|socket| *socket != self.socket));
    }
}

fn silence(socket: &WebSocket) {
    for handler in ["onopen", "onmessage", "onclose"] {
        write(socket, handler, &JsValue::NULL);
    }
    // Node's `ws` tells an error when it is closed while it connects, and an error there that nobody listens to
    // ends the process.
    NOTHING.with(|nothing| write(socket, "onerror", nothing));
}

/// The code of a socket that closed without saying how.
const ABNORMAL: u16 = 1006;

/// Milliseconds after an `error` in which a socket that is closed may still say how it ended. By the standard
/// its `close` follows in the same task, in Safari in one of the next; but Chromium leaves it out where the
/// policy of the page forbids the server. A task comes late in a busy page, hence so long; it is what one wait
/// between two attempts takes at least. The same number stands in JavaScript, in `client-wasm/js/ring.js`.
const CLOSE_AFTER_ERROR_MS: u32 = 1_000;

thread_local! {
    /// Every socket that is listened to.
    static SOCKETS: RefCell<Vec<WebSocket>> = const { RefCell::new(Vec::new()) };

    /// The program has panicked: what its sockets, timers and tasks would touch may be half done.
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the program has panicked.
pub(crate) fn is_abandoned() -> bool {
    ABANDONED.get()
}

/// A task that stops where it is when the program has panicked.
struct UntilAbandoned(LocalFuture<()>);

impl Future for UntilAbandoned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if is_abandoned() {
            return Poll::Pending;
        }
        self.0.as_mut().poll(task)
    }
}

/// Stops listening to every socket of this thread and closes it, for good: nothing calls back afterwards,
/// no timer of a connection goes off, and no socket is made any more.
pub fn abandon_all() {
    ABANDONED.set(true);
    // A panic while the list is borrowed leaves it as it is: better some sockets open than a second panic.
    let sockets = SOCKETS.with(|sockets| {
        sockets
            .try_borrow_mut()
            .map(|mut list| core::mem::take(&mut *list))
    });
    for socket in sockets.unwrap_or_default() {
        silence(&socket);
        let _ = socket.close();
    }
}

/// Makes a panic close every socket for good, and then do what it did before.
///
/// On stable Rust a panic aborts the WebAssembly instance, but the browser keeps its sockets open and calls
/// into the instance that is no more. Call this once at the start of a program, after other panic hooks were
/// installed.
///
/// What the program still calls afterwards finds every [`Socket`](crate::Socket) closed: sending gives
/// [`SendError::Closed`](crate::SendError::Closed), asking or commanding a handle gives
/// [`Gone`](crate::Gone), the streams of messages and events have ended, and a new socket cannot be made
/// ([`ConnectError::Panicked`](crate::ConnectError::Panicked)). Nobody who waits is woken, and what was
/// queued is lost.
///
/// ```no_run
/// steady_socket::close_sockets_on_panic();
/// ```
pub fn close_sockets_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        abandon_all();
        before(panic);
    }));
}

impl RawSocket<Message> for BrowserSocket {
    fn send(&self, payload: &Message) -> Result<(), Refused> {
        send(&self.socket, payload).map_err(|thrown| refused(&thrown))
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        // Throws for arguments that were checked before; there is nobody to tell.
        let _ = match code {
            // A reason without a code goes with 1000, which a code left out means for a script.
            None if reason.is_empty() => self.socket.close(),
            code => self
                .socket
                .close_with_code_and_reason(code.unwrap_or(1000), reason),
        };
    }

    fn detach(&self) {
        self.silence();
    }

    fn buffered_amount(&self) -> u64 {
        read(&self.socket, "bufferedAmount")
            .as_f64()
            .unwrap_or_default() as u64
    }

    fn protocol(&self) -> String {
        read(&self.socket, "protocol")
            .as_string()
            .unwrap_or_default()
    }

    fn extensions(&self) -> String {
        read(&self.socket, "extensions")
            .as_string()
            .unwrap_or_default()
    }

    fn set_binary_type(&self, binary_type: BinaryType) {
        let name = match binary_type {
            BinaryType::ArrayBuffer => "arraybuffer",
            BinaryType::Blob => "blob",
        };
        write(&self.socket, "binaryType", &JsValue::from_str(name));
    }
}
