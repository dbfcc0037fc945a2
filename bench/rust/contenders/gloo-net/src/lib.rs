//! gloo-net.

use std::future::poll_fn;

use contender::{Context, Pool, Session, Wire, session};
use futures_util::SinkExt as _;
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, WebSocketError};
use wasm_bindgen::prelude::*;

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    let mut socket =
        WebSocket::open(&context.url()).map_err(|error| JsValue::from_str(&error.to_string()))?;
    poll_fn(|task| socket.poll_ready_unpin(task))
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))?;
    session(socket, &context, pool, to_wire, from_wire)
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
