//! ws_stream_wasm.

use contender::{Messages, Session, Wire, session};
use wasm_bindgen::prelude::*;
use ws_stream_wasm::{WsMessage, WsMeta};

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
    let (_meta, socket) = WsMeta::connect(url, None)
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))?;
    Ok(session(socket, messages, receives, to_wire, from_wire))
}

fn to_wire(message: WsMessage) -> Option<Wire> {
    Some(match message {
        WsMessage::Text(text) => Wire::Text(text),
        WsMessage::Binary(bytes) => Wire::Bytes(bytes),
    })
}

fn from_wire(wire: Wire) -> WsMessage {
    match wire {
        Wire::Text(text) => WsMessage::Text(text),
        Wire::Bytes(bytes) => WsMessage::Binary(bytes),
    }
}
