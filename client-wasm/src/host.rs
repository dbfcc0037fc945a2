//! The JavaScript functions that Rust imports.
//!
//! Only numbers and JavaScript values pass, so that wasm-bindgen has nothing to convert and the functions are
//! imported unchanged. Names are numbers, whose texts are in `js/names.js`.

use steady_socket::connection::Loss;
use wasm_bindgen::prelude::*;

// Modules imported by the ones below: naming one of their exports here makes wasm-bindgen copy them.
#[wasm_bindgen(module = "/js/check.js")]
extern "C" {
    #[wasm_bindgen(js_name = toNumbers)]
    fn to_numbers();
}
#[wasm_bindgen(module = "/js/convert.js")]
extern "C" {
    #[wasm_bindgen(js_name = parseUrl)]
    fn parse_url();
}
#[wasm_bindgen(module = "/js/events.js")]
extern "C" {
    fn dispatch();
}
#[wasm_bindgen(module = "/js/failure.js")]
extern "C" {
    #[wasm_bindgen(js_name = checkRoom)]
    fn check_room();
}
#[wasm_bindgen(module = "/js/limits.js")]
extern "C" {
    #[wasm_bindgen(js_name = ABNORMAL)]
    fn abnormal();
}
#[wasm_bindgen(module = "/js/message.js")]
extern "C" {
    #[wasm_bindgen(js_name = Message)]
    fn message();
}
#[wasm_bindgen(module = "/js/names.js")]
extern "C" {
    #[wasm_bindgen(js_name = STATES)]
    fn states();
}
#[wasm_bindgen(module = "/js/options.js")]
extern "C" {
    #[wasm_bindgen(js_name = OPTIONS)]
    fn options();
}
#[wasm_bindgen(module = "/js/probe.js")]
extern "C" {
    #[wasm_bindgen(js_name = Probe)]
    fn probe();
}
#[wasm_bindgen(module = "/js/shared.js")]
extern "C" {
    #[wasm_bindgen(js_name = dispatch)]
    fn shared_dispatch();
}
#[wasm_bindgen(module = "/js/waiting-room.js")]
extern "C" {
    #[wasm_bindgen(js_name = WaitingRoom)]
    fn waiting_room();
}

#[wasm_bindgen(module = "/js/reconnecting-websocket.js")]
extern "C" {
    // These three are only re-exported, for importers of wasm-bindgen's output. The first is a class; it is declared
    // as a function because types cannot be kept out of the generated declarations, which `DECLARATIONS` replaces.
    #[wasm_bindgen(reexport, skip_typescript, js_name = ReconnectingWebSocket)]
    fn reconnecting_websocket();

    #[wasm_bindgen(reexport, skip_typescript)]
    fn load();

    #[wasm_bindgen(reexport, skip_typescript, js_name = setLoader)]
    fn set_loader();

    /// Passes the function that makes a [`Core`](crate::Core) and calls callbacks by number.
    #[wasm_bindgen(js_name = provideCore)]
    pub(crate) fn provide_core(call: JsValue);

    /// Delivers a message.
    pub(crate) fn received(host: &Host, message: JsValue);
}

#[wasm_bindgen]
extern "C" {
    /// Receives the reports and requests of a [`Core`](crate::Core).
    pub(crate) type Host;
}

#[wasm_bindgen(module = "/js/platform.js")]
extern "C" {
    /// Ends every connection because this module has panicked; the module must not be called any more. The message
    /// and the place are for the console.
    #[wasm_bindgen(js_name = panicked)]
    pub(crate) fn panicked(message: &str, file: &str, line: u32);

    /// Milliseconds on a monotonic clock.
    pub(crate) fn now() -> f64;

    /// Milliseconds on the wall clock.
    #[wasm_bindgen(js_name = wallClock)]
    pub(crate) fn wall_clock() -> f64;

    /// A random number in [0, 1).
    pub(crate) fn chance() -> f64;

    /// Calls back after this many milliseconds, unless cancelled.
    #[wasm_bindgen(js_name = setTimer)]
    pub(crate) fn set_timer(id: i32, millis: f64);

    #[wasm_bindgen(js_name = clearTimer)]
    pub(crate) fn clear_timer(id: i32);

    /// Calls back in a microtask.
    pub(crate) fn defer(id: i32);

    /// Calls back in a task behind the waiting socket events. Returns 1, or 0 if it will not, because a test controls
    /// the time.
    pub(crate) fn turn(id: i32) -> i32;

    /// Calls back with a number of [`HINTS`](crate::platform::HINTS) when the page or the network may have changed.
    pub(crate) fn watch(id: i32);

    pub(crate) fn unwatch(id: i32);

    // ----- its sockets, identified by the number of their callback

    /// Makes a socket that connects to the host's target and accepts messages of at most `max` bytes. Returns 1, or 0
    /// if its constructor threw.
    #[wasm_bindgen(js_name = openSocket)]
    pub(crate) fn open_socket(host: &Host, id: i32, max: f64) -> i32;

    /// Returns 1, or 0 if the socket threw.
    #[wasm_bindgen(js_name = sendOn)]
    pub(crate) fn send_on(id: i32, message: &JsValue) -> i32;

    /// A negative code means none.
    #[wasm_bindgen(js_name = closeSocket)]
    pub(crate) fn close_socket(id: i32, code: i32, reason: JsValue);

    /// Stops listening.
    pub(crate) fn silence(id: i32);

    /// Stops listening, and forgets the socket.
    #[wasm_bindgen(js_name = letGoOf)]
    pub(crate) fn let_go_of(id: i32);

    #[wasm_bindgen(js_name = bufferedBy)]
    pub(crate) fn buffered_by(id: i32) -> f64;

    #[wasm_bindgen(js_name = protocolOf)]
    pub(crate) fn protocol_of(id: i32) -> JsValue;

    /// The text of a message, if it begins with the character of this code; `undefined` otherwise.
    #[wasm_bindgen(js_name = markedText)]
    pub(crate) fn marked_text(message: &JsValue, code: u32) -> JsValue;

    /// A text message without its first character.
    #[wasm_bindgen(js_name = withoutMark)]
    pub(crate) fn without_mark(message: &JsValue) -> JsValue;

}

// None of these throws.
#[wasm_bindgen(module = "/js/host.js")]
extern "C" {
    /// The number in a row of the table of options.
    #[wasm_bindgen(js_name = optionOf)]
    pub(crate) fn option_of(host: &Host, row: i32) -> f64;

    /// A counter of an earlier core, by its index.
    #[wasm_bindgen(js_name = countOf)]
    pub(crate) fn count_of(host: &Host, counter: i32) -> f64;

    /// The available questions: the sum of the [`questions`].
    #[wasm_bindgen(js_name = questionsOf)]
    pub(crate) fn questions_of(host: &Host) -> i32;

    /// The message to send as a ping, or as a keepalive if the argument is 1; `undefined` if there is none or its
    /// function failed.
    #[wasm_bindgen(js_name = pingOf)]
    pub(crate) fn ping_of(host: &Host, keepalive: i32) -> JsValue;

    /// Whether a message is a heartbeat: 1 or 0.
    #[wasm_bindgen(js_name = isHeartbeat)]
    pub(crate) fn is_heartbeat(host: &Host, message: &JsValue) -> i32;

    /// Calls the functions that provide the URL and the sub-protocols. It calls back with 1 when the host has the
    /// target, and with 0 when they failed.
    pub(crate) fn search(host: &Host, id: i32, attempt: f64, last: JsValue);

    /// The result is no longer needed.
    #[wasm_bindgen(js_name = callOff)]
    pub(crate) fn call_off(id: i32);

    /// Calls `shouldReconnect`: returns a number of milliseconds, [`RETRY`], [`STOP`], or another negative number to
    /// leave the decision to the policy.
    #[wasm_bindgen(js_name = verdictOf)]
    pub(crate) fn verdict_of(host: &Host, lost: JsValue) -> f64;

    /// How a connection ended, as reported to JavaScript code. The host knows the error.
    #[wasm_bindgen(js_name = lostConnection)]
    fn lost_connection(
        host: &Host,
        code: i32,
        reason: JsValue,
        clean: i32,
        was_open: i32,
        cause: i32,
    ) -> JsValue;

    pub(crate) fn opened(host: &Host, socket: f64, attempt: f64, reconnected: i32);

    pub(crate) fn failed(host: &Host);

    /// An absent number of milliseconds is negative.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn closed(
        host: &Host,
        socket: f64,
        lost: JsValue,
        retry_in: f64,
        why: i32,
        unconfirmed_messages: f64,
        unconfirmed_bytes: f64,
    );

    #[wasm_bindgen(js_name = stateChanged)]
    pub(crate) fn state_changed(host: &Host, state: i32, attempt: f64, delay: f64, why: i32);

    /// One of the messages that [`dropped`] reports.
    pub(crate) fn dropping(host: &Host, message: JsValue);

    /// These are all except `omitted` older ones.
    pub(crate) fn dropped(host: &Host, reason: i32, bytes: f64, omitted: f64);

    #[wasm_bindgen(js_name = queueChanged)]
    pub(crate) fn queue_changed(host: &Host, messages: f64, bytes: f64);
}

/// The questions that a host may answer, in [`questions_of`].
pub(crate) mod questions {
    /// The URL or the sub-protocols.
    pub(crate) const TARGET: i32 = 1;
    /// The application's predicate.
    pub(crate) const VERDICT: i32 = 2;
    /// A message that the server is known to reply to.
    pub(crate) const PING: i32 = 4;
    /// Whether a message is a heartbeat.
    pub(crate) const MATCHER: i32 = 8;
}

/// Their names in JavaScript.
#[doc(hidden)]
pub const QUESTIONS: [(&str, i32); 4] = [
    ("askTarget", questions::TARGET),
    ("askVerdict", questions::VERDICT),
    ("askPing", questions::PING),
    ("askMatcher", questions::MATCHER),
];

/// The results of [`verdict_of`] that are not waits.
pub(crate) const RETRY: f64 = -1.0;
pub(crate) const STOP: f64 = -2.0;
const NO_VERDICT: f64 = -3.0;

/// Their names in JavaScript.
#[doc(hidden)]
pub const VERDICTS: [(&str, i32); 3] = [
    ("retry", RETRY as i32),
    ("stop", STOP as i32),
    ("noVerdict", NO_VERDICT as i32),
];

/// `loss` as a `LostConnection` of the declarations.
pub(crate) fn lost(host: &Host, loss: &Loss) -> JsValue {
    lost_connection(
        host,
        loss.close.code.into(),
        JsValue::from_str(&loss.close.reason),
        loss.close.clean.into(),
        loss.was_open.into(),
        loss.cause.index().into(),
    )
}
