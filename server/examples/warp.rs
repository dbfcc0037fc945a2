//! A typed endpoint on warp: `cargo run --example warp --features warp`.

use steady_socket_server::{Endpoint as _, Json, Peer, Server, endpoint};
use tokio::net::TcpListener;

// It belongs in a crate that the client shares.
endpoint! {
    /// Sends numbers back, doubled.
    pub(crate) Doubler at "/double" {
        client: i64,
        server: i64,
        "doubler.json" => Json,
    }
}

async fn double(mut peer: Peer<Doubler>) {
    while let Some(Ok(number)) = peer.next().await {
        if peer.send(&(number * 2)).await.is_err() {
            return; // the client has gone
        }
    }
}

/// Serves until the end of the process.
pub(crate) async fn serve(listener: TcpListener) {
    let server = Server::new(double);
    let routes = steady_socket_server::warp::route(&server);
    warp::serve(routes).incoming(listener).run().await;
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("ws://127.0.0.1:8080{}", Doubler::PATH);
    serve(listener).await;
    Ok(())
}
