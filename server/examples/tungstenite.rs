//! A typed endpoint on tokio-tungstenite, with nothing else: `cargo run --example tungstenite --features tungstenite`.

use steady_socket_server::tungstenite::accept_from;
use steady_socket_server::{Json, Peer, Server, endpoint};
use tokio::net::TcpListener;

// It belongs in a crate that the client shares.
endpoint! {
    /// Sends numbers back, doubled. Whatever path a client asks for, this is what it gets.
    pub(crate) Doubler at "/" {
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
pub(crate) async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let server = Server::new(double);
    loop {
        let (stream, address) = listener.accept().await?;
        let _ = stream.set_nodelay(true); // small messages go at once
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = accept_from(&server, stream, Some(address.ip())).await {
                eprintln!("a handshake failed: {error}");
            }
        });
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("ws://127.0.0.1:8080");
    serve(listener).await
}
