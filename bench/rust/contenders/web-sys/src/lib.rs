//! The browser's `WebSocket` via web-sys, without a client: a handler that copies the message out of
//! JavaScript and decodes it. This is the minimum cost of receiving in Rust.

use std::future::pending;

use contender::{Context, Pool, Purpose, Session, Wire};
use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{BinaryType, MessageEvent, WebSocket};

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    if context.purpose()? != Purpose::Receive {
        return Err(JsValue::from_str("it only receives"));
    }
    let socket = WebSocket::new(&context.url())?;
    socket.set_binary_type(BinaryType::Arraybuffer);

    let (messages, tally) = (pool.messages(), context.tally());
    let session = Session::new(tally.clone());
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let value = wire(&event.data()).and_then(|wire| messages.value(&wire));
        if let Some(value) = value {
            tally.take(value);
        }
    });
    socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));

    let opened = Promise::new(&mut |resolve, _| socket.set_onopen(Some(&resolve)));
    JsFuture::from(opened).await?;

    Ok(session.receiving(async move {
        let _kept = on_message;
        let _closed = ClosedAtLast(socket);
        pending().await
    }))
}

fn wire(data: &JsValue) -> Option<Wire> {
    if let Some(text) = data.as_string() {
        return Some(Wire::Text(text));
    }
    let bytes = data.dyn_ref::<ArrayBuffer>()?;
    Some(Wire::Bytes(Uint8Array::new(bytes).to_vec()))
}

struct ClosedAtLast(WebSocket);

impl Drop for ClosedAtLast {
    fn drop(&mut self) {
        self.0.set_onmessage(None);
        // It accepts a close without a code.
        let _ = self.0.close();
    }
}
