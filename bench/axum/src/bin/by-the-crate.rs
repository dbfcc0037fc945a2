//! The same hello server on axum by the crate `steady-socket-server`, as a typed endpoint. It listens on a free port of
//! 127.0.0.1 and prints it.

use axum::Router;
use axum::serve::ListenerExt as _;
use steady_socket_server::{Endpoint as _, Options, Peer, PlainText, Server, endpoint};

endpoint! {
    /// Answers names with greetings.
    Hello at "/" {
        client: String,
        server: String,
        "hello" => PlainText,
    }
}

async fn hello(mut peer: Peer<Hello>) {
    while let Some(Ok(name)) = peer.next().await {
        if peer.send(&format!("Hello {name}!")).await.is_err() {
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options {
        max_connections: 100_000,
        ..Options::default()
    };
    let server = Server::builder().options(options).build(hello)?;
    let routes = Router::new().route(Hello::PATH, steady_socket_server::axum::route(&server));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, routes).await?)
}
