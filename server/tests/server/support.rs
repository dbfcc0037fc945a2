//! An endpoint, its server, and connections to it.

use std::net::SocketAddr;

use steady_socket_server::{Endpoint as _, Json, Server, endpoint};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

endpoint! {
    /// Numbers, back and forth.
    pub Numbers at "/numbers" {
        client: u64,
        server: u64,
        "numbers.json" => Json,
    }
}

/// Serves on a free port, on axum.
pub(crate) async fn start(server: &Server<Numbers>) -> SocketAddr {
    let routes =
        axum::Router::new().route(Numbers::PATH, steady_socket_server::axum::route(server));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

pub(crate) type Plain = WebSocketStream<TcpStream>;

/// Connects without a session.
pub(crate) async fn connect(
    address: SocketAddr,
    headers: &[(&'static str, &str)],
) -> Result<Plain, Error> {
    connect_to(address, Numbers::PATH, headers).await
}

pub(crate) async fn connect_to(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Plain, Error> {
    let url = format!("ws://{address}{path}");
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    Ok(client_async(request, stream).await?.0)
}

/// What a handshake is refused with.
pub(crate) async fn refusal(
    address: SocketAddr,
    headers: &[(&'static str, &str)],
) -> (u16, String) {
    match connect(address, headers).await {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (
                response.status().as_u16(),
                String::from_utf8_lossy(&body).into_owned(),
            )
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) const SESSION: &str = "numbers.json~2";
