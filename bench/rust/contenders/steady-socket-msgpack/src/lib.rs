//! This library with MessagePack, in a separate module: its peers have no MessagePack, and the module
//! compared with theirs must not be larger because of it.

use contender::{Context, Messages, Pool, Session};
use steady_session::open as typed;
use steady_socket::MsgPack;
use wasm_bindgen::prelude::*;

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    match pool.messages() {
        Messages::Text(_) | Messages::Bytes(_) => Err(JsValue::from_str("there are no types")),
        Messages::Book(all) => typed::<MsgPack, _>(&context, all).await,
        Messages::Chat(all) => typed::<MsgPack, _>(&context, all).await,
        Messages::Note(all) => typed::<MsgPack, _>(&context, all).await,
    }
}
