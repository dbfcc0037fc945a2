//! Sockets of tokio-tungstenite.
//!
//! ```no_run
//! # async fn example<E: steady_socket_server::Endpoint>(
//! #     server: steady_socket_server::Server<E>, stream: tokio::net::TcpStream,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "tungstenite")] {
//! steady_socket_server::tungstenite::accept(&server, stream).await?;
//! # }
//! # Ok(())
//! # }
//! ```

use std::net::IpAddr;

use http::{HeaderValue, Response, header::SEC_WEBSOCKET_PROTOCOL};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::{Endpoint, Frame, Handshake, Server, SocketMessage};

impl SocketMessage for Message {
    type Error = Error;

    fn into_frame(self) -> Frame {
        match self {
            Self::Text(text) => Frame::Text(text.as_str().to_owned()),
            Self::Binary(bytes) => Frame::Binary(bytes.into()),
            Self::Ping(_) => Frame::Ping,
            Self::Pong(_) | Self::Frame(_) => Frame::Pong,
            Self::Close(close) => {
                Frame::Close(close.map(|close| (close.code.into(), close.reason.to_string())))
            }
        }
    }

    fn from_frame(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::text(text),
            Frame::Binary(bytes) => Self::binary(bytes),
            Frame::Ping => Self::Ping(Vec::new().into()),
            Frame::Pong => Self::Pong(Vec::new().into()),
            Frame::Close(close) => Self::Close(close.map(|(code, reason)| CloseFrame {
                code: code.into(),
                reason: Utf8Bytes::from(reason),
            })),
        }
    }

    fn close_code(error: &Error) -> Option<u16> {
        close_code(error)
    }
}

/// The close code for what a client did, per RFC 6455 §7.4.1.
pub(crate) const fn close_code(error: &Error) -> Option<u16> {
    match error {
        Error::Capacity(_) => Some(1009),
        Error::Utf8(_) => Some(1007),
        Error::Protocol(_) => Some(1002),
        _ => None,
    }
}

/// Accepts a WebSocket on a TCP (or TLS) stream, and serves it until its end. The client's address is not known, so a limit
/// by address does not apply; see [`accept_from`].
///
/// # Errors
///
/// If the handshake fails. A handshake that the server refuses is answered, and is no error.
pub async fn accept<E, T>(server: &Server<E>, stream: T) -> Result<(), Error>
where
    E: Endpoint,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    accept_from(server, stream, None).await
}

/// Likewise, from a known address.
///
/// # Errors
///
/// If the handshake fails. A handshake that the server refuses is answered, and is no error.
pub async fn accept_from<E, T>(
    server: &Server<E>,
    stream: T,
    address: Option<IpAddr>,
) -> Result<(), Error>
where
    E: Endpoint,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut admitted = None;
    let most = server.longest_frame();
    let config = WebSocketConfig::default()
        .read_buffer_size(crate::READ_BYTES)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    #[expect(
        clippy::result_large_err,
        reason = "the callback's signature is tungstenite's"
    )]
    let check = |request: &Request, mut response: Response<()>| {
        let mut handshake = Handshake::new(request.headers());
        if let Some(address) = address {
            handshake = handshake.address(address);
        }
        match server.admit(&handshake) {
            Ok(admission) => {
                if let Some(Ok(name)) = admission.subprotocol().map(HeaderValue::from_str) {
                    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
                }
                admitted = Some(admission);
                Ok(response)
            }
            Err(refused) => {
                let response: Response<String> = refused.to_response();
                Err(ErrorResponse::from(response.map(Some)))
            }
        }
    };
    let socket = accept_hdr_async_with_config(stream, check, Some(config)).await;
    match (socket, admitted) {
        (Ok(socket), Some(admission)) => {
            admission.serve(socket).await;
            Ok(())
        }
        // It was answered.
        (Err(Error::Http(_)), None) => Ok(()),
        (Err(error), _) => Err(error),
        (Ok(_), None) => Ok(()),
    }
}
