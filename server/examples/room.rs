//! A room over several processes, which may be killed at any moment: what one says, all hear, once and in one order.
//!
//! ```text
//! redis-server --appendonly yes --appendfsync always
//! cargo run -p steady-socket-server --example room --features axum,json,redis -- redis://127.0.0.1/ 8081 http://127.0.0.1:8000
//! ```
//!
//! The port may be 0; the last argument is the origin of the page. `cargo xtask demo --chat` starts two of it, and a page.

use std::process::Command;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use steady_socket_server::{
    Commit, Endpoint as _, Json, Options, Peer, Redis, Server, axum::route, endpoint,
};

/// What somebody says.
#[derive(Serialize, Deserialize)]
pub struct Line {
    name: String,
    text: String,
}

endpoint! {
    /// What one says, all hear.
    pub Room at "/room" {
        client: Line,
        server: Line,
        "room.json" => Json,
    }
}

async fn talk(mut peer: Peer<Room>) {
    // With what was said at last.
    if peer.join("room", 1_000).await.is_err() {
        return;
    }
    while let Some(Ok(line)) = peer.next().await {
        // One step: the line is in the room and handled, or another process is given it.
        if peer
            .commit(Commit::new().append("room", line))
            .await
            .is_err()
        {
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(redis), Some(port), Some(origin)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("expected the URL of Redis, a port, and the origin of the page".into());
    };
    let options = Options {
        allow_origins: vec![origin.parse()?],
        ..Options::default()
    };
    let server = Server::builder()
        .options(options)
        .store(Redis::new(&redis)?)
        .build(talk)?;
    let routes = Router::new()
        .route(Room::PATH, route(&server))
        .route("/kill", post(move |headers| kill(origin.clone(), headers)));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, routes).await?)
}

/// For the demo: the page has this process killed, which no handler gets to know.
async fn kill(origin: String, headers: HeaderMap) -> StatusCode {
    let theirs = headers.get(header::ORIGIN);
    if theirs.and_then(|it| it.to_str().ok()) != Some(origin.as_str()) {
        return StatusCode::FORBIDDEN;
    }
    let killed = Command::new("kill")
        .args(["-9", &std::process::id().to_string()])
        .status();
    match killed {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
