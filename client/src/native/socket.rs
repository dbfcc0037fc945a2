//! One socket: what the driver holds of it, and the task that reads and writes.

use core::cell::Cell;
use core::fmt::Display;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};

use futures_core::Stream as _;
use futures_sink::Sink as _;
use steady_socket_protocol::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::{Request, generate_key};
use tokio_tungstenite::tungstenite::http::header::{
    CONNECTION, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame as Frame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as Wire, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::{Host, Url};

use super::scope::{Home, LINGER, Leaving};
use super::settings::{Settings, check_value};
use super::tls;
use crate::browser::is_abandoned;
use crate::cell::RefCell;
use crate::connection::CloseFrame;
use crate::limits::NORMAL;
use crate::platform::{FaceSocket, RawSocket, Refused, SocketEvent, SocketListener, Target};

/// How the text of an error begins when a handshake was refused. The status follows.
pub(super) const REFUSED: &str = "the server refused the handshake with status ";

/// A close frame without a code.
const NO_CODE: u16 = 1005;

/// How many bytes are read at once.
const READ_BYTES: usize = 8 * 1024;

/// How many messages are passed on before other tasks have their turn.
const MESSAGES_IN_A_TURN: u32 = 64;

/// How many bytes of UTF-8 a UTF-16 code unit takes at most.
const UTF8_OF_A_UNIT: usize = 3;

/// How long a server may take to end the connection when both ends have said that they close. Browsers wait as long.
const SERVER_CLOSES: core::time::Duration = core::time::Duration::from_secs(2);

/// Where a socket is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    /// One end has closed.
    Closing,
    Closed,
}

/// What the socket and its task share.
struct Link {
    home: Weak<Home>,
    listener: RefCell<Option<Rc<dyn SocketListener<Message>>>>,
    state: Cell<State>,
    protocol: RefCell<String>,
    /// What is to be sent.
    queue: RefCell<VecDeque<Wire>>,
    /// The bytes of these, of what is not written yet, and of what was sent too late, as in a browser.
    buffered: Cell<u64>,
    /// What the program closes with, until it is sent.
    close: Cell<Option<Option<Frame>>>,
    /// The program has closed.
    closes: Cell<bool>,
    /// The program has dropped the socket without closing it.
    dropped: Cell<bool>,
    /// Held while it closes and nobody listens.
    leaving: Cell<Option<Leaving>>,
    task: Cell<Option<Waker>>,
}

/// The driver's end. Dropping it ends the connection, unless it is closing.
struct NativeSocket(Rc<Link>);

/// Starts to connect.
pub(super) fn connect(
    home: &Rc<Home>,
    settings: Rc<Settings>,
    target: &Target,
    max: Option<usize>,
    listener: Rc<dyn SocketListener<Message>>,
) -> Rc<FaceSocket> {
    let link = Rc::new(Link {
        home: Rc::downgrade(home),
        listener: RefCell::new(Some(listener)),
        state: Cell::new(State::Connecting),
        protocol: RefCell::default(),
        queue: RefCell::default(),
        buffered: Cell::default(),
        close: Cell::default(),
        closes: Cell::default(),
        dropped: Cell::default(),
        leaving: Cell::default(),
        task: Cell::default(),
    });
    let target = target.clone();
    let served = Rc::clone(&link);
    home.spawn(async move { serve(&served, &settings, &target, max).await });
    Rc::new(NativeSocket(link))
}

impl Link {
    /// Has the task look again.
    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    fn has_left(&self) -> bool {
        self.dropped.get() || is_abandoned()
    }

    /// Whether somebody listens. If so, they are told.
    fn tell(&self, event: SocketEvent) -> bool {
        let listener = self.listener.borrow().clone();
        match listener {
            Some(listener) if !is_abandoned() => {
                listener.event(event);
                true
            }
            _ => false,
        }
    }

    /// It ends by itself, as a browser lets it: an error, then the end.
    fn fail(&self, why: Option<String>) {
        self.state.set(State::Closed);
        self.tell(SocketEvent::Error(why));
        self.tell(SocketEvent::Closed(CloseFrame::abnormal()));
    }

    fn over(&self, close: CloseFrame) {
        self.state.set(State::Closed);
        self.tell(SocketEvent::Closed(close));
    }

    /// Waits until the program has closed it or is gone.
    async fn given_up(&self) {
        poll_fn(|task| {
            if self.closes.get() || self.has_left() {
                return Poll::Ready(());
            }
            self.task.set(Some(task.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// The task of a socket, from its beginning to its end.
async fn serve(link: &Rc<Link>, settings: &Settings, target: &Target, max: Option<usize>) {
    let made = {
        let mut making = Box::pin(make(settings, target, max));
        let mut given_up = Box::pin(link.given_up());
        poll_fn(|task| {
            if given_up.as_mut().poll(task).is_ready() {
                return Poll::Ready(None);
            }
            making.as_mut().poll(task).map(Some)
        })
        .await
    };
    match made {
        None if link.has_left() => {}
        None => link.fail(None),
        Some(Err(why)) => link.fail(Some(why)),
        Some(Ok((stream, protocol))) => {
            *link.protocol.borrow_mut() = protocol;
            link.state.set(State::Open);
            link.tell(SocketEvent::Opened);
            Open::new(link, stream, max).run().await;
        }
    }
    // Before the socket may be dropped.
    link.leaving.take();
}

/// A stream of bytes, with TLS or without.
trait Bytes: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

type WebSocket = WebSocketStream<Box<dyn Bytes>>;

/// Connects and shakes hands. Returns the socket, and the sub-protocol that the server chose.
///
/// # Errors
/// What went wrong, in words. They do not quote the URL.
async fn make(
    settings: &Settings,
    target: &Target,
    max: Option<usize>,
) -> Result<(WebSocket, String), String> {
    let words = |error: &dyn Display| error.to_string();
    let url = Url::parse(&target.url).map_err(|error| words(&error))?;
    let request = request(settings, target, &url)?;
    let host = url.host().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let connected = match host {
        Host::Domain(name) => TcpStream::connect((name, port)).await,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await,
    };
    let stream = connected.map_err(|error| format!("cannot connect: {error}"))?;
    // Messages are small and awaited. A failure only delays them.
    let _ = stream.set_nodelay(true);
    let stream: Box<dyn Bytes> = match url.scheme() {
        "wss" => {
            let host = match host {
                Host::Ipv6(address) => address.to_string(),
                host => host.to_string(),
            };
            Box::new(tls::connect(settings.tls.clone(), host, stream).await?)
        }
        _ => Box::new(stream),
    };
    // In bytes; of a text, the units are counted when it is there.
    let most = max.map(|max| max.saturating_mul(UTF8_OF_A_UNIT));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(most)
        .max_frame_size(most);
    let made = client_async_with_config(request, stream, Some(config)).await;
    let (socket, response) = made.map_err(|error| match error {
        Error::Http(response) => format!("{REFUSED}{}", response.status()),
        error => format!("the handshake failed: {error}"),
    })?;
    let protocol = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let protocol = protocol.and_then(|name| name.to_str().ok());
    Ok((socket, protocol.unwrap_or_default().to_owned()))
}

/// The request of a handshake.
fn request(settings: &Settings, target: &Target, url: &Url) -> Result<Request, String> {
    let mut headers = HeaderMap::new();
    let port = url.port().map(|port| format!(":{port}"));
    let host = url.host_str().unwrap_or_default();
    let mut add = |name, value: &str| match check_value(value) {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(refused) => Err(refused.to_string()),
    };
    add(HOST, &format!("{host}{}", port.unwrap_or_default()))?;
    add(CONNECTION, "Upgrade")?;
    add(UPGRADE, "websocket")?;
    add(SEC_WEBSOCKET_VERSION, "13")?;
    add(SEC_WEBSOCKET_KEY, &generate_key())?;
    if !target.protocols.is_empty() {
        add(SEC_WEBSOCKET_PROTOCOL, &target.protocols.join(", "))?;
    }
    let mut own = HeaderMap::new();
    for (name, value) in &settings.headers {
        let value = catch_unwind(AssertUnwindSafe(|| value()))
            .map_err(|_| "the function that gives a header has panicked".to_owned())?;
        let value: HeaderValue = check_value(&value).map_err(|refused| refused.to_string())?;
        own.append(name, value);
    }
    // One of its own replaces `Host`.
    for name in own.keys() {
        headers.remove(name);
    }
    headers.extend(own);
    let mut request = Request::new(());
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|_| "the URL cannot be in a request".to_owned())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// What the task of an open socket does next.
enum Next {
    Message(Message, usize),
    TooBig,
    /// It ends: after an error, if there is one.
    End(Option<String>, CloseFrame),
    /// Nobody wants it any more.
    Drop,
}

/// An open socket.
struct Open<'a> {
    link: &'a Rc<Link>,
    stream: WebSocket,
    max: Option<usize>,
    /// Bytes that were passed on and perhaps not written.
    unwritten: u64,
    /// Writing has failed. What the server has sent before can still be read.
    is_mute: bool,
    /// Reading has ended. What is to be said can still be written.
    is_deaf: bool,
    /// What the server closes with.
    said: Option<CloseFrame>,
    /// When waiting ends for the server, or for the network with nobody listening.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<'a> Open<'a> {
    fn new(link: &'a Rc<Link>, stream: WebSocket, max: Option<usize>) -> Self {
        Self {
            link,
            stream,
            max,
            unwritten: 0,
            is_mute: false,
            is_deaf: false,
            said: None,
            patience: None,
        }
    }

    async fn run(mut self) {
        let mut left = MESSAGES_IN_A_TURN;
        loop {
            match poll_fn(|task| self.poll(task)).await {
                Next::Message(message, bytes) => {
                    let listener = self.link.listener.borrow().clone();
                    if let Some(listener) = listener {
                        listener.message(message, bytes);
                    }
                }
                Next::TooBig => {
                    self.link.tell(SocketEvent::TooBig);
                }
                Next::End(error, close) => {
                    // Dropped first: whoever is told may connect again.
                    let link = self.link;
                    drop(self);
                    match error {
                        Some(error) => link.fail(Some(error)),
                        None => link.over(close),
                    }
                    return;
                }
                Next::Drop => return,
            }
            left = left.saturating_sub(1);
            if left == 0 {
                left = MESSAGES_IN_A_TURN;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Writes what there is, and reads.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Next> {
        self.link.task.set(Some(task.waker().clone()));
        if self.link.has_left() {
            return Poll::Ready(Next::Drop);
        }
        let has_written = self.write(task);
        let has_closed = self.link.closes.get() && (has_written || self.is_mute);
        if self.is_deaf && has_closed && self.drain(task).is_ready() {
            return Poll::Ready(self.end());
        }
        while !self.is_deaf {
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_next(task) else {
                break;
            };
            if let Some(next) = self.read(read) {
                return Poll::Ready(next);
            }
            if self.said.is_some() || self.is_deaf {
                // An answer may have to be written.
                task.waker().wake_by_ref();
                break;
            }
        }
        let alone = self.link.listener.borrow().is_none();
        let wait = match () {
            () if self.said.is_some() || self.is_deaf => Some(SERVER_CLOSES),
            () if alone => Some(LINGER),
            () => None,
        };
        let Some(wait) = wait else {
            return Poll::Pending;
        };
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(patience.as_mut().poll(task));
        Poll::Ready(self.end())
    }

    /// Says that no more follows, and throws away what comes, until the server ends the connection: if that ended with bytes
    /// unread, the system would reset it, and the server might not see the close frame.
    fn drain(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let stream = self.stream.get_mut();
        let _ = Pin::new(&mut *stream).poll_shutdown(task);
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut *stream).poll_read(task, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// The end, after what the server has said.
    fn end(&mut self) -> Next {
        let close = self.said.take().unwrap_or_else(CloseFrame::abnormal);
        Next::End(None, close)
    }

    /// Writes as much as the network takes. Returns whether that is everything.
    fn write(&mut self, task: &mut Context<'_>) -> bool {
        if self.is_mute {
            return false;
        }
        match self.try_write(task) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                // Reading tells why.
                self.is_mute = true;
                false
            }
            Poll::Pending => false,
        }
    }

    fn try_write(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let link = self.link;
        loop {
            ready!(Pin::new(&mut self.stream).poll_ready(task))?;
            let next = link.queue.borrow_mut().pop_front();
            let next = match next {
                Some(message) => {
                    let bytes = message.len() as u64;
                    self.unwritten = self.unwritten.saturating_add(bytes);
                    message
                }
                None => match link.close.take() {
                    Some(frame) => Wire::Close(frame),
                    None => break,
                },
            };
            Pin::new(&mut self.stream).start_send(next)?;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(task))?;
        let unwritten = core::mem::take(&mut self.unwritten);
        let buffered = &link.buffered;
        buffered.set(buffered.get().saturating_sub(unwritten));
        Poll::Ready(Ok(()))
    }

    /// What follows from what was read, unless that is nothing.
    fn read(&mut self, read: Option<Result<Wire, Error>>) -> Option<Next> {
        match read {
            Some(Ok(Wire::Text(text))) => {
                let units = match text.is_ascii() {
                    true => text.len(),
                    false => text.encode_utf16().count(),
                };
                self.received(units, || Message::Text(text.as_str().to_owned()))
            }
            Some(Ok(Wire::Binary(bytes))) => {
                self.received(bytes.len(), || Message::Binary(bytes.into()))
            }
            // Answered by the library.
            Some(Ok(Wire::Ping(_) | Wire::Pong(_) | Wire::Frame(_))) => None,
            Some(Ok(Wire::Close(frame))) => {
                // What was not sent by now never will be.
                self.link.state.set(State::Closing);
                self.link.queue.borrow_mut().clear();
                drop(self.link.close.take());
                self.said = Some(frame.map_or_else(
                    || CloseFrame {
                        code: NO_CODE,
                        reason: String::new(),
                        clean: true,
                    },
                    |frame| CloseFrame {
                        code: frame.code.into(),
                        reason: frame.reason.as_str().to_owned(),
                        clean: true,
                    },
                ));
                None
            }
            Some(Err(error)) if self.said.is_none() => self.failed(error),
            // After the closing handshake, it does not matter how the connection ends.
            Some(Err(_)) | None => Some(self.end()),
        }
    }

    /// A message has arrived, of this many bytes, or of a text UTF-16 code units.
    fn received(&mut self, bytes: usize, message: impl FnOnce() -> Message) -> Option<Next> {
        // One that has closed hears of no more.
        if self.link.state.get() != State::Open {
            return None;
        }
        match self.max {
            Some(max) if bytes > max => Some(Next::TooBig),
            _ => Some(Next::Message(message(), bytes)),
        }
    }

    /// Reading has failed.
    fn failed(&mut self, error: Error) -> Option<Next> {
        let code = match &error {
            // A cut: no error in a browser either.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | Error::ConnectionClosed
            | Error::AlreadyClosed => return Some(self.end()),
            Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Some(self.end());
            }
            // The driver closes, with a code that says so. No more can be read.
            Error::Capacity(_) => {
                self.is_deaf = true;
                return Some(Next::TooBig);
            }
            Error::Protocol(_) => 1002,
            Error::Utf8(_) => 1007,
            _ => return Some(Next::End(Some(error.to_string()), CloseFrame::abnormal())),
        };
        // As far as that is possible at once: nobody waits for it.
        let frame = Frame {
            code: u16::into(code),
            reason: Utf8Bytes::default(),
        };
        let stream = Pin::new(&mut self.stream);
        if stream.start_send(Wire::Close(Some(frame))).is_ok() {
            let mut task = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_flush(&mut task);
        }
        Some(Next::End(Some(error.to_string()), CloseFrame::abnormal()))
    }
}

impl RawSocket<Message> for NativeSocket {
    fn send(&self, payload: &Message) -> Result<(), Refused> {
        let Self(link) = self;
        let bytes = payload.len() as u64;
        match link.state.get() {
            State::Connecting => return Err(Refused::because("it is still connecting")),
            State::Open => {
                link.queue.borrow_mut().push_back(match payload {
                    Message::Text(text) => Wire::text(text.as_str()),
                    Message::Binary(bytes) => Wire::binary(bytes.clone()),
                });
                link.wake();
            }
            // As in a browser, it stays here.
            State::Closing | State::Closed => {}
        }
        let buffered = link.buffered.get().saturating_add(bytes);
        link.buffered.set(buffered);
        Ok(())
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        let Self(link) = self;
        if link.closes.get() || link.state.get() == State::Closed {
            return;
        }
        link.closes.set(true);
        // The library answers a server that has closed.
        if link.state.replace(State::Closing) == State::Open {
            let frame = (code.is_some() || !reason.is_empty()).then(|| Frame {
                code: code.unwrap_or(NORMAL).into(),
                reason: Utf8Bytes::from(reason),
            });
            link.close.set(Some(frame));
        }
        link.linger();
        link.wake();
    }

    fn detach(&self) {
        let listener = self.0.listener.borrow_mut().take();
        drop(listener);
        self.0.linger();
        self.0.wake();
    }

    fn buffered_amount(&self) -> u64 {
        self.0.buffered.get()
    }

    fn protocol(&self) -> String {
        self.0.protocol.borrow().clone()
    }
}

impl Link {
    /// If it closes with nobody listening, its place waits for it.
    fn linger(&self) {
        let is_alone = self.listener.borrow().is_none();
        if is_alone && self.closes.get() && self.state.get() != State::Closed {
            let leaving = self.home.upgrade().map(|home| home.leave());
            drop(self.leaving.replace(leaving));
        }
    }
}

impl Drop for NativeSocket {
    fn drop(&mut self) {
        let Self(link) = self;
        if !link.closes.get() {
            link.dropped.set(true);
        }
        self.detach();
    }
}
