//! The hello program on ws_stream_wasm, with serde_json.

use futures_util::{SinkExt as _, StreamExt as _};
use hello_page::{Greeting, Hello, show};
use wasm_bindgen::prelude::wasm_bindgen;
use ws_stream_wasm::{WsMessage, WsMeta};

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
    let (_meta, mut socket) = WsMeta::connect(url, None).await.ok()?;
    let message = serde_json::to_string(&Hello::new(who)).ok()?;
    socket.send(WsMessage::Text(message)).await.ok()?;
    if let WsMessage::Text(text) = socket.next().await? {
        show(&serde_json::from_str::<Greeting>(&text).ok()?.text);
    }
    Some(())
}
