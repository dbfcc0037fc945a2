//! gloo-net.

use std::future::poll_fn;

use contender::{Messages, Session, Wire, session};
use futures_util::SinkExt as _;
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, WebSocketError};
use wasm_bindgen::prelude::*;

/// Opens a connection.
///
/// # Errors
///
/// What went wrong.
#[wasm_bindgen]
pub async fn open(
    url: String,
    shape: String,
    receives: bool,
    wires: Vec<JsValue>,
) -> Result<Session, JsValue> {
    let messages = Messages::read(&shape, &wires)?;
    let mut socket =
        WebSocket::open(&url).map_err(|error| JsValue::from_str(&error.to_string()))?;
    poll_fn(|task| socket.poll_ready_unpin(task))
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))?;
    Ok(session(socket, messages, receives, to_wire, from_wire))
}

fn to_wire(message: Result<Message, WebSocketError>) -> Option<Wire> {
    match message.ok()? {
        Message::Text(text) => Some(Wire::Text(text)),
        Message::Bytes(bytes) => Some(Wire::Bytes(bytes)),
    }
}

fn from_wire(wire: Wire) -> Message {
    match wire {
        Wire::Text(text) => Message::Text(text),
        Wire::Bytes(bytes) => Message::Bytes(bytes),
    }
}
