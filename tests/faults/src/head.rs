//! The head of an HTTP request, read before it is known who will answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The largest head, in bytes.
const LARGEST: usize = 16 * 1024;

/// The time limit for a head.
const TIME: Duration = Duration::from_secs(10);

/// The head of a request, and what followed it.
pub(crate) struct Head {
    pub(crate) bytes: Vec<u8>,
    /// The URL's path.
    pub(crate) path: String,
    /// The parameter `id` of the URL's query, verbatim.
    pub(crate) id: Option<String>,
    /// Whether the request is a WebSocket handshake.
    pub(crate) is_handshake: bool,
}

/// Reads a request's head; `None` if it is malformed, too large or too slow.
pub(crate) async fn read(stream: &mut TcpStream) -> Option<Head> {
    let bytes = timeout(TIME, until_blank_line(stream)).await.ok()?.ok()?.0;
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(&bytes).ok()?.is_complete() {
        return None;
    }
    let target = request.path?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let id = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("id="))
        .map(str::to_owned);
    let is_handshake = request.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("upgrade")
            && header.value.eq_ignore_ascii_case(b"websocket")
    });
    let path = path.to_owned();
    Some(Head {
        bytes,
        path,
        id,
        is_handshake,
    })
}

/// Reads a head, and returns it with what followed and the head's length.
pub(crate) async fn until_blank_line(stream: &mut TcpStream) -> io::Result<(Vec<u8>, usize)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            return Ok((bytes, at + 4));
        }
        if bytes.len() > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A connection that replays its first bytes, which were already read.
pub(crate) struct Rewound {
    again: io::Cursor<Vec<u8>>,
    stream: TcpStream,
}

impl Rewound {
    pub(crate) fn new(bytes: Vec<u8>, stream: TcpStream) -> Self {
        Self {
            again: io::Cursor::new(bytes),
            stream,
        }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let ready = Pin::new(&mut self.again).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            return ready;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
