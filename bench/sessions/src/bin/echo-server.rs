//! A server on axum by the crate `steady-socket-server` whose messages come back, with a session or without. It listens on a
//! free port of 127.0.0.1 and prints it.

use axum::Router;
use axum::serve::ListenerExt as _;
use session_load::Echo;
use steady_socket_server::{Endpoint as _, Options, Peer, Server};

async fn echo(mut peer: Peer<Echo>) {
    while let Some(Ok(note)) = peer.next().await {
        if peer.send(&note).await.is_err() {
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options {
        max_connections: 100_000,
        max_sessions: 100_000,
        ..Options::default()
    };
    let server = Server::builder().options(options).build(echo)?;
    let routes = Router::new().route(Echo::PATH, steady_socket_server::axum::route(&server));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, routes).await?)
}
