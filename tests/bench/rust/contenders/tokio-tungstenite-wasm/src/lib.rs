//! tokio-tungstenite-wasm.

use contender::{Messages, Session, Wire, session};
use tokio_tungstenite_wasm::{Error, Message, connect};
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
    let socket = connect(url)
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))?;
    Ok(session(socket, messages, receives, to_wire, from_wire))
}

fn to_wire(message: Result<Message, Error>) -> Option<Wire> {
    match message.ok()? {
        // Its text is decoded where it lies; a program that wants a `String` copies it.
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
