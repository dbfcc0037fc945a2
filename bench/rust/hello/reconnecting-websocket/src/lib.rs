//! The hello program on the crate reconnecting-websocket, with serde_json.

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use hello_page::{Greeting, Hello, show};
use reconnecting_websocket::{Event, Message, SocketBuilder};
use wasm_bindgen::prelude::wasm_bindgen;

/// Greets `who`, and shows what the server answers.
#[wasm_bindgen]
pub fn hello(url: String, who: String) {
    wasm_bindgen_futures::spawn_local(async move {
        if greet(url, who).await.is_none() {
            show("no connection");
        }
    });
}

#[derive(Debug)]
struct Input(Hello);

impl TryFrom<Input> for Message {
    type Error = serde_json::Error;

    fn try_from(Input(message): Input) -> Result<Self, Self::Error> {
        serde_json::to_string(&message).map(Message::Text)
    }
}

#[derive(Debug)]
struct Output(Greeting);

impl TryFrom<Message> for Output {
    type Error = serde_json::Error;

    fn try_from(message: Message) -> Result<Self, Self::Error> {
        match message {
            Message::Text(text) => serde_json::from_str(&text),
            Message::Bytes(bytes) => serde_json::from_slice(&bytes),
        }
        .map(Self)
    }
}

async fn greet(url: String, who: String) -> Option<()> {
    let mut socket = SocketBuilder::<Input, Output>::new(url).open().ok()?;
    socket.send(Input(Hello::new(who))).await.ok()?;
    loop {
        // Nothing wakes it when the connection opens: it must be polled again.
        match select(socket.next(), TimeoutFuture::new(50)).await {
            Either::Left((Some(Event::Message(answer)), _)) => {
                show(&answer.ok()?.0.text);
                return Some(());
            }
            Either::Left((None, _)) => return None,
            Either::Left(_) | Either::Right(_) => {}
        }
    }
}
