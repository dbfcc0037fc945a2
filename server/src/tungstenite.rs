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

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response, write_response};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
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
        // The connection has ended without a Close, as connections do.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(1002),
        _ => None,
    }
}

/// How a socket of this server is read.
pub(crate) fn config(longest_frame: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(crate::READ_BYTES)
        .max_message_size(Some(longest_frame))
        .max_frame_size(Some(longest_frame))
}

/// The answer 101 to a handshake.
///
/// # Errors
/// What is wrong with the handshake.
pub(crate) fn switching(
    request: &Request,
    subprotocol: Option<&str>,
) -> Result<Response<()>, Error> {
    let mut response = create_response(request)?;
    // Anything is taken there; RFC 6455 §4.2.1 wants 16 bytes in base64.
    let key = request.headers().get(SEC_WEBSOCKET_KEY);
    if !key.is_some_and(|key| is_key(key.as_bytes())) {
        let name = Box::new(SEC_WEBSOCKET_KEY);
        return Err(Error::Protocol(ProtocolError::InvalidHeader(name)));
    }
    if let Some(Ok(name)) = subprotocol.map(HeaderValue::from_str) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(response)
}

fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

/// What is wrong with a handshake, for its client.
pub(crate) fn bad_request<B: From<String>>(why: impl Display) -> Response<B> {
    let mut response = Response::new(B::from(format!("{why}\n")));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Accepts a WebSocket on a TCP (or TLS) stream, and serves it until its end. The client's address is not known, so limits
/// by address do not apply; see [`accept_from`].
///
/// # Errors
///
/// If the handshake fails, or takes longer than 10 s. One that the server refuses is answered, and is no error.
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
/// If the handshake fails, or takes longer than 10 s. One that the server refuses is answered, and is no error.
pub async fn accept_from<E, T>(
    server: &Server<E>,
    mut stream: T,
    address: Option<IpAddr>,
) -> Result<(), Error>
where
    E: Endpoint,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Not by tungstenite's own function: its callback cannot wait for the check of a client.
    let (request, rest) = timeout(HEAD_TIME, read_head(&mut stream))
        .await
        .map_err(|_| Error::Io(ErrorKind::TimedOut.into()))??;
    let mut handshake = Handshake::new(request.headers()).uri(request.uri());
    if let Some(address) = address {
        handshake = handshake.address(address);
    }
    let admission = match server.admit(&handshake).await {
        Ok(admission) => admission,
        Err(refused) => return refuse(&mut stream, refused.to_response()).await,
    };
    let response = match switching(&request, admission.subprotocol()) {
        Ok(response) => response,
        Err(error) => {
            refuse(&mut stream, bad_request(&error)).await?;
            return Err(error);
        }
    };
    drop(request);
    write(&mut stream, &response, "").await?;
    let config = Some(config(server.longest_frame()));
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, config).await;
    admission.serve(socket).await;
    Ok(())
}

/// How long a client may take for its handshake.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long its handshake may be, in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// Reads the head of a request, and what came behind it.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<(Request, Vec<u8>), Error> {
    let mut read = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(Error::Io(ErrorKind::UnexpectedEof.into()));
        }
        // The whole of it is parsed each time, which the limit bounds.
        if let Some((bytes, request)) = Request::try_parse(&read)? {
            return Ok((request, read.split_off(bytes)));
        }
        if read.len() > HEAD_BYTES {
            let why = "the head of the request is too long";
            return Err(Error::Io(std::io::Error::new(ErrorKind::InvalidData, why)));
        }
    }
}

async fn refuse(
    stream: &mut (impl AsyncWrite + Unpin),
    mut response: Response<String>,
) -> Result<(), Error> {
    let length = response.body().len().into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    write(stream, &response, response.body()).await?;
    stream.shutdown().await?;
    Ok(())
}

async fn write<B>(
    stream: &mut (impl AsyncWrite + Unpin),
    response: &Response<B>,
    body: &str,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    write_response(&mut bytes, response)?;
    bytes.extend_from_slice(body.as_bytes());
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}
