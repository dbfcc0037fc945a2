//! tokio-tungstenite-wasm.

use contender::{Context, Pool, Session, Wire, session};
use tokio_tungstenite_wasm::{Error, Message, connect};
use wasm_bindgen::prelude::*;

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    let socket = connect(context.url())
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))?;
    session(socket, &context, pool, to_wire, from_wire)
}

fn to_wire(message: Result<Message, Error>) -> Option<Wire> {
    match message.ok()? {
        // Its text is decoded in place; a program that wants a `String` copies it.
        Message::Text(text) => Some(Wire::Text(text.as_str().to_owned())),
        Message::Binary(bytes) => Some(Wire::Bytes(bytes.into())),
        Message::Close(_) => None,
    }
}

fn from_wire(wire: Wire) -> Message {
    match wire {
        Wire::Text(text) => Message::text(text),
        Wire::Bytes(bytes) => Message::binary(bytes),
    }
}
