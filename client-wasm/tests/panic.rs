//! A panic in the WebAssembly module ends every connection of the JavaScript API, and none returns. A program of its
//! own, since nothing works afterwards.
#![cfg(target_family = "wasm")]

#[path = "rust_face/server.rs"]
#[allow(dead_code)]
mod server;

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::EventTarget;

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/js/reconnecting-websocket.js")]
extern "C" {
    #[wasm_bindgen(extends = EventTarget)]
    type ReconnectingWebSocket;

    #[wasm_bindgen(constructor, catch)]
    fn new(url: &str) -> Result<ReconnectingWebSocket, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn send(this: &ReconnectingWebSocket, message: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn reconnect(this: &ReconnectingWebSocket) -> Result<(), JsValue>;

    #[wasm_bindgen(method, getter, js_name = readyState)]
    fn ready_state(this: &ReconnectingWebSocket) -> u16;
}

#[wasm_bindgen(inline_js = "
const errors = [];
const { error } = console;
console.error = (...given) => {
  errors.push(given.join(' '));
  error.apply(console, given);
};

export function consoleErrors() { return errors.join('\\n'); }
")]
extern "C" {
    /// The errors reported to the console.
    #[wasm_bindgen(js_name = consoleErrors)]
    fn console_errors() -> String;
}

/// The next event of a type.
async fn next(socket: &ReconnectingWebSocket, event: &str) -> JsValue {
    let promise = Promise::new(&mut |resolve: Function, _| {
        Reflect::set(
            socket,
            &format!("on{event}").into(),
            &resolve.unchecked_into(),
        )
        .expect("a handler attribute");
    });
    server::soon(event, JsFuture::from(promise))
        .await
        .expect("an event")
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).expect("a field")
}

fn is_invalid_state<T>(result: Result<T, JsValue>) -> bool {
    result.is_err_and(|error| field(&error, "name") == "InvalidStateError")
}

// [R31][R32][F54]
#[wasm_bindgen_test]
async fn a_panic_ends_every_connection_and_none_comes_back() {
    let url = format!("{}/echo", server::WS.address().await);
    steady_socket_wasm::start();
    let socket = ReconnectingWebSocket::new(&url).expect("a socket");
    next(&socket, "open").await;

    // As in a callback of the browser: the exception ends there, and this test goes on.
    let payload = "a payload".to_owned();
    let panics = Closure::once_into_js(move || -> () { panic!("with {payload}") });
    let panics: Function = panics.unchecked_into();
    assert!(panics.call0(&JsValue::UNDEFINED).is_err());
    let told = console_errors();
    assert!(
        told.contains(file!()) && !told.contains("a payload"),
        "{told}"
    );

    assert!(is_invalid_state(socket.send("x")));
    let close = next(&socket, "close").await;
    assert_eq!(field(&close, "cause"), "internal-error");
    assert_eq!(field(&close, "code"), 1006);
    assert_eq!(field(&close, "willReconnect"), JsValue::FALSE);
    assert_eq!(socket.ready_state(), 3);
    assert!(is_invalid_state(socket.reconnect()));
    assert!(is_invalid_state(ReconnectingWebSocket::new(&url)));
}
