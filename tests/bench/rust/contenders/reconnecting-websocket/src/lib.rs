//! The crate reconnecting-websocket.
//!
//! What is sent waits in a channel until its stream is polled, so that the call is not the cost and it takes no part
//! in what only sends. Of what waits there the stream sends one message each time that it is polled, and does not
//! see to it that it is polled again for the next: of many that are sent at once, each goes when an echo has woken
//! the stream.

use std::time::Duration;

use contender::{Context, Pool, Purpose, Session, Wire, sender};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use reconnecting_websocket::{Event, Message, Socket, SocketBuilder, State};
use wasm_bindgen::prelude::*;

/// Milliseconds after which a connection that is not open is asked again. A browser's timers that follow one another
/// are no finer.
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
/// What went wrong.
#[wasm_bindgen]
pub async fn open(context: Context, pool: &Pool) -> Result<Session, JsValue> {
    let mut builder = SocketBuilder::<Input, Output>::new(context.url());
    if context.impatient() {
        // The least that it takes.
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

/// What comes next. Nothing wakes the stream when a connection opens, the first or a later one: until it is open, it
/// has to be asked again.
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
