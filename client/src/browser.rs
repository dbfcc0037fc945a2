//! The browser platform: the only code that uses web-sys. Sockets, timers, clocks, randomness, URLs.
//!
//! Works in a window, a worker and Node: it looks up `performance`, `document` and `location` when it needs them, and
//! assumes no `window`. It compiles natively, so that the lints and the documentation cover it, and panics if called
//! there.
//!
//! The npm package has the same platform in JavaScript (`client-wasm/js/platform.js`), and a change of browser behaviour
//! is made in both. In its module this one would take 15 KB; here, programs have web-sys and promises anyway.

mod text;

use core::any::Any;
use core::cell::Cell;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::{Rc, Weak};

use js_sys::{Array, ArrayBuffer, Function, JsString, Reflect, Uint8Array};
use steady_socket_protocol::Message;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, WebSocket};

use crate::connection::{CloseFrame, Hint, Time};
use crate::limits::{ABNORMAL, CLOSE_AFTER_ERROR_MS};
use crate::platform::{
    FaceSocket, LocalFuture, Platform, RawSocket, Refused, Runtime, SocketEvent, SocketListener,
    Target,
};

fn send(socket: &WebSocket, message: &Message) -> Result<(), JsValue> {
    match message {
        Message::Text(text) => socket.send_with_str(text),
        // Copied out first: a socket that is not the browser's own may keep what it is given, and a view of this
        // memory would have other bytes by then; and browsers refuse a view of memory that threads share.
        Message::Binary(bytes) => socket.send_with_js_u8_array(&Uint8Array::from(bytes.as_slice())),
    }
}

/// The content of a `message` event, unless it carries no message.
fn received(event: &MessageEvent, max: u32) -> Option<Content> {
    let data = data_of(event)?;
    let text = data.dyn_ref::<JsString>();
    // Before anything of it is copied. Text is measured in UTF-16 code units, since counting its bytes would mean
    // reading all of it.
    let size = text.map_or_else(|| size_of(&data), JsString::length);
    if size > max {
        return Some(Content::TooBig);
    }
    let payload = match text {
        Some(text) => Message::Text(text::read(text, size)),
        None => Message::Binary(Uint8Array::new(data.dyn_ref::<ArrayBuffer>()?).to_vec()),
    };
    let bytes = size as usize;
    Some(Content::Message { payload, bytes })
}

/// The content of a `message` event.
enum Content {
    Message {
        payload: Message,
        bytes: usize,
    },
    /// More than the limit. None of it was copied.
    TooBig,
}

/// The data of an event.
fn data_of(event: &MessageEvent) -> Option<JsValue> {
    // A browser's own event does not throw, and preparing for that takes longer than checking.
    if event.is_instance_of::<MessageEvent>() {
        return Some(event.data());
    }
    event.unchecked_ref::<Carrier>().data().ok()
}

/// The size of non-text data, in bytes.
fn size_of(data: &JsValue) -> u32 {
    let data = data.unchecked_ref::<Measured>();
    let length = data.byte_length().ok().flatten();
    length.or_else(|| data.size().ok()?).unwrap_or(0)
}

#[wasm_bindgen]
extern "C" {
    /// An `ArrayBuffer` or a `Blob`, or anything that a socket other than the browser's delivers.
    #[wasm_bindgen(js_name = Object)]
    type Measured;

    #[wasm_bindgen(method, getter, catch, js_name = byteLength)]
    fn byte_length(this: &Measured) -> Result<Option<u32>, JsValue>;

    #[wasm_bindgen(method, getter, catch)]
    fn size(this: &Measured) -> Result<Option<u32>, JsValue>;

    /// Reads a field of a `message` event without converting its name to a string every time, as [`read`] does.
    #[wasm_bindgen(js_name = Object)]
    type Carrier;

    #[wasm_bindgen(method, getter, catch)]
    fn data(this: &Carrier) -> Result<JsValue, JsValue>;

    /// Looked up on every call, so that a clock that a test installs later is read.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

// Everything that is not done for every message goes through `read`, `write`, `call` and `make`, and all listeners
// have one type: every imported function and every closure type costs more bytes than the name of a field.

/// A function that JavaScript calls.
type Listener = Closure<dyn Fn(JsValue)>;

/// Runs a function when it is called for the first time, unless the program has panicked by then.
fn once(task: Box<dyn FnOnce()>) -> Listener {
    let task = Cell::new(Some(task));
    Listener::new(move |_| {
        if let Some(task) = task.take().filter(|_| !is_abandoned()) {
            task();
        }
    })
}

/// A field of a socket, an event or an exception that need not be the browser's own: `undefined` if the field is
/// missing or throws, or if this is not an object. An exception passing through Rust would leave it in a half-done
/// state.
pub(crate) fn read(object: &JsValue, field: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(field)).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a field of such an object, if that is possible.
pub(crate) fn write(object: &JsValue, field: &str, value: &JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(field), value);
}

/// Calls a method of such an object.
pub(crate) fn call(
    object: &JsValue,
    method: &str,
    first: &JsValue,
    second: &JsValue,
) -> Result<JsValue, JsValue> {
    let method = read(object, method);
    method
        .unchecked_ref::<Function>()
        .call2(object, first, second)
}

/// Constructs an object. A second argument of `undefined` is omitted.
fn make(constructor: &JsValue, first: &str, second: &JsValue) -> Result<JsValue, JsValue> {
    let arguments = Array::new();
    arguments.push(&JsValue::from_str(first));
    if !second.is_undefined() {
        arguments.push(second);
    }
    Reflect::construct(constructor.unchecked_ref::<Function>(), &arguments)
}

/// The property of the global object of a window or a worker; `undefined` if missing.
#[inline(never)]
fn global(name: &str) -> JsValue {
    read(&js_sys::global(), name)
}

/// The browser, or a runtime with the same interfaces.
#[derive(Clone, Debug)]
pub struct Browser {
    /// The constructor to use instead of the global one.
    constructor: Option<Function>,
    /// Whether there is a monotonic clock.
    has_performance: bool,
}

impl Default for Browser {
    fn default() -> Self {
        Self {
            constructor: None,
            has_performance: !global("performance").is_undefined(),
        }
    }
}

impl Browser {
    /// The browser with its own `WebSocket`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With another `WebSocket` constructor than the global one: a package's where there is none, or a test's.
    #[must_use]
    pub fn with_constructor(constructor: Function) -> Self {
        Self {
            constructor: Some(constructor),
            ..Self::default()
        }
    }

    fn make_socket(&self, target: &Target) -> Result<WebSocket, JsValue> {
        let constructor = match &self.constructor {
            Some(constructor) => constructor.into(),
            None => global("WebSocket"),
        };
        // Omitted if there are none, as a program that offers none does.
        let mut protocols = JsValue::UNDEFINED;
        if !target.protocols.is_empty() {
            let offers = Array::new();
            for protocol in &target.protocols {
                offers.push(&JsValue::from_str(protocol));
            }
            protocols = offers.into();
        }
        make(&constructor, &target.url, &protocols).map(JsCast::unchecked_into)
    }
}

/// Turns an exception of the browser into a refusal: only its name, since its message quotes the URL.
fn refused(thrown: &JsValue) -> Refused {
    let name = read(thrown, "name").as_string();
    name.map_or_else(|| Refused::because("an exception without a name"), Refused)
}

impl Platform<Message> for Browser {
    type Target = Target;
    type Socket = FaceSocket;
    type Watch = Box<dyn Any>;
    type Timer = Box<dyn Any>;

    fn now(&self) -> Time {
        let millis = if self.has_performance {
            performance_now()
        } else {
            js_sys::Date::now()
        };
        Time::from_millis(millis as u64)
    }

    fn wall_clock(&self) -> u64 {
        js_sys::Date::now() as u64
    }

    fn watch(&self, report: Rc<dyn Fn(Hint)>) -> Box<dyn Any> {
        Box::new(PageWatch::start(report))
    }

    fn text_marked(&self, payload: &Message, mark: char) -> Option<String> {
        match payload {
            Message::Text(text) => text.starts_with(mark).then(|| text.clone()),
            Message::Binary(_) => None,
        }
    }

    fn without_mark(&self, mut payload: Message) -> Message {
        if let Message::Text(text) = &mut payload {
            text.remove(0);
        }
        payload
    }

    fn message(&self, text: &str) -> Message {
        text.into()
    }

    fn chance(&self) -> f64 {
        js_sys::Math::random()
    }

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        Box::new(Timeout::start(millis, fire))
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        Runtime::spawn(self, Box::pin(async move { task() }));
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        let slot = Rc::new(Cell::new(None));
        let kept = Rc::clone(&slot);
        let listener = once(Box::new(move || {
            // Freed by JavaScript when this call has returned.
            drop::<Option<Listener>>(kept.take());
            task();
        }));
        let run = listener.as_ref().clone();
        slot.set(Some(listener));
        after_events(&run);
        true
    }

    fn connect(
        &self,
        target: &Target,
        max_message_bytes: Option<u32>,
        listener: Rc<dyn SocketListener<Message>>,
    ) -> Result<Rc<FaceSocket>, Refused> {
        if is_abandoned() {
            return Err(Refused::because("the program has panicked"));
        }
        let socket = self
            .make_socket(target)
            .map_err(|thrown| refused(&thrown))?;
        write(&socket, "binaryType", &JsValue::from_str("arraybuffer"));
        let max = max_message_bytes.unwrap_or(u32::MAX);
        Ok(BrowserSocket::listen(socket, listener, max))
    }
}

impl Runtime for Browser {
    fn spawn(&self, task: LocalFuture<()>) {
        wasm_bindgen_futures::spawn_local(UntilAbandoned(task));
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        let bytes = Uint8Array::new_with_length(16);
        let crypto = global("crypto");
        call(&crypto, "getRandomValues", &bytes, &JsValue::UNDEFINED).ok()?;
        let mut random = [0; 16];
        bytes.copy_to(&mut random);
        Some(random)
    }

    #[cfg(feature = "session")]
    fn watch_hiding(&self, hiding: Rc<dyn Fn()>) -> Box<dyn Any> {
        Box::new(HidingWatch::start(hiding))
    }

    /// A document without a scheme of its own inherits it from the page that made it: a worker made from a blob has
    /// it in its origin, and a frame with `srcdoc` also in its base URL if a sandbox removes its origin. If both are
    /// missing, the document is a secure context if the page was; so is one of this machine, whose connections to
    /// this machine are allowed in any case. `client-wasm/js/convert.js` has the same rule in JavaScript.
    fn page_is_secure(&self) -> bool {
        let address = text(&global("location"), "href");
        let base = text(&global("document"), "baseURI");
        let origin = page_origin().unwrap_or_default();
        let begins =
            |text: &str, schemes: [&str; 3]| schemes.iter().any(|scheme| text.starts_with(scheme));
        let known = [&address, &origin, &base];
        match known
            .iter()
            .find(|url| begins(url, ["http:", "https:", "file:"]))
        {
            Some(known) => known.starts_with("https:"),
            None => {
                begins(&address, ["about:", "blob:", "data:"])
                    && global("isSecureContext").is_truthy()
            }
        }
    }

    /// Parses the URL of a constructor per the WebSockets standard: relative to the page or the worker, `http:` as
    /// `ws:` and `https:` as `wss:`, and no fragment.
    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        let parsed = parse(url).map_err(|_| {
            Refused::because(
                "the URL cannot be parsed; it takes an absolute ws:, wss:, http: or https: URL, \
                 or one relative to the page",
            )
        })?;
        let scheme = text(&parsed, "protocol");
        let secure = match scheme.as_str() {
            "ws:" | "wss:" => None,
            "http:" => Some("ws:"),
            "https:" => Some("wss:"),
            scheme => {
                let mut refused = Refused::because("the URL's scheme is ");
                refused.0.push_str(scheme);
                refused.0.push_str("; it takes ws:, wss:, http: or https:");
                return Err(refused);
            }
        };
        if let Some(scheme) = secure {
            write(&parsed, "protocol", &JsValue::from_str(scheme));
        }
        let href = text(&parsed, "href");
        // Byte by byte: the fast search for one compiles to many times the code.
        if href.bytes().any(|byte| byte == b'#') {
            return Err(Refused::because(
                "the URL has a fragment (#…); a WebSocket URL takes none",
            ));
        }
        Ok(href)
    }
}

/// The text of a field; empty if missing.
fn text(object: &JsValue, field: &str) -> String {
    read(object, field).as_string().unwrap_or_default()
}

/// The origin of the page or the worker, not that of its URL: a worker made from a blob has the page's, and a
/// sandboxed one has none, `null`.
pub(crate) fn page_origin() -> Option<String> {
    global("origin").as_string()
}

/// The base of relative URLs: the document, or the worker's script. A worker made from a blob has no path; its origin
/// serves. `undefined` if there is neither.
#[inline(never)]
fn base_url() -> JsValue {
    let base = read(&global("document"), "baseURI");
    if !base.is_undefined() {
        return base;
    }
    let location = global("location");
    let href = read(&location, "href");
    match href.as_string() {
        Some(text) if text.starts_with("blob:") => read(&location, "origin"),
        _ => href,
    }
}

/// A `URL`, relative to the page or the worker.
///
/// # Errors
/// What the constructor throws.
pub(crate) fn parse(url: &str) -> Result<JsValue, JsValue> {
    make(&global("URL"), url, &base_url())
}

/// A timer of the browser. Dropping it cancels it.
struct Timeout {
    id: JsValue,
    /// Kept as long as the browser may call it.
    _listener: Listener,
}

impl Timeout {
    fn start(millis: u64, fire: Box<dyn FnOnce()>) -> Self {
        let listener = once(fire);
        // The longest that `setTimeout` can wait; the core asks again if it fires too early.
        let millis = f64::from(millis.min(i32::MAX as u64) as u32);
        let id = call(
            &js_sys::global(),
            "setTimeout",
            listener.as_ref(),
            &millis.into(),
        );
        Self {
            id: id.unwrap_or(JsValue::UNDEFINED),
            _listener: listener,
        }
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        let _ = call(
            &js_sys::global(),
            "clearTimeout",
            &self.id,
            &JsValue::UNDEFINED,
        );
    }
}

/// Calls a function in a task behind the waiting socket events, like `turn` in `client-wasm/js/platform.js`, which
/// explains why this way.
fn after_events(run: &JsValue) {
    if call(&js_sys::global(), "setImmediate", run, &JsValue::UNDEFINED).is_ok() {
        return;
    }
    let channel = make(&global("MessageChannel"), "", &JsValue::UNDEFINED).unwrap_or_default();
    let to = read(&channel, "port1");
    write(&to, "onmessage", run);
    if call(
        &read(&channel, "port2"),
        "postMessage",
        &JsValue::NULL,
        &JsValue::UNDEFINED,
    )
    .is_err()
    {
        let _ = call(&js_sys::global(), "setTimeout", run, &JsValue::UNDEFINED);
    }
}

/// Listens to what the browser reports about the network and, if there is one, the page: a worker hears only of the
/// network. Stops when dropped.
struct PageWatch {
    listener: Listener,
    document: JsValue,
}

impl PageWatch {
    const OF_THE_GLOBAL: [&str; 3] = ["online", "offline", "pageshow"];
    const OF_THE_DOCUMENT: [&str; 2] = ["visibilitychange", "resume"];

    fn start(report: Rc<dyn Fn(Hint)>) -> Self {
        let watch = Self {
            listener: Listener::new(move |event| {
                if let Some(hint) = hint_of(&event).filter(|_| !is_abandoned()) {
                    report(hint);
                }
            }),
            document: global("document"),
        };
        watch.each("addEventListener");
        watch
    }

    /// Calls a method of the global object and of the document for each of their events. Node's global object accepts
    /// no listeners, and a worker has no document.
    fn each(&self, method: &str) {
        let act = |target: &JsValue, names: &[&str]| {
            for name in names {
                let name = JsValue::from_str(name);
                let _ = call(target, method, &name, self.listener.as_ref());
            }
        };
        act(&js_sys::global(), &Self::OF_THE_GLOBAL);
        act(&self.document, &Self::OF_THE_DOCUMENT);
    }
}

impl Drop for PageWatch {
    fn drop(&mut self) {
        self.each("removeEventListener");
    }
}

/// Listens to what comes before a page runs no more, like `watchHiding` in `client-wasm/js/session.js`. Stops when dropped.
#[cfg(feature = "session")]
struct HidingWatch(Listener);

#[cfg(feature = "session")]
impl HidingWatch {
    fn start(hiding: Rc<dyn Fn()>) -> Self {
        let watch = Self(Listener::new(move |event| {
            let shows = text(&event, "type") == "visibilitychange"
                && text(&global("document"), "visibilityState") != "hidden";
            if !shows && !is_abandoned() {
                hiding();
            }
        }));
        watch.each("addEventListener");
        watch
    }

    fn each(&self, method: &str) {
        let document = global("document");
        let targets = [
            (&*js_sys::global(), "pagehide"),
            (&document, "visibilitychange"),
            (&document, "freeze"),
        ];
        for (target, name) in targets {
            let _ = call(target, method, &JsValue::from_str(name), self.0.as_ref());
        }
    }
}

#[cfg(feature = "session")]
impl Drop for HidingWatch {
    fn drop(&mut self) {
        self.each("removeEventListener");
    }
}

fn hint_of(event: &JsValue) -> Option<Hint> {
    match text(event, "type").as_str() {
        "online" => Some(Hint::Online),
        "offline" => Some(Hint::Offline),
        "resume" => Some(Hint::Resumed),
        // The page returns from the back/forward cache.
        "pageshow" => read(event, "persisted")
            .is_truthy()
            .then_some(Hint::Resumed),
        "visibilitychange" => {
            let state = text(&global("document"), "visibilityState");
            (state == "visible").then_some(Hint::Visible)
        }
        _ => None,
    }
}

/// A browser socket with its listeners.
pub struct BrowserSocket {
    socket: WebSocket,
    /// Kept as long as the socket may call them.
    _listeners: [Listener; 4],
    /// Runs from an `error` of a closed socket until its `close`, which may never come.
    close_timer: Rc<Cell<Option<Timeout>>>,
}

impl fmt::Debug for BrowserSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserSocket").finish_non_exhaustive()
    }
}

impl BrowserSocket {
    fn listen(socket: WebSocket, listener: Rc<dyn SocketListener<Message>>, max: u32) -> Rc<Self> {
        let report = Rc::clone(&listener);
        let on_open = Listener::new(move |_| report.event(SocketEvent::Opened));
        write(&socket, "onopen", on_open.as_ref());

        let report = Rc::clone(&listener);
        let on_message =
            Listener::new(
                move |event: JsValue| match received(event.unchecked_ref(), max) {
                    Some(Content::Message { payload, bytes }) => report.message(payload, bytes),
                    Some(Content::TooBig) => report.event(SocketEvent::TooBig),
                    None => {}
                },
            );
        write(&socket, "onmessage", on_message.as_ref());

        let report = Rc::clone(&listener);
        let close_timer = Rc::new(Cell::new(None));
        let (closed, slot) = (socket.clone(), Rc::clone(&close_timer));
        let on_error = Listener::new(move |event| {
            // Armed first, since the listener may drop the socket.
            let wait = match read(&closed, "readyState").as_f64() {
                Some(0.0) => Some(0),
                Some(3.0) => Some(CLOSE_AFTER_ERROR_MS),
                _ => None,
            };
            if let Some(wait) = wait {
                let (report, ended) = (Rc::clone(&report), closed.clone());
                let fire = move || {
                    // Closed in case it continues after all: it must not live beside the next one.
                    silence(&ended);
                    let _ = call(&ended, "close", &JsValue::UNDEFINED, &JsValue::UNDEFINED);
                    report.event(SocketEvent::Closed(CloseFrame::abnormal()));
                };
                let armed = slot.take();
                let start = || Timeout::start(wait, Box::new(fire));
                slot.set(armed.or_else(|| Some(start())));
            }
            // Browsers give no details; `ws` and the runtimes outside browsers do.
            let message = text(&event, "message");
            report.event(SocketEvent::Error((!message.is_empty()).then_some(message)));
        });
        write(&socket, "onerror", on_error.as_ref());

        let on_close = Listener::new(move |event| {
            let clean = read(&event, "wasClean").is_truthy();
            // Without a close frame, Deno reports 0, which is no code. But a server can also send 0: then the close is clean.
            let code = read(&event, "code").as_f64();
            let code = code.filter(|code| *code > 0.0 || clean);
            listener.event(SocketEvent::Closed(CloseFrame {
                code: code.map_or(ABNORMAL, |code| code as u16),
                reason: text(&event, "reason"),
                clean,
            }));
        });
        write(&socket, "onclose", on_close.as_ref());

        let socket = Rc::new(Self {
            socket,
            _listeners: [on_open, on_message, on_error, on_close],
            close_timer,
        });
        change_sockets(|sockets| sockets.push(Rc::downgrade(&socket)));
        socket
    }

    fn silence(&self) {
        drop(self.close_timer.take());
        silence(&self.socket);
    }
}

/// Stops listening to a socket.
fn silence(socket: &JsValue) {
    for handler in ["onopen", "onmessage", "onclose"] {
        write(socket, handler, &JsValue::NULL);
    }
    // Node's `ws` emits an error if it is closed while connecting, and an unhandled error there ends the process. The
    // prototype of functions is a function that does nothing.
    let nothing = read(&global("Function"), "prototype");
    write(socket, "onerror", &nothing);
}

impl Drop for BrowserSocket {
    /// Before the closures are dropped.
    fn drop(&mut self) {
        self.silence();
        // This one can no longer be upgraded.
        change_sockets(|sockets| sockets.retain(|socket| socket.strong_count() > 0));
    }
}

thread_local! {
    /// All sockets with listeners.
    static SOCKETS: Cell<Vec<Weak<BrowserSocket>>> = const { Cell::new(Vec::new()) };

    /// The program has panicked: the state of its sockets, timers and tasks may be inconsistent.
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

fn change_sockets(change: impl FnOnce(&mut Vec<Weak<BrowserSocket>>)) {
    let mut sockets = SOCKETS.take();
    change(&mut sockets);
    SOCKETS.set(sockets);
}

/// Whether the program has panicked.
pub(crate) fn is_abandoned() -> bool {
    ABANDONED.get()
}

/// A task that stops where it is if the program has panicked.
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

/// Stops listening to every socket of this thread and closes it, for good: nothing calls back afterwards, no timer of
/// a connection fires, and no more sockets are made.
pub fn abandon_all() {
    ABANDONED.set(true);
    // After a panic during a change of the list, it is unavailable: better some open sockets than a second panic.
    for socket in SOCKETS.take().iter().filter_map(Weak::upgrade) {
        socket.silence();
        socket.close(None, "");
    }
}

/// Installs a panic hook that closes every socket for good and then calls the previous hook.
///
/// On stable Rust, a panic aborts the WebAssembly instance, but the browser keeps its sockets open and calls into the
/// dead instance. Call this once at the start of a program, after installing other panic hooks.
///
/// After a panic, calls find every [`Socket`](crate::Socket) closed: sending returns
/// [`SendError::Closed`](crate::SendError::Closed), querying or commanding a handle returns [`Gone`](crate::Gone),
/// the streams of messages and events have ended, and a new socket cannot be made
/// ([`ConnectError::Panicked`](crate::ConnectError::Panicked)). No waiting task is woken, and the queue is lost.
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
        let (code, reason) = match code {
            None if reason.is_empty() => (JsValue::UNDEFINED, JsValue::UNDEFINED),
            // A reason without a code is sent with 1000, the code that a script sends by omitting it.
            code => (code.unwrap_or(1000).into(), JsValue::from_str(reason)),
        };
        // Throws for arguments that were checked before; there is nobody to report it to.
        let _ = call(&self.socket, "close", &code, &reason);
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
}
