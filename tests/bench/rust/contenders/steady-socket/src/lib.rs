//! This library, as a Rust program uses it: a handler or a stream of what it decodes, and a handle that encodes.

use std::future::pending;
use std::rc::Rc;

use contender::{Messages, Session, Tally};
use futures_util::StreamExt as _;
use messages::Value;
use steady_socket::protocol::{Decode, Encode};
use steady_socket::{Event, Json, MsgPack, PlainBytes, PlainText, Socket};
use wasm_bindgen::prelude::*;

/// How messages are received.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// From the stream.
    Stream,
    /// By a handler.
    Handler,
}

/// Opens a connection. `codec` is that of the typed shapes.
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
    codec: String,
    by: By,
) -> Result<Session, JsValue> {
    let is_json = codec == "json";
    match Messages::read(&shape, &wires)? {
        Messages::Text(all) => typed::<PlainText, _>(&url, receives.then_some(by), all).await,
        Messages::Bytes(all) => typed::<PlainBytes, _>(&url, receives.then_some(by), all).await,
        Messages::Book(all) if is_json => typed::<Json, _>(&url, receives.then_some(by), all).await,
        Messages::Book(all) => typed::<MsgPack, _>(&url, receives.then_some(by), all).await,
        Messages::Chat(all) if is_json => typed::<Json, _>(&url, receives.then_some(by), all).await,
        Messages::Chat(all) => typed::<MsgPack, _>(&url, receives.then_some(by), all).await,
        Messages::Note(all) if is_json => typed::<Json, _>(&url, receives.then_some(by), all).await,
        Messages::Note(all) => typed::<MsgPack, _>(&url, receives.then_some(by), all).await,
    }
}

async fn typed<C, T>(url: &str, by: Option<By>, messages: Vec<T>) -> Result<Session, JsValue>
where
    C: Decode<T> + Encode<T>,
    T: Value + 'static,
{
    let tally = Tally::default();
    let mut builder = Socket::<T, T, C>::builder(url);
    if by == Some(By::Handler) {
        builder = builder.on_message(move |message| {
            if let Ok(message) = message {
                tally.take(message.value());
            }
        });
    }
    let connected = builder.connect();
    let mut socket = connected.map_err(|error| JsValue::from_str(&error.to_string()))?;
    let mut events = socket.events();
    while let Some(event) = events.next().await {
        match event {
            Event::Open { .. } => break,
            Event::Closed(closed) => return Err(JsValue::from_str(&closed.why.to_string())),
            _ => {}
        }
    }
    drop(events);
    match by {
        Some(By::Stream) => {
            return Ok(Session::receiving(tally, async move {
                while let Some(message) = socket.next().await {
                    if let Ok(message) = message {
                        tally.take(message.value());
                    }
                }
            }));
        }
        Some(By::Handler) => {
            return Ok(Session::receiving(tally, async move {
                let _kept = socket;
                pending().await
            }));
        }
        None => {}
    }
    let kept = Rc::new((socket, messages));
    Ok(Session::sending(Box::new(move |count| {
        let kept = Rc::clone(&kept);
        Box::pin(async move {
            let (socket, messages) = &*kept;
            let handle = socket.handle();
            for index in 0..count as usize {
                // What was not sent is missing when the harness counts.
                let _ = handle.send(&messages[index % messages.len()]).await;
            }
        })
    })))
}
