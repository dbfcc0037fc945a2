//! ws_stream_wasm.

use contender::{Context, Pool, Session, Wire, session};
use wasm_bindgen::prelude::*;
use ws_stream_wasm::{WsMessage, WsMeta};

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    let (_meta, socket) = WsMeta::connect(context.url(), None)
        .await
        .map_err(|error| JsValue::from_str(&error.to_string()))?;
    session(socket, &context, pool, to_wire, from_wire)
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
