//! A hello server on axum, like axum's own examples, that knows nothing of this library. It listens on a free
//! port of 127.0.0.1 and prints it. An argument sets how much it reads from a socket at once, in bytes; the
//! default is the library's.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use axum::serve::ListenerExt as _;

async fn hello(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(name) = message {
            let greeting = format!("Hello {name}!");
            if socket.send(Message::Text(greeting.into())).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let read_bytes: Option<usize> = std::env::args().nth(1).map(|it| it.parse()).transpose()?;
    let upgrade = async move |upgrade: WebSocketUpgrade| match read_bytes {
        Some(bytes) => upgrade.read_buffer_size(bytes).on_upgrade(hello),
        None => upgrade.on_upgrade(hello),
    };
    let routes = Router::new().route("/", any(upgrade));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, routes).await?)
}
