//! The hello program on gloo-net, with serde_json.

use futures_util::{SinkExt as _, StreamExt as _};
use gloo_net::websocket::Message;
use gloo_net::websocket::futures::WebSocket;
use hello_page::{Greeting, Hello, show};
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

async fn greet(url: String, who: String) -> Option<()> {
    let mut socket = WebSocket::open(&url).ok()?;
    let message = serde_json::to_string(&Hello::new(who)).ok()?;
    socket.send(Message::Text(message)).await.ok()?;
    if let Message::Text(text) = socket.next().await?.ok()? {
        show(&serde_json::from_str::<Greeting>(&text).ok()?.text);
    }
    Some(())
}
