//! The hello program whose size is measured: it connects, sends a name and shows the greeting.

use hello_page::{Greeting, Hello, show};
use steady_socket::{Json, Socket};
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
    let mut socket = Socket::<Hello, Greeting, Json>::connect(url).ok()?;
    socket.send(Hello::new(who)).await.ok()?;
    show(&socket.recv().await?.ok()?.text);
    Some(())
}
