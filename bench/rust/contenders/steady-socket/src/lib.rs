//! This library with text, bytes and JSON, like its peers.

use contender::{Context, Messages, Pool, Session};
use steady_session::open as typed;
use steady_socket::{Json, PlainBytes, PlainText};
use wasm_bindgen::prelude::*;

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    match pool.messages() {
        Messages::Text(all) => typed::<PlainText, _>(&context, all).await,
        Messages::Bytes(all) => typed::<PlainBytes, _>(&context, all).await,
        Messages::Book(all) => typed::<Json, _>(&context, all).await,
        Messages::Chat(all) => typed::<Json, _>(&context, all).await,
        Messages::Note(all) => typed::<Json, _>(&context, all).await,
    }
}
