//! wasm-bindgen's output for this package already exports a working `ReconnectingWebSocket`, and a Rust program gets
//! none of it.
#![cfg(target_family = "wasm")]

mod exports;
#[path = "rust_face/server.rs"]
#[allow(dead_code)]
mod server;

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{EventTarget, MessageEvent};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/js/reconnecting-websocket.js")]
extern "C" {
    #[wasm_bindgen(extends = EventTarget)]
    type ReconnectingWebSocket;

    #[wasm_bindgen(constructor)]
    fn new(url: &str) -> ReconnectingWebSocket;

    #[wasm_bindgen(method)]
    fn send(this: &ReconnectingWebSocket, message: &str);

    #[wasm_bindgen(method)]
    fn close(this: &ReconnectingWebSocket, code: u16);

    #[wasm_bindgen(method, getter, js_name = readyState)]
    fn ready_state(this: &ReconnectingWebSocket) -> u16;
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

#[wasm_bindgen_test]
async fn the_class_greets_and_closes() {
    greets_and_closes(server::WS).await;
}

#[cfg(feature = "wss-tests")]
#[wasm_bindgen_test]
async fn the_class_greets_and_closes_over_tls() {
    greets_and_closes(server::WSS).await;
}

async fn greets_and_closes(server: server::Server) {
    let url = server.address().await;
    steady_socket_wasm::start();
    let socket = ReconnectingWebSocket::new(url);
    assert_eq!(socket.ready_state(), 0);
    socket.send("Ada");
    let message = next(&socket, "message").await;
    let data = message.unchecked_into::<MessageEvent>().data();
    assert_eq!(data.as_string().as_deref(), Some("Hello Ada!"));
    socket.close(1000);
    assert_eq!(socket.ready_state(), 2);
    let closed = next(&socket, "close").await;
    let retries = Reflect::get(&closed, &"willReconnect".into()).expect("a field");
    assert_eq!(retries, JsValue::FALSE);
    assert_eq!(socket.ready_state(), 3);
}

#[wasm_bindgen_test]
fn this_program_exports_the_face() {
    // Shows that the test of `rust_exports.rs` would find it.
    let found = exports::of_the_face();
    assert!(found.contains(&"core_send".to_owned()), "{found:?}");
}
