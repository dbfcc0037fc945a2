//! A typed endpoint on axum: `cargo run --example axum --features axum`.

use axum::serve::ListenerExt as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

// The messages and the endpoint belong in a crate that the client shares.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    name: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Greeting {
    text: String,
}

// counted: from here
use steady_socket_server::{Endpoint as _, Json, Peer, Server, axum::route, endpoint};

endpoint! {
    /// Greets by name.
    pub(crate) Greeter at "/greeter" {
        client: Hello,
        server: Greeting,
        "greeter.json" => Json,
    }
}

fn routes() -> axum::Router {
    let server = Server::new(greet);
    axum::Router::new().route(Greeter::PATH, route(&server))
}
// counted: to here

async fn greet(mut peer: Peer<Greeter>) {
    while let Some(Ok(Hello { name })) = peer.next().await {
        let text = format!("Hello {name}!");
        if peer.send(&Greeting { text }).await.is_err() {
            return; // the client has gone
        }
    }
}

/// Serves until the end of the process.
pub(crate) async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true); // small messages go at once
    });
    axum::serve(listener, routes()).await
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("ws://127.0.0.1:8080{}", Greeter::PATH);
    serve(listener).await
}
