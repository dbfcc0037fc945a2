//! The browser ring: the only code that touches web-sys. One socket, one timer, clocks, chance, URLs.
//!
//! Works in a window, a worker and Node: it looks for `performance`, `document` and `location` when it
//! needs them, and assumes no `window`. It compiles natively, so that the lints and the documentation
//! see it, and panics when it is called there.

mod text;

use core::any::Any;
use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::{Rc, Weak};

use js_sys::{Array, ArrayBuffer, Function, JsString, Reflect, Uint8Array};
use steady_socket_protocol::Message;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, WebSocket};

use crate::connection::{CloseFrame, Hint, Time};
use crate::platform::{
    BinaryType, LocalFuture, Platform, RawSocket, Refused, Runtime, SocketEvent, SocketListener,
    SocketSettings, Target,
};

fn send(socket: &WebSocket, message: &Message) -> Result<(), JsValue> {
    match message {
        Message::Text(text) => socket.send_with_str(text),
        // Copied out first: a socket that is not the browser's own may keep what it is given, which as a view of this
        // memory would have other bytes by then; and a browser refuses one of memory that threads share.
        Message::Binary(bytes) => socket.send_with_js_u8_array(&Uint8Array::from(bytes.as_slice())),
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

    /// Looked up at every call, so that a test's clock that is put in its place later is read.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

// What is not done for every message goes by way of `read`, `write`, `call` and `make`, and all listeners are
// of one type: every function that a module imports, and every type of a closure, costs more than the name of
// a field.

/// A function that JavaScript calls.
type Listener = Closure<dyn Fn(JsValue)>;

/// A field of a socket, an event or an exception that need not be the browser's own: `undefined` where it
/// has no such field, or throws, or is no object. An exception that passed through Rust would leave it half
/// done.
pub(crate) fn read(object: &JsValue, field: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(field)).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a field of such an object, if it lets itself be set.
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

/// Makes an object by its constructor. A second argument that is `undefined` is left out.
fn make(constructor: &JsValue, first: &str, second: &JsValue) -> Result<JsValue, JsValue> {
    let arguments = Array::new();
    arguments.push(&JsValue::from_str(first));
    if !second.is_undefined() {
        arguments.push(second);
    }
    Reflect::construct(constructor.unchecked_ref::<Function>(), &arguments)
}

/// What the global object, that of a window or a worker, has by this name; `undefined` if nothing.
#[inline(never)]
fn global(name: &str) -> JsValue {
    read(&js_sys::global(), name)
}

/// The browser, or a runtime with the same interfaces.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Given in place of the global one.
    constructor: Option<Function>,
    /// There is a clock that never goes back.
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
            ..Self::default()
        }
    }

    fn make_socket(&self, target: &Target) -> Result<WebSocket, JsValue> {
        let constructor = match &self.constructor {
            Some(constructor) => constructor.into(),
            None => global("WebSocket"),
        };
        // Left out when there are none, as a program that offers none does.
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

/// What the browser threw, as a refusal: the name of the exception, since its message quotes the URL.
fn refused(thrown: &JsValue) -> Refused {
    let name = read(thrown, "name").as_string();
    name.map_or_else(|| Refused::because("an exception without a name"), Refused)
}

impl Platform<Message> for Browser {
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

    fn watch(&self, tell: Box<dyn Fn(Hint)>) -> Box<dyn Any> {
        Box::new(PageWatch::start(tell))
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
        let task = Cell::new(Some(task));
        let itself = Rc::new(Cell::new(None));
        let slot = Rc::clone(&itself);
        let listener = Listener::new(move |_| {
            // Kept until here, and freed when this has returned.
            let listener: Option<Listener> = slot.take();
            if let Some(task) = task.take().filter(|_| !is_abandoned()) {
                task();
            }
            drop(listener);
        });
        let run = listener.as_ref().clone();
        itself.set(Some(listener));
        after_events(&run);
        true
    }

    fn connect(
        &self,
        target: &Target,
        settings: SocketSettings,
        listener: SocketListener<Message>,
    ) -> Result<Rc<dyn RawSocket<Message>>, Refused> {
        if is_abandoned() {
            return Err(Refused::because("the program has panicked"));
        }
        let socket = self
            .make_socket(target)
            .map_err(|thrown| refused(&thrown))?;
        let max = settings.max_message_bytes.unwrap_or(u32::MAX);
        let socket = BrowserSocket::listen(socket, listener, max);
        socket.set_binary_type(settings.binary_type);
        Ok(socket)
    }
}

impl Runtime for Browser {
    fn spawn(&self, task: LocalFuture<()>) {
        wasm_bindgen_futures::spawn_local(UntilAbandoned(task));
    }

    /// What has no scheme of its own has it from the page that made it: a worker made from a blob has it in its
    /// origin, and a frame with `srcdoc` in its base URL, too, where a sandbox takes its origin away. Where both are
    /// lost, it is said to be a secure context if the page was; so is one of this machine, whose own connections to
    /// this machine are allowed in any case. The same rule stands in JavaScript, in `client-wasm/js/convert.js`.
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

    /// As the WebSockets standard parses the URL of a constructor: relative to the page or the worker,
    /// `http:` as `ws:` and `https:` as `wss:`, and no fragment.
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
        // One byte after the other: the fast search for one is many times the code.
        if href.bytes().any(|byte| byte == b'#') {
            return Err(Refused::because(
                "the URL has a fragment (#…); a WebSocket URL takes none",
            ));
        }
        Ok(href)
    }
}

/// The text of a field; empty where there is none.
fn text(object: &JsValue, field: &str) -> String {
    read(object, field).as_string().unwrap_or_default()
}

/// The origin of the page or the worker, not that of its URL: that of a worker made from a blob is the page's, and
/// one in a sandbox has none, `null`.
pub(crate) fn page_origin() -> Option<String> {
    global("origin").as_string()
}

/// What a relative URL is relative to: the document, or the worker's script. A worker made from a blob
/// has no path; its origin serves. `undefined` where there is neither.
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

/// A timer of the browser. Dropping it calls it off.
struct Timeout {
    id: JsValue,
    /// Kept as long as the browser may call it.
    _listener: Listener,
}

impl Timeout {
    fn start(millis: u64, fire: Box<dyn FnOnce()>) -> Self {
        let fire = Cell::new(Some(fire));
        let listener = Listener::new(move |_| {
            if let Some(fire) = fire.take().filter(|_| !is_abandoned()) {
                fire();
            }
        });
        // The longest that `setTimeout` can wait; the core asks again when it goes off too early.
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

/// Calls a function in a task behind the socket events that wait, as `turn` in `client-wasm/js/ring.js` does, which
/// says why so.
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

/// Listens to what the browser says of the network and of the page, as far as there is a page: a worker
/// hears only of the network. Stops when it is dropped.
struct PageWatch {
    listener: Listener,
    document: JsValue,
}

impl PageWatch {
    const OF_THE_GLOBAL: [&str; 3] = ["online", "offline", "pageshow"];
    const OF_THE_DOCUMENT: [&str; 2] = ["visibilitychange", "resume"];

    fn start(tell: Box<dyn Fn(Hint)>) -> Self {
        let watch = Self {
            listener: Listener::new(move |event| {
                if let Some(hint) = hint_of(&event).filter(|_| !is_abandoned()) {
                    tell(hint);
                }
            }),
            document: global("document"),
        };
        watch.each("addEventListener");
        watch
    }

    /// Calls a method of the global object and of the document for each of their events. Node's global object
    /// takes no listeners, and a worker has no document.
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

fn hint_of(event: &JsValue) -> Option<Hint> {
    match text(event, "type").as_str() {
        "online" => Some(Hint::Online),
        "offline" => Some(Hint::Offline),
        "resume" => Some(Hint::Resumed),
        // The page comes back from the back/forward cache.
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

/// One socket of the browser, with what listens to it.
struct BrowserSocket {
    socket: WebSocket,
    /// Kept as long as the socket may call them.
    _listeners: [Listener; 4],
    /// Runs from an `error` of a closed socket to its `close`, which may never come.
    close_timer: Rc<Cell<Option<Timeout>>>,
}

impl BrowserSocket {
    fn listen(socket: WebSocket, listener: SocketListener<Message>, max: u32) -> Rc<Self> {
        let tell = Rc::clone(&listener);
        let on_open = Listener::new(move |_| tell(SocketEvent::Opened));
        write(&socket, "onopen", on_open.as_ref());

        let tell = Rc::clone(&listener);
        let on_message = Listener::new(move |event: JsValue| {
            if let Some(event) = received(event.unchecked_ref(), max) {
                tell(event);
            }
        });
        write(&socket, "onmessage", on_message.as_ref());

        let tell = Rc::clone(&listener);
        let close_timer = Rc::new(Cell::new(None));
        let (closed, slot) = (socket.clone(), Rc::clone(&close_timer));
        let on_error = Listener::new(move |event| {
            // Armed first, since who is told may let go of the socket.
            let wait = match read(&closed, "readyState").as_f64() {
                Some(0.0) => Some(0),
                Some(3.0) => Some(CLOSE_AFTER_ERROR_MS),
                _ => None,
            };
            if let Some(wait) = wait {
                let (tell, ended) = (Rc::clone(&tell), closed.clone());
                let fire = move || {
                    // Closed, should it go on after all: it must not live beside the next one.
                    silence(&ended);
                    let _ = call(&ended, "close", &JsValue::UNDEFINED, &JsValue::UNDEFINED);
                    tell(SocketEvent::Closed(CloseFrame::abnormal()));
                };
                let armed = slot.take();
                let start = || Timeout::start(wait, Box::new(fire));
                slot.set(armed.or_else(|| Some(start())));
            }
            // Browsers say nothing; `ws` and the runtimes outside of browsers do.
            let message = text(&event, "message");
            tell(SocketEvent::Error((!message.is_empty()).then_some(message)));
        });
        write(&socket, "onerror", on_error.as_ref());

        let on_close = Listener::new(move |event| {
            let clean = read(&event, "wasClean").is_truthy();
            // Deno gives 0 where no close frame came, which is no code. A server can send one of 0.
            let code = read(&event, "code").as_f64();
            let code = code.filter(|code| *code > 0.0 || clean);
            listener(SocketEvent::Closed(CloseFrame {
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
    // Node's `ws` tells an error when it is closed while it connects, and an error there that nobody listens to
    // ends the process. The prototype of functions is one that does nothing.
    let nothing = read(&global("Function"), "prototype");
    write(socket, "onerror", &nothing);
}

impl Drop for BrowserSocket {
    /// Before the closures go.
    fn drop(&mut self) {
        self.silence();
        // This one can be upgraded no more.
        change_sockets(|sockets| sockets.retain(|socket| socket.strong_count() > 0));
    }
}

/// The code of a socket that closed without saying how.
const ABNORMAL: u16 = 1006;

/// Milliseconds after an `error` in which a socket that is closed may still say how it ended. By the standard
/// its `close` follows in the same task, in Safari in one of the next; but Chromium leaves it out where the
/// policy of the page forbids the server. A task comes late in a busy page, hence so long. The same number stands in
/// JavaScript, in `client-wasm/js/ring.js`.
///
/// A socket that still connects is not waited for beyond the task: by the standard it is closed before it tells an
/// error, and that of Node 22 tells nothing more (nodejs/undici#3546). No close could say more than that it failed.
const CLOSE_AFTER_ERROR_MS: u64 = 1_000;

thread_local! {
    /// Every socket that is listened to.
    static SOCKETS: Cell<Vec<Weak<BrowserSocket>>> = const { Cell::new(Vec::new()) };

    /// The program has panicked: what its sockets, timers and tasks would touch may be half done.
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
    // After a panic while the list was being changed there is none: better some sockets open than a second
    // panic.
    for socket in SOCKETS.take().iter().filter_map(Weak::upgrade) {
        socket.silence();
        socket.close(None, "");
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
        let (code, reason) = match code {
            None if reason.is_empty() => (JsValue::UNDEFINED, JsValue::UNDEFINED),
            // A reason without a code goes with 1000, which a code left out means for a script.
            code => (code.unwrap_or(1000).into(), JsValue::from_str(reason)),
        };
        // Throws for arguments that were checked before; there is nobody to tell.
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
