//! The JavaScript side, as Rust sees it.

use js_sys::{Array, Promise};
use steady_socket::connection::Loss;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, MessageEvent};

// Modules that the one below imports: naming something of theirs here copies them beside it.
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
    #[wasm_bindgen(js_name = setAbandon)]
    fn set_abandon();
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
#[wasm_bindgen(module = "/js/waiting-room.js")]
extern "C" {
    #[wasm_bindgen(js_name = WaitingRoom)]
    fn waiting_room();
}

#[wasm_bindgen(module = "/js/reconnecting-websocket.js")]
extern "C" {
    // These three are only exported again, for whoever imports what wasm-bindgen makes of this. The first
    // is a class; it is named as a function because types cannot be kept out of the generated
    // declarations, which `DECLARATIONS` replaces.
    #[wasm_bindgen(reexport, skip_typescript, js_name = ReconnectingWebSocket)]
    fn reconnecting_websocket();

    #[wasm_bindgen(reexport, skip_typescript)]
    fn load();

    #[wasm_bindgen(reexport, skip_typescript, js_name = setLoader)]
    fn set_loader();

    /// Hands over the function that makes a [`Core`](crate::Core), and the one that has this module let go
    /// of its sockets, timers and tasks.
    #[wasm_bindgen(js_name = provideCore)]
    pub(crate) fn provide_core(create: JsValue, abandon: JsValue);

    /// Ends every connection, since this module has panicked; it must not be called any more. `what` is for
    /// the console.
    #[wasm_bindgen(js_name = moduleFailed)]
    pub(crate) fn module_failed(what: &str);

    /// How a connection ended, as JavaScript code is told it.
    #[wasm_bindgen(js_name = lostConnection)]
    fn lost_connection(
        code: u16,
        reason: &str,
        clean: bool,
        was_open: bool,
        cause: &str,
    ) -> JsValue;
}

/// `loss` as a `LostConnection` of the declarations.
pub(crate) fn lost(loss: &Loss) -> JsValue {
    lost_connection(
        loss.close.code,
        &loss.close.reason,
        loss.close.clean,
        loss.was_open,
        loss.cause.name(),
    )
}

#[wasm_bindgen]
extern "C" {
    /// What a [`Core`](crate::Core) calls back on. None of these throws.
    pub(crate) type Host;

    /// Whether there is a predicate to ask about losses.
    #[wasm_bindgen(method, getter, js_name = hasPredicate)]
    pub(crate) fn has_predicate(this: &Host) -> bool;

    /// Whether somebody reads the log.
    #[wasm_bindgen(method, getter, js_name = hasLog)]
    pub(crate) fn has_log(this: &Host) -> bool;

    /// Whether there is something to send to a server that answers it.
    #[wasm_bindgen(method, getter, js_name = hasPing)]
    pub(crate) fn has_ping(this: &Host) -> bool;

    /// Whether there is a function that knows a heartbeat.
    #[wasm_bindgen(method, getter, js_name = hasMatcher)]
    pub(crate) fn has_matcher(this: &Host) -> bool;

    /// What to send to a server that answers it; `undefined` if the function for it failed.
    #[wasm_bindgen(method)]
    pub(crate) fn ping(this: &Host) -> JsValue;

    /// Whether a message is a heartbeat: `true`, or anything else.
    #[wasm_bindgen(method, js_name = isHeartbeat)]
    pub(crate) fn is_heartbeat(this: &Host, event: &MessageEvent) -> JsValue;

    /// Asks the functions that provide the URL and the sub-protocols. The promise gives an array: the
    /// URL, absolute and checked, then the sub-protocols.
    #[wasm_bindgen(method)]
    pub(crate) fn resolve(
        this: &Host,
        attempt: u32,
        last: JsValue,
        signal: &AbortSignal,
    ) -> Promise;

    /// Asks `shouldReconnect`: `true`, `false`, a number of milliseconds, or nothing of these to leave it
    /// to the policy.
    #[wasm_bindgen(method)]
    pub(crate) fn verdict(this: &Host, lost: JsValue) -> JsValue;

    #[wasm_bindgen(method)]
    pub(crate) fn opened(this: &Host, reconnected: bool, attempt: u32);

    #[wasm_bindgen(method)]
    pub(crate) fn message(this: &Host, event: &MessageEvent);

    #[wasm_bindgen(method)]
    pub(crate) fn failed(this: &Host);

    #[wasm_bindgen(method)]
    pub(crate) fn closed(
        this: &Host,
        lost: JsValue,
        retry_in: Option<f64>,
        why: &str,
        unconfirmed_messages: f64,
        unconfirmed_bytes: f64,
    );

    #[wasm_bindgen(method, js_name = stateChanged)]
    pub(crate) fn state_changed(
        this: &Host,
        state: &str,
        attempt: u32,
        delay: Option<f64>,
        why: &str,
    );

    #[wasm_bindgen(method)]
    pub(crate) fn dropped(this: &Host, reason: &str, messages: Array, bytes: f64);

    #[wasm_bindgen(method)]
    pub(crate) fn log(this: &Host, line: &str);
}
