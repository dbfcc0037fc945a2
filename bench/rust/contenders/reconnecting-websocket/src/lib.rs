//! The crate reconnecting-websocket.
//!
//! Sent messages wait in a channel until the stream is polled, so a call is not the cost, and this client
//! takes no part in cases that only send. The stream sends one waiting message per poll, and does not
//! schedule another poll for the next: of many messages sent at once, each goes out when an echo has woken
//! the stream.

use std::time::Duration;

use contender::{Context, Pool, Purpose, Session, Wire, sender};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use reconnecting_websocket::{Event, Message, Socket, SocketBuilder, State};
use wasm_bindgen::prelude::*;

/// Milliseconds until a connection that is not open is polled again. Consecutive browser timers are no finer.
const ASK: u32 = 4;

#[derive(Debug)]
struct Input(Wire);

impl From<Input> for Message {
    fn from(Input(wire): Input) -> Self {
        match wire {
            Wire::Text(text) => Self::Text(text),
            Wire::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

#[derive(Debug)]
struct Output(Wire);

impl From<Message> for Output {
    fn from(message: Message) -> Self {
        Self(match message {
            Message::Text(text) => Wire::Text(text),
            Message::Bytes(bytes) => Wire::Bytes(bytes),
        })
    }
}

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    let mut builder = SocketBuilder::<Input, Output>::new(context.url());
    if context.impatient() {
        // The smallest value that it accepts.
        builder = builder
            .set_backoff_min(Duration::from_millis(1))
            .set_backoff_max(Some(Duration::from_millis(1)))
            .set_stable_timeout(Duration::ZERO);
    }
    let mut socket = builder
        .open()
        .map_err(|error| JsValue::from_str(&format!("{error:?}")))?;
    loop {
        match next(&mut socket, false).await {
            Some(Event::State(State::Open)) => break,
            Some(_) => {}
            None => return Err(JsValue::from_str("no connection")),
        }
    }
    let opened = context.opened();
    if let Some(opened) = &opened {
        opened();
    }
    let purpose = context.purpose()?;
    let (sink, messages, tally) = (socket.get_sink(), pool.messages(), context.tally());
    let session = Session::new(tally.clone()).receiving(async move {
        let mut is_open = true;
        while let Some(event) = next(&mut socket, is_open).await {
            match event {
                Event::Message(Ok(Output(wire))) => {
                    if let Some(value) = messages.value(&wire) {
                        tally.take(value);
                    }
                }
                Event::Message(Err(_)) => {}
                Event::State(state) => {
                    is_open = state == State::Open;
                    if let Some(opened) = opened.as_ref().filter(|_| is_open) {
                        opened();
                    }
                }
            }
        }
    });
    Ok(match purpose {
        Purpose::Receive => session,
        Purpose::Send | Purpose::Both => session.sending(sender(sink, pool.messages(), Input)),
    })
}

/// The next item. Nothing wakes the stream when a connection opens, the first or a later one: until it is
/// open, it must be polled repeatedly.
async fn next(socket: &mut Socket<Input, Output>, is_open: bool) -> Option<Event<Input, Output>> {
    if is_open {
        return socket.next().await;
    }
    loop {
        if let Either::Left((event, _)) = select(socket.next(), TimeoutFuture::new(ASK)).await {
            return event;
        }
    }
}
