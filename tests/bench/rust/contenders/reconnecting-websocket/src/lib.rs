//! The crate reconnecting-websocket. Only what it receives: what is sent waits until its stream is polled again, so
//! that the call is not the cost.

use contender::{Messages, Session, Tally, Wire};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use reconnecting_websocket::{Event, Message, SocketBuilder, State};
use wasm_bindgen::prelude::*;

#[derive(Debug)]
struct Input;

impl TryFrom<Input> for Message {
    type Error = String;

    fn try_from(_: Input) -> Result<Self, Self::Error> {
        Err("nothing is sent".to_owned())
    }
}

#[derive(Debug)]
struct Output(Wire);

impl TryFrom<Message> for Output {
    type Error = String;

    fn try_from(message: Message) -> Result<Self, Self::Error> {
        Ok(Self(match message {
            Message::Text(text) => Wire::Text(text),
            Message::Bytes(bytes) => Wire::Bytes(bytes),
        }))
    }
}

/// Opens a connection.
///
/// # Errors
///
/// What went wrong.
#[wasm_bindgen]
pub async fn open(
    url: String,
    shape: String,
    _receives: bool,
    wires: Vec<JsValue>,
) -> Result<Session, JsValue> {
    let messages = Messages::read(&shape, &wires)?;
    let mut socket = SocketBuilder::<Input, Output>::new(url)
        .open()
        .map_err(|error| JsValue::from_str(&format!("{error:?}")))?;
    // Nothing wakes it when the connection opens: it has to be asked again.
    loop {
        match select(socket.next(), TimeoutFuture::new(50)).await {
            Either::Left((Some(Event::State(State::Open)), _)) => break,
            Either::Left((None, _)) => return Err(JsValue::from_str("no connection")),
            Either::Left(_) | Either::Right(_) => {}
        }
    }
    let tally = Tally::default();
    Ok(Session::receiving(tally, async move {
        while let Some(event) = socket.next().await {
            if let Event::Message(Ok(Output(wire))) = event
                && let Some(value) = messages.value(&wire)
            {
                tally.take(value);
            }
        }
    }))
}
