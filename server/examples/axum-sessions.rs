//! A chat with sessions on axum: everybody hears everything once and in order, also those whose connections break. It
//! checks credentials, answers requests, limits what a client sends, and stops gracefully on Ctrl-C.
//! `cargo run --example axum-sessions --features axum`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use serde::{Deserialize, Serialize};
use steady_socket_server::{
    Credential, Denied, Endpoint as _, Group, Handle, Identity, Json, Options, Peer, Rate, Request,
    Server, Sessions, Window, axum::route, endpoint,
};
use tokio::net::TcpListener;

// The messages and the endpoint belong in a crate that the client shares.
#[derive(Serialize, Deserialize)]
pub(crate) struct Say {
    text: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Said {
    who: String,
    text: String,
}

/// How many are here?
#[derive(Serialize, Deserialize)]
pub(crate) struct Count {}

impl Request for Count {
    type Response = usize;
    type Error = String;
}

endpoint! {
    /// What one says, all hear.
    pub(crate) Chat at "/chat" {
        client: Say,
        server: Said,
        "chat.json" => Json,
    }
}

/// Who somebody is, by the token in the first message. Look it up in your database instead.
async fn user(token: Option<Credential>) -> Result<Identity, Denied> {
    match token.as_ref().map(Credential::as_str) {
        Some("token-of-ada") => Ok(Identity("Ada".to_owned())),
        Some("token-of-grace") => Ok(Identity("Grace".to_owned())),
        _ => Err(Denied),
    }
}

/// Runs once for each session, however many connections it takes.
async fn chat(mut peer: Peer<Chat>, room: Group<Chat>) {
    let who = peer.identity().map_or_else(String::new, |it| it.0.clone());
    let _membership = room.join(&peer);
    while let Some(Ok(Say { text })) = peer.next().await {
        let who = who.clone();
        let _ = room.send(&Said { who, text }); // an error would be a message that cannot be encoded
    }
}

/// The endpoint, with what its users may do.
pub(crate) fn server() -> Result<Server<Chat>, steady_socket_server::InvalidOptions> {
    let options = Options {
        sessions: Sessions::Required,
        allow_origins: ["http://127.0.0.1:8000".parse()]
            .into_iter()
            .flatten()
            .collect(),
        max_message_bytes: 16 * 1024,
        max_connections_per_address: Some(100),
        rate: Some(Rate {
            frames: 20,
            bytes: 20 * 1024,
        }),
        ..Options::default()
    };
    let room = Group::new();
    let counted = room.clone();
    Server::builder()
        .options(options)
        .authenticate(user)
        .on_request(move |_: Handle<Chat>, Count {}| std::future::ready(Ok(counted.len())))
        .build(move |peer| chat(peer, room.clone()))
}

/// Serves until `stop` resolves, and then until all clients have gone.
pub(crate) async fn serve(
    listener: TcpListener,
    server: Server<Chat>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new().route(Chat::PATH, route(&server));
    // With the clients' addresses, for the limit by address.
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        stop.await;
        let window = Window::between(Duration::from_secs(1), Duration::from_secs(10));
        server.shutdown(window, Duration::from_secs(5)).await;
    };
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true); // small messages go at once
    });
    axum::serve(listener, service)
        .with_graceful_shutdown(stopped)
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("ws://127.0.0.1:8080{}", Chat::PATH);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    Ok(serve(listener, server()?, stop).await?)
}
