//! A route for axum.
//!
//! ```no_run
//! # async fn example<E: steady_socket_server::Endpoint>(server: steady_socket_server::Server<E>) {
//! # #[cfg(feature = "axum")] {
//! let routes = axum::Router::<()>::new().route(E::PATH, steady_socket_server::axum::route(&server));
//! # }
//! # }
//! ```

use std::net::{IpAddr, SocketAddr};

use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use tokio_tungstenite::tungstenite::Error as SocketError;

use crate::{Endpoint, Frame, Handshake, Identity, Server, SocketMessage};

impl SocketMessage for Message {
    type Error = axum::Error;

    fn into_frame(self) -> Frame {
        match self {
            Self::Text(text) => Frame::Text(text.as_str().to_owned()),
            Self::Binary(bytes) => Frame::Binary(bytes.into()),
            Self::Ping(_) => Frame::Ping,
            Self::Pong(_) => Frame::Pong,
            Self::Close(close) => {
                Frame::Close(close.map(|close| (close.code, close.reason.as_str().to_owned())))
            }
        }
    }

    fn from_frame(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text.into()),
            Frame::Binary(bytes) => Self::Binary(bytes.into()),
            Frame::Ping => Self::Ping(Vec::new().into()),
            Frame::Pong => Self::Pong(Vec::new().into()),
            Frame::Close(close) => Self::Close(close.map(|(code, reason)| CloseFrame {
                code,
                reason: reason.into(),
            })),
        }
    }

    fn close_code(error: &axum::Error) -> Option<u16> {
        let error = std::error::Error::source(error)?;
        error
            .downcast_ref::<SocketError>()
            .and_then(crate::tungstenite::close_code)
    }
}

/// The route of an endpoint: the answer to its handshakes, and to all other requests there.
///
/// Who the client is, [`check_handshake`](crate::ServerBuilder::check_handshake) can find out. Without such a check, an
/// [`Identity`] among the request's extensions, put there by a layer of yours that has checked a cookie or a header,
/// becomes that of the [`Peer`](crate::Peer).
///
/// Limits by address apply if the service was made by `into_make_service_with_connect_info::<SocketAddr>`. Behind a proxy
/// that is the proxy's address; a layer of yours can put the client's, an `IpAddr`, among the request's extensions.
pub fn route<E: Endpoint, State>(server: &Server<E>) -> MethodRouter<State>
where
    State: Clone + Send + Sync + 'static,
{
    let server = server.clone();
    any(async move |request: Request| upgrade(&server, request).await)
}

async fn upgrade<E: Endpoint>(server: &Server<E>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let mut handshake = Handshake::new(&parts.headers).uri(&parts.uri);
    if let Some(identity) = parts.extensions.get::<Identity>() {
        handshake = handshake.identity(identity.clone());
    }
    let socket = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = parts.extensions.get::<IpAddr>().copied();
    if let Some(address) = address.or_else(|| Some(socket?.0.ip())) {
        handshake = handshake.address(address);
    }
    let admission = match server.admit(&handshake).await {
        Ok(admission) => admission,
        Err(refused) => return refused.to_response::<String>().into_response(),
    };
    let most = server.longest_frame();
    let mut upgrade = upgrade
        .read_buffer_size(crate::READ_BYTES)
        .max_message_size(most)
        .max_frame_size(most);
    if let Some(name) = admission.subprotocol() {
        // The client has offered it, so axum answers it.
        upgrade = upgrade.protocols([name.to_owned()]);
    }
    match admission.has_session() {
        true => upgrade.on_upgrade(move |socket| admission.serve_session(socket, None)),
        false => upgrade.on_upgrade(move |socket| admission.serve_plain(socket, None)),
    }
}
