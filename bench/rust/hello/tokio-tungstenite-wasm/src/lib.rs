//! The hello program on tokio-tungstenite-wasm, with serde_json.

use futures_util::{SinkExt as _, StreamExt as _};
use hello_page::{Greeting, Hello, show};
use tokio_tungstenite_wasm::{Message, connect};
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
    let mut socket = connect(url).await.ok()?;
    let message = serde_json::to_string(&Hello::new(who)).ok()?;
    socket.send(Message::text(message)).await.ok()?;
    if let Message::Text(text) = socket.next().await?.ok()? {
        show(&serde_json::from_str::<Greeting>(&text).ok()?.text);
    }
    Some(())
}
