//! The Rust API: a typed stream and sink that stays connected.

use core::cell::Cell;
use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::{Rc, Weak};

use futures_core::Stream;
use futures_sink::Sink;
use steady_socket_protocol::control;
use steady_socket_protocol::{
    Codec, Decode, DecodeError, Encode, EncodeError, Endpoint, Message, Offers,
};

use crate::browser::{Browser, is_abandoned};
use crate::cell::RefCell;
use crate::connection::{
    CloseError, DropReason, Dropped, Event, Input, Loss, Phase, SendMode, SendRejected, Sent,
    Snapshot, Verdict, check_close,
};
use crate::driver::{Answer, Application, Attempt, Driver, Resolution, WeakDriver};
use crate::events::{Events, Watchers};
use crate::inbox::{INBOX_FULL, Inbox, InboxLimits, Received};
use crate::options::{OptionError, Options};
use crate::platform::{LocalFuture, Refused, Runtime, Target};
use crate::search::Searching;
use crate::source::{Source, check_mixed_content, check_protocols};
use crate::waiting::{Place, WaitingList};

/// Why a socket could not be made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// An option's value is out of range.
    Option(OptionError),
    /// The URL is not a valid WebSocket URL.
    Url(Refused),
    /// The page was loaded over https, and the URL is not secure (see the option `allow_insecure`).
    Insecure(Refused),
    /// The sub-protocols are invalid.
    Protocols(Refused),
    /// The option `keepalive_interval` is set, but there is nothing to send: see [`Builder::keepalive`].
    Keepalive,
    /// There is no browser: set a platform with [`Builder::platform`].
    NoBrowser,
    /// The program has panicked (see [`close_sockets_on_panic`](crate::close_sockets_on_panic)).
    Panicked,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(error) => error.fmt(f),
            Self::Url(error) | Self::Insecure(error) | Self::Protocols(error) => error.fmt(f),
            Self::Keepalive => f.write_str(
                "option keepalive_interval has nothing to send; give the builder a keepalive or a \
                 heartbeat, or set option control_messages",
            ),
            Self::NoBrowser => f.write_str("not running in a browser; give the builder a platform"),
            Self::Panicked => {
                f.write_str("the program has panicked and will not connect until it is reloaded")
            }
        }
    }
}

impl core::error::Error for ConnectError {}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full.
    Full,
    /// The connection is closing or closed for good, or its [`Socket`] was dropped.
    Closed,
    /// The message could not be encoded.
    Encode(EncodeError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

/// The socket is gone: it was dropped, or the program has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the socket was dropped, or the program has panicked")
    }
}

impl core::error::Error for Gone {}

/// Why [`Handle::reconnect_with`] did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconnectError {
    /// The code or the reason must not be sent.
    Close(CloseError),
    /// The socket is gone.
    Gone(Gone),
}

impl fmt::Display for ReconnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(error) => error.fmt(f),
            Self::Gone(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReconnectError {}

/// The application's predicate.
type Predicate = Box<dyn Fn(&Loss) -> Option<Verdict>>;

/// The application's handler for `open`.
type OnOpen = Box<dyn Fn(&Opening<'_>)>;

/// The application's message handler, which decodes the message first.
type OnMessage = Box<dyn FnMut(&Rc<Shared>, Message)>;

/// The application's event handler.
type OnEvent = Box<dyn FnMut(&Event<Message>)>;

/// Configures a connection. Created by [`Socket::builder`].
#[must_use = "a builder does nothing before `connect`"]
pub struct Builder<Out, In, C> {
    url: Source<String>,
    protocols: Source<Vec<String>>,
    options: Options,
    /// The check of the options and the sub-protocols, set where they are given, so that a program that gives none is
    /// built without the table of options and the grammar of names.
    wrong_option: Option<OptionError>,
    wrong_protocols: Option<Refused>,
    platform: Option<Rc<dyn Runtime>>,
    predicate: Option<Predicate>,
    on_open: Option<OnOpen>,
    on_message: Option<OnMessage>,
    on_event: Option<OnEvent>,
    heartbeat: Option<Heartbeat>,
    keepalive: Option<Message>,
    inbox: InboxLimits,
    /// Whether the sub-protocols offer control messages.
    controls: bool,
    types: PhantomData<fn(Out, C) -> In>,
}

/// The ping that the server answers, and how to recognise the answer.
struct Heartbeat {
    ping: Message,
    is_pong: Box<dyn Fn(&Message) -> bool>,
}

impl<Out, In, C> fmt::Debug for Builder<Out, In, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<Out, In, C> Builder<Out, In, C> {
    fn new(url: Source<String>) -> Self {
        Self {
            url,
            protocols: Source::from([]),
            options: Options::default(),
            wrong_option: None,
            wrong_protocols: None,
            platform: None,
            predicate: None,
            on_open: None,
            on_message: None,
            on_event: None,
            heartbeat: None,
            keepalive: None,
            inbox: InboxLimits::default(),
            controls: false,
            types: PhantomData,
        }
    }

    /// The sub-protocols to offer, in order of preference.
    pub fn protocols(mut self, protocols: impl Into<Source<Vec<String>>>) -> Self {
        self.protocols = protocols.into();
        let known = self.protocols.value();
        self.wrong_protocols = known.and_then(|protocols| check_protocols(protocols).err());
        self
    }

    /// Delays, limits and policies.
    pub fn options(mut self, options: Options) -> Self {
        self.wrong_option = options.check().err();
        self.options = options.settled();
        self
    }

    /// Calls `predicate` after every loss; `None` leaves the decision to [the policy for the close
    /// code](crate::connection::close_policy).
    pub fn should_reconnect(
        mut self,
        predicate: impl Fn(&Loss) -> Option<Verdict> + 'static,
    ) -> Self {
        self.predicate = Some(Box::new(predicate));
        self
    }

    /// Calls `handler` when a connection is open, before anything in the queue is sent. What it sends goes ahead of
    /// the queue: this is the place to authenticate. Imports from JavaScript that may throw must use `catch`, as for
    /// [`Builder::on_message`].
    pub fn on_open(mut self, handler: impl Fn(&Opening<'_>) + 'static) -> Self {
        self.on_open = Some(Box::new(handler));
        self
    }

    /// Calls `handler` with every event as it happens, before the handler of [`Builder::on_open`]. Unlike the stream
    /// of [`Socket::events`], which keeps a limited number of events for a slow reader, it misses none. It must not
    /// own the [`Socket`]; with a [`Handle`] it may send, close and reconnect. Imports from JavaScript that may throw
    /// must use `catch`, as for [`Builder::on_message`].
    pub fn on_event(mut self, handler: impl FnMut(&Event<Message>) + 'static) -> Self {
        self.on_event = Some(Box::new(handler));
        self
    }

    /// Says that the server answers `ping`, and which messages are the answer; these do not reach the stream. With
    /// it, the option `heartbeat_interval` detects half-open connections, and a page that wakes up asks the server
    /// whether the connection is still alive. An answer confirms what was sent before that ping; if more answers come
    /// than pings went out, the server sends them unasked, and they confirm nothing.
    pub fn heartbeat(
        mut self,
        ping: Message,
        is_pong: impl Fn(&Message) -> bool + 'static,
    ) -> Self {
        self.heartbeat = Some(Heartbeat {
            ping,
            is_pong: Box::new(is_pong),
        });
        self
    }

    /// Sent at every `keepalive_interval` (see [`Options`]) unless control messages are in use; the default is the
    /// ping of [`Builder::heartbeat`]. The server need not answer, and no conclusion is drawn if it does not.
    pub fn keepalive(mut self, message: Message) -> Self {
        self.keepalive = Some(message);
        self
    }

    /// How many unread messages the stream may hold.
    pub fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Runs on a platform other than the browser: a test kit, a simulation.
    pub fn platform(mut self, platform: Rc<dyn Runtime>) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Starts connecting, unless the option `start_closed` is set.
    ///
    /// # Errors
    /// If an option, the URL or a sub-protocol is invalid.
    pub fn connect(mut self) -> Result<Socket<Out, In, C>, ConnectError> {
        if is_abandoned() {
            return Err(ConnectError::Panicked);
        }
        if self.controls {
            self.options = self.options.control_messages(true);
        }
        if let Some(wrong) = self.wrong_option {
            return Err(ConnectError::Option(wrong));
        }
        if self.options.values().keepalive_interval.is_some()
            && !self.options.values().control_messages
            && self.keepalive.is_none()
            && self.heartbeat.is_none()
        {
            return Err(ConnectError::Keepalive);
        }
        let platform = match self.platform {
            Some(platform) => platform,
            None if cfg!(target_family = "wasm") => Rc::new(Browser::new()),
            None => return Err(ConnectError::NoBrowser),
        };
        if let Some(url) = self.url.value() {
            let url = platform.parse_url(url).map_err(ConnectError::Url)?;
            check_secure(&*platform, self.options, &url).map_err(ConnectError::Insecure)?;
            self.url.set_value(url);
        }
        if let Some(wrong) = self.wrong_protocols {
            return Err(ConnectError::Protocols(wrong));
        }
        let shared = Rc::new(Shared {
            inbox: RefCell::new(Inbox::new(self.inbox)),
            on_event: Cell::new(self.on_event),
            ..Shared::default()
        });
        let face = Rc::new(Face {
            url: self.url,
            protocols: self.protocols,
            options: self.options,
            platform: Rc::clone(&platform),
            predicate: self.predicate,
            on_open: self.on_open,
            on_message: Cell::new(self.on_message),
            heartbeat: self.heartbeat,
            keepalive: self.keepalive,
            shared: Rc::clone(&shared),
        });
        let driver = Driver::new(self.options, platform, Box::new(FaceRef(face)));
        *shared.driver.borrow_mut() = Some(driver.downgrade());
        if !self.options.values().start_closed {
            driver.command(Input::Start);
        }
        Ok(Socket {
            driver,
            shared,
            waiting: None,
            place: None,
            types: PhantomData,
        })
    }
}

impl<Out, In, C: Decode<In>> Builder<Out, In, C> {
    /// Calls `handler` with every message as it arrives, and with every decoding error, instead of keeping it for the
    /// stream, which then yields nothing and ends with the connection.
    ///
    /// This is the fastest way to receive: no task is woken for a message, and nothing waits to be read, so the
    /// limits of [`Builder::inbox`] do not apply. With its [`Handle`], the handler may send, close and reconnect; the
    /// next message comes after it has returned. It must not own the [`Socket`], which owns it.
    ///
    /// Imports from JavaScript that may throw must use `#[wasm_bindgen(catch)]`. An uncaught exception leaves through
    /// this crate without any cleanup, as it does in all Rust code, and the socket then reports nothing more.
    ///
    /// ```no_run
    /// use steady_socket::{Json, Socket};
    ///
    /// let mut sum = 0;
    /// let socket = Socket::<u32, u32, Json>::builder("wss://example.org/numbers")
    ///     .on_message(move |handle, message| match message {
    ///         Ok(number) => {
    ///             sum += number;
    ///             if let Err(error) = handle.try_send(&sum) {
    ///                 eprintln!("the sum is lost: {error}");
    ///             }
    ///         }
    ///         Err(error) => eprintln!("{error}"),
    ///     })
    ///     .connect()?;
    /// # Ok::<(), steady_socket::ConnectError>(())
    /// ```
    pub fn on_message(
        mut self,
        mut handler: impl FnMut(&Handle<Out, C>, Result<In, DecodeError>) + 'static,
    ) -> Self {
        self.on_message = Some(Box::new(move |shared, message| {
            handler(&Handle::of(shared), C::decode(message));
        }));
        self
    }
}

/// State shared by the socket, its handles and the driver's application. It does not keep the connection alive.
#[derive(Default)]
struct Shared {
    driver: RefCell<Option<WeakDriver<Message, dyn Runtime, FaceRef>>>,
    inbox: RefCell<Inbox>,
    reader: RefCell<Option<Waker>>,
    /// The tasks that wait for room or for the end.
    waiting: RefCell<WaitingList>,
    watchers: Watchers,
    /// `None` while it runs.
    on_event: Cell<Option<OnEvent>>,
    gone: Cell<bool>,
}

impl Shared {
    /// Whether the socket was dropped or the program has panicked: then any of this state may be inconsistent.
    fn is_gone(&self) -> bool {
        self.gone.get() || is_abandoned()
    }

    fn driver(&self) -> Option<Driver<Message, dyn Runtime, FaceRef>> {
        if self.is_gone() {
            return None;
        }
        self.driver.borrow().as_ref()?.upgrade()
    }

    /// Delivers an event to all watchers.
    fn tell(&self, event: &Event<Message>) {
        self.watchers.tell(event);
        // `None` while it runs: an event that its own calls cause comes later.
        if let Some(mut handler) = self.on_event.take() {
            handler(event);
            self.on_event.set(Some(handler));
        }
    }

    fn wake_reader(&self) {
        let waker = self.reader.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the tasks whose condition now holds.
    #[inline(never)]
    fn wake_waiting(&self, is_there: &dyn Fn(Option<usize>) -> bool) {
        let next = || self.waiting.borrow_mut().take(is_there);
        while let Some(waker) = next() {
            waker.wake();
        }
    }

    /// Registers a task to be woken when there is room, or only at the end, in its existing slot if it has one.
    fn wait(&self, place: &mut Option<Place>, task: &Context<'_>, room: Option<usize>) {
        let waker = task.waker().clone();
        let earlier = self.waiting.borrow_mut().wait(place, room, waker);
        drop(earlier);
    }

    /// Removes a waiting task.
    fn leave(&self, place: &mut Option<Place>) {
        if let Some(place) = place.take() {
            let waker = self.waiting.borrow_mut().leave(place);
            drop(waker);
        }
    }

    /// Sends an encoded message; returns it if there is no room.
    fn send(&self, message: Message, mode: SendMode) -> Result<Sent, SendRejected<Message>> {
        match self.driver() {
            Some(driver) => {
                let bytes = message.len();
                driver.send(message, bytes, mode)
            }
            None => Err(SendRejected::Closed(message)),
        }
    }
}

/// The driver's application.
pub(crate) struct Face {
    url: Source<String>,
    protocols: Source<Vec<String>>,
    options: Options,
    platform: Rc<dyn Runtime>,
    predicate: Option<Predicate>,
    on_open: Option<OnOpen>,
    /// `None` while it runs.
    on_message: Cell<Option<OnMessage>>,
    heartbeat: Option<Heartbeat>,
    keepalive: Option<Message>,
    shared: Rc<Shared>,
}

/// The driver owns the application; an attempt in progress keeps it alive, too.
struct FaceRef(Rc<Face>);

impl Face {
    fn target(&self, url: String, protocols: Vec<String>) -> Result<Target, Refused> {
        check_protocols(&protocols)?;
        // A fixed URL was parsed when the socket was made and does not change.
        let url = parse_url(&*self.platform, self.options, &url)?;
        Ok(Target { url, protocols })
    }
}

/// The URL for the socket, if the page may connect to it.
fn parse_url(platform: &dyn Runtime, options: Options, url: &str) -> Result<String, Refused> {
    let url = platform.parse_url(url)?;
    check_secure(platform, options, &url)?;
    Ok(url)
}

/// Whether a parsed URL may be connected to from this page.
fn check_secure(platform: &dyn Runtime, options: Options, url: &str) -> Result<(), Refused> {
    check_mixed_content(
        url,
        platform.page_is_secure() && !options.values().allow_insecure,
    )
}

impl Application<Message> for FaceRef {
    fn resolve(&self, attempt: &Attempt, answer: Answer) -> Resolution {
        let face = &self.0;
        if let Some(search) = face.url.search().or(face.protocols.search()) {
            return search(face, attempt, answer);
        }
        let (url, protocols) = (face.url.value(), face.protocols.value());
        // They were checked when the socket was made.
        Resolution::Ready(Ok(Target {
            url: url.cloned().unwrap_or_default(),
            protocols: protocols.cloned().unwrap_or_default(),
        }))
    }

    fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        self.0
            .predicate
            .as_ref()
            .and_then(|predicate| predicate(loss))
    }

    fn message(&self, payload: Message) {
        // The driver hands over one message at a time, so it is present whenever there is one.
        if let Some(mut handler) = self.0.on_message.take() {
            handler(&self.0.shared, payload);
            self.0.on_message.set(Some(handler));
            return;
        }
        let shared = &self.0.shared;
        let received = shared.inbox.borrow_mut().push(payload);
        let dropped = match received {
            Received::Kept => Vec::new(),
            Received::Dropped(messages) => messages,
            Received::Refused(message) => {
                if let Some(driver) = shared.driver() {
                    let reason = "inbox full".to_owned();
                    driver.command(Input::Close {
                        code: Some(INBOX_FULL),
                        reason,
                    });
                }
                vec![message]
            }
        };
        if !dropped.is_empty() {
            let bytes = dropped.iter().map(|message| message.len() as u64).sum();
            shared.tell(&Event::Dropped(Dropped {
                reason: DropReason::InboxFull,
                payloads: dropped,
                omitted: 0,
                bytes,
            }));
        }
        shared.wake_reader();
    }

    fn event(&self, event: Event<Message>) {
        let shared = &self.0.shared;
        shared.tell(&event);
        if let (
            Event::Open {
                reconnected,
                attempt,
                ..
            },
            Some(handler),
        ) = (&event, &self.0.on_open)
        {
            handler(&Opening {
                shared,
                reconnected: *reconnected,
                attempt: *attempt,
            });
        }
    }

    fn ping(&self) -> Option<Message> {
        self.0
            .heartbeat
            .as_ref()
            .map(|heartbeat| heartbeat.ping.clone())
    }

    fn keepalive(&self) -> Option<Message> {
        self.0.keepalive.clone()
    }

    fn is_pong(&self, payload: &Message) -> bool {
        self.0
            .heartbeat
            .as_ref()
            .is_some_and(|heartbeat| (heartbeat.is_pong)(payload))
    }

    fn settled(&self) {
        let shared = &self.0.shared;
        // Checked first, since it holds after nearly every message.
        if shared.waiting.borrow().is_empty() && shared.reader.borrow().is_none() {
            return;
        }
        let Some(driver) = shared.driver() else {
            return;
        };
        let over = driver.ask(|connection| connection.phase() == Phase::Closed);
        if over {
            shared.wake_reader();
        }
        // Only as many as there is room for: one that is woken in vain would wake the next.
        shared.wake_waiting(&|room| {
            over || room.is_some_and(|room| driver.ask(|connection| connection.has_room(room)))
        });
    }
}

/// Resolves the URL and the sub-protocols of an attempt, where a provider supplies them.
pub(crate) type Search = fn(&Rc<Face>, &Attempt, Answer) -> Resolution;

/// See [`Search`].
pub(crate) fn search(face: &Rc<Face>, attempt: &Attempt, answer: Answer) -> Resolution {
    let (url, protocols) = (face.url.give(attempt), face.protocols.give(attempt));
    let asking = Rc::clone(face);
    let (searching, watched) = Searching::watch(Box::pin(async move {
        let (url, protocols) = both(url, protocols).await;
        asking.target(url?, protocols?)
    }));
    face.platform.spawn(Box::pin(async move {
        if let Some(target) = watched.await {
            answer(target);
        }
    }));
    Resolution::Pending(Box::new(searching))
}

/// Polls two futures concurrently.
async fn both<A, B>(mut a: LocalFuture<A>, mut b: LocalFuture<B>) -> (A, B) {
    let (mut first, mut second) = (None, None);
    poll_fn(move |task| {
        if first.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(task)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(task)
        {
            second = Some(value);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// A connection that has just opened, passed to the handler of [`Builder::on_open`].
pub struct Opening<'a> {
    shared: &'a Rc<Shared>,
    reconnected: bool,
    attempt: u32,
}

impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("reconnected", &self.reconnected)
            .field("attempt", &self.attempt)
            .finish()
    }
}

impl Opening<'_> {
    /// Whether an earlier connection was open.
    #[must_use]
    pub const fn reconnected(&self) -> bool {
        self.reconnected
    }

    /// The number of attempts it took.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A handle for sending, closing and querying.
    #[must_use]
    pub fn handle<Out, C>(&self) -> Handle<Out, C> {
        Handle::of(self.shared)
    }
}

/// A typed WebSocket that stays connected: a [`Stream`] of what the server sends and a [`Sink`] for what
/// the application sends.
///
/// * The stream yields `Err` for a message that cannot be decoded, and continues. It ends when the connection is
///   closed for good, and resumes after [`Handle::reconnect`].
/// * The sink accepts one message more than the queue has room for, and is then not ready until there is room,
///   connected or not; `send(…).await` returns when the queue or the browser has the message. Closing the sink closes
///   the connection and waits for that.
/// * Dropping it (after a split, dropping its last half) hands the queue to the browser, closes the connection and
///   frees every listener and timer.
///
/// ```no_run
/// # use futures_util::{SinkExt, StreamExt};
/// # use steady_socket::Socket;
/// # use steady_socket::protocol::PlainText;
/// # async fn hello() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = Socket::<String, String, PlainText>::connect("ws://127.0.0.1:8765")?;
/// socket.send("Ada".to_owned()).await?;
/// assert_eq!(socket.next().await.unwrap()?, "Hello Ada!");
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a socket closes the connection"]
pub struct Socket<Out, In, C> {
    driver: Driver<Message, dyn Runtime, FaceRef>,
    shared: Rc<Shared>,
    /// A message that the sink has accepted but the queue has no room for yet.
    waiting: Option<Message>,
    /// Where the task that uses the sink waits.
    place: Option<Place>,
    types: PhantomData<fn(Out, C) -> In>,
}

/// The socket that [`endpoint`] makes.
pub type EndpointSocket<E, C> =
    Socket<<E as Endpoint>::ClientMessage, <E as Endpoint>::ServerMessage, C>;

impl<Out, In, C> fmt::Debug for Socket<Out, In, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl<Out, In, C> Socket<Out, In, C> {
    /// Connects with the default options.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn connect(url: impl Into<Source<String>>) -> Result<Self, ConnectError> {
        Self::builder(url).connect()
    }

    /// Configures the socket before it connects.
    pub fn builder(url: impl Into<Source<String>>) -> Builder<Out, In, C> {
        Builder::new(url.into())
    }

    /// A handle that sends, closes, reconnects and queries, and does not keep the connection alive.
    #[must_use]
    pub fn handle(&self) -> Handle<Out, C> {
        Handle::of(&self.shared)
    }

    /// The connection's events from now on. Right after the socket was made, this includes those of the first
    /// attempt.
    pub fn events(&self) -> Events {
        self.shared.watchers.watch()
    }

    fn phase(&self) -> Phase {
        if is_abandoned() {
            return Phase::Closed;
        }
        self.driver.ask(|connection| connection.phase())
    }

    /// Sends the waiting message, if there is room.
    fn poll_waiting(&mut self, task: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = self.waiting.take() else {
            return match self.phase() {
                Phase::Closing | Phase::Closed => Poll::Ready(Err(SendError::Closed)),
                _ => Poll::Ready(Ok(())),
            };
        };
        let sent = match self.shared.send(message, SendMode::default()) {
            Ok(_) => Ok(()),
            Err(SendRejected::Closed(_)) => Err(SendError::Closed),
            Err(SendRejected::Full(message)) => {
                let room = Some(message.len());
                self.shared.wait(&mut self.place, task, room);
                self.waiting = Some(message);
                return Poll::Pending;
            }
        };
        self.shared.leave(&mut self.place);
        Poll::Ready(sent)
    }
}

/// Connects to an endpoint at `base`, for example `wss://example.org`, or the empty string for the page's own server.
/// The path and the messages are the endpoint's, a query of `base` goes after the path, and the sub-protocol is the
/// one that the endpoint offers for the codec; a codec that it does not offer is a compile error. The client also
/// offers [control messages](steady_socket_protocol::control): if the server supports them, half-open connections are
/// detected, and the server can say when to reconnect.
///
/// ```no_run
/// use steady_socket::endpoint;
/// use steady_socket::protocol::Json;
/// use steady_socket::protocol::hello::Hello;
///
/// let socket = endpoint::<Hello, Json>("ws://127.0.0.1:8765").connect()?;
/// # Ok::<(), steady_socket::ConnectError>(())
/// ```
pub fn endpoint<E, C>(base: &str) -> Builder<E::ClientMessage, E::ServerMessage, C>
where
    C: Codec,
    E: Offers<C>,
{
    let (base, query) = base.split_at(base.find('?').unwrap_or(base.len()));
    let url = format!("{}{}{query}", base.trim_end_matches('/'), E::PATH);
    let name = <E as Offers<C>>::SUBPROTOCOL;
    // With control messages first; a server that does not know them chooses the plain name.
    let offers = vec![format!("{name}{}", control::SUFFIX), name.to_owned()];
    let mut builder = Socket::builder(url).protocols(offers);
    builder.controls = true;
    builder
}

/// A socket is never structurally pinned.
impl<Out, In, C> Unpin for Socket<Out, In, C> {}

impl<Out, In, C: Decode<In>> Stream for Socket<Out, In, C> {
    type Item = Result<In, DecodeError>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if is_abandoned() {
            return Poll::Ready(None);
        }
        let message = self.shared.inbox.borrow_mut().pop();
        if let Some(message) = message {
            return Poll::Ready(Some(C::decode(message)));
        }
        if self.phase() == Phase::Closed {
            return Poll::Ready(None);
        }
        let earlier = self
            .shared
            .reader
            .borrow_mut()
            .replace(task.waker().clone());
        drop(earlier);
        Poll::Pending
    }
}

impl<Out, In, C: Encode<Out>> Sink<Out> for Socket<Out, In, C> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_waiting(task)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Out) -> Result<(), SendError> {
        let message = C::encode(&item).map_err(SendError::Encode)?;
        match self.shared.send(message, SendMode::default()) {
            Ok(_) => Ok(()),
            Err(SendRejected::Closed(_)) => Err(SendError::Closed),
            Err(SendRejected::Full(message)) => {
                self.waiting = Some(message);
                Ok(())
            }
        }
    }

    /// Ready when the queue or the browser has everything; this does not wait for a connection.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.waiting.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.poll_waiting(task)
    }

    /// Closes the connection; ready once it is closed.
    fn poll_close(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.waiting.is_some() && self.poll_waiting(task)?.is_pending() {
            return Poll::Pending;
        }
        match self.phase() {
            Phase::Closed | Phase::Idle | Phase::Closing => {}
            _ => self.driver.command(Input::Close {
                code: None,
                reason: String::new(),
            }),
        }
        let this = &mut *self;
        if matches!(this.phase(), Phase::Closed | Phase::Idle) {
            this.shared.leave(&mut this.place);
            return Poll::Ready(Ok(()));
        }
        this.shared.wait(&mut this.place, task, None);
        Poll::Pending
    }
}

impl<Out, In, C> Drop for Socket<Out, In, C> {
    fn drop(&mut self) {
        if is_abandoned() {
            return;
        }
        // In a handler, the driver itself is dropped when its last user on the stack returns.
        if let Some(message) = self.waiting.take() {
            // There was no room for it until now.
            let bytes = message.len() as u64;
            self.shared.tell(&Event::Dropped(Dropped {
                reason: DropReason::Closed,
                payloads: vec![message],
                omitted: 0,
                bytes,
            }));
        }
        self.shared.leave(&mut self.place);
        self.driver.command(Input::Close {
            code: None,
            reason: String::new(),
        });
        // The event streams receive the last event before they end.
        self.driver.tell_now();
        self.shared.gone.set(true);
        self.shared.watchers.end();
        self.shared.wake_waiting(&|_| true);
    }
}

/// Sends, closes, suspends, reconnects and queries; clone it freely. It does not keep the connection alive: once the
/// [`Socket`] is dropped, every call reports that it is closed.
pub struct Handle<Out, C> {
    shared: Weak<Shared>,
    types: PhantomData<fn(Out, C)>,
}

impl<Out, C> Clone for Handle<Out, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Weak::clone(&self.shared),
            types: PhantomData,
        }
    }
}

impl<Out, C> fmt::Debug for Handle<Out, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl<Out, C> Handle<Out, C> {
    fn of(shared: &Rc<Shared>) -> Self {
        Self {
            shared: Rc::downgrade(shared),
            types: PhantomData,
        }
    }

    fn driver(&self) -> Result<Driver<Message, dyn Runtime, FaceRef>, Gone> {
        self.shared
            .upgrade()
            .and_then(|shared| shared.driver())
            .ok_or(Gone)
    }

    /// Closes for good, until [`Handle::reconnect`]. If the connection is open, the queue is handed to the browser
    /// first; otherwise the waiting messages are reported as dropped.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
    pub fn close(&self, code: Option<u16>, reason: &str) -> Result<(), CloseError> {
        check_close(code, reason)?;
        if let Ok(driver) = self.driver() {
            driver.command(Input::Close {
                code,
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    /// Opens a new connection now, whatever the state; after a final close, it starts afresh. Only if too many
    /// attempts were made in a short time (options `attempt_burst`, `attempt_interval`) does it wait, without a
    /// connection, until one more is allowed; the event [`Event::State`] reports that.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn reconnect(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Reconnect {
            code: None,
            reason: String::new(),
        });
        Ok(())
    }

    /// Like [`Handle::reconnect`], closing the current connection, if any, with a code and a reason for the server.
    /// The event [`Event::Closed`] has them, too.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, the reason is longer than 123 bytes, or the socket is gone.
    pub fn reconnect_with(&self, code: Option<u16>, reason: &str) -> Result<(), ReconnectError> {
        check_close(code, reason).map_err(ReconnectError::Close)?;
        let driver = self.driver().map_err(ReconnectError::Gone)?;
        driver.command(Input::Reconnect {
            code,
            reason: reason.to_owned(),
        });
        Ok(())
    }

    /// Pauses: closes the connection, with code 1000 by default, and opens no other until [`Handle::resume`] or
    /// [`Handle::reconnect`]. The queue, the streams and the options stay, and messages sent meanwhile are queued.
    /// [`Phase::Suspended`] applies at once; an attempt or a wait in progress ends. This has no effect before the
    /// start, while closing and when closed.
    ///
    /// The connection's [`Event::Closed`], whose cause is [`Cause::Suspended`](crate::Cause::Suspended), comes when
    /// the server has answered the close, after the option `close_timeout`, or on an earlier resume. It reports
    /// messages that the platform accepted but the server never confirmed. Until the resume there are no timers,
    /// except for the time to live of queued messages, and nothing listens to the page.
    ///
    /// # Errors
    /// If the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
    pub fn suspend(&self, code: Option<u16>, reason: &str) -> Result<(), CloseError> {
        check_close(code, reason)?;
        if let Ok(driver) = self.driver() {
            driver.command(Input::Suspend {
                code,
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    /// Resumes after [`Handle::suspend`]: connects at once, within the budget of attempts, without waiting for the
    /// server to answer the close of the suspension. Earlier failures do not count. It has no effect unless
    /// suspended.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn resume(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Resume);
        Ok(())
    }

    /// With the option `gate`: lets the queue flow on this connection.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn ready(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Ready);
        Ok(())
    }

    /// The connection's state; [`Phase::Closed`] once the socket is gone.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.driver().map_or(Phase::Closed, |driver| {
            driver.ask(|connection| connection.phase())
        })
    }

    /// The counters.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn snapshot(&self) -> Result<Snapshot, Gone> {
        Ok(self.driver()?.snapshot())
    }

    /// Bytes in the queue and in the browser's buffer.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn buffered_amount(&self) -> Result<u64, Gone> {
        let driver = self.driver()?;
        let queued = driver.ask(|connection| connection.queued_bytes()) as u64;
        Ok(queued.saturating_add(
            driver
                .ask_socket(|socket| socket.buffered_amount())
                .unwrap_or(0),
        ))
    }

    /// The sub-protocol that the server chose for this connection; empty if none.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn protocol(&self) -> Result<String, Gone> {
        Ok(self
            .driver()?
            .ask_socket(|socket| socket.protocol())
            .unwrap_or_default())
    }

    /// The connection's events from now on.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn events(&self) -> Result<Events, Gone> {
        let shared = self
            .shared
            .upgrade()
            .filter(|shared| !shared.is_gone())
            .ok_or(Gone)?;
        Ok(shared.watchers.watch())
    }
}

impl<Out, C: Encode<Out>> Handle<Out, C> {
    /// Sends without waiting: to the browser or into the queue.
    ///
    /// # Errors
    /// If the message cannot be encoded, the queue is full, or the connection is closed.
    pub fn try_send(&self, message: &Out) -> Result<Sent, SendError> {
        self.try_send_with(message, SendMode::default())
    }

    /// Like [`Handle::try_send`], but ahead of the queue, now or never, or with a time to live.
    ///
    /// # Errors
    /// See [`Handle::try_send`].
    pub fn try_send_with(&self, message: &Out, mode: SendMode) -> Result<Sent, SendError> {
        let message = C::encode(message).map_err(SendError::Encode)?;
        let shared = self.shared.upgrade().ok_or(SendError::Closed)?;
        shared
            .send(message, mode)
            .map_err(|rejected| match rejected {
                SendRejected::Full(_) => SendError::Full,
                SendRejected::Closed(_) => SendError::Closed,
            })
    }

    /// Sends, and waits for room in the queue if there is none.
    ///
    /// This is cancel safe: if the future is dropped before it is ready, the message was not sent and will not be, it
    /// is not reported, and nothing of it is kept.
    ///
    /// # Errors
    /// If the message cannot be encoded, or the connection is closed.
    pub async fn send(&self, message: &Out) -> Result<(), SendError> {
        let mut waiting = Some(C::encode(message).map_err(SendError::Encode)?);
        let mut stay = Stay {
            shared: &self.shared,
            place: None,
        };
        poll_fn(move |task| {
            let shared = self.shared.upgrade().ok_or(SendError::Closed)?;
            let Some(message) = waiting.take() else {
                return Poll::Ready(Ok(()));
            };
            match shared.send(message, SendMode::default()) {
                Ok(_) => Poll::Ready(Ok(())),
                Err(SendRejected::Closed(_)) => Poll::Ready(Err(SendError::Closed)),
                Err(SendRejected::Full(message)) => {
                    stay.wait(&shared, task, message.len());
                    waiting = Some(message);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// The registration of a waiting future. Dropping it removes it.
struct Stay<'a> {
    shared: &'a Weak<Shared>,
    place: Option<Place>,
}

impl Stay<'_> {
    /// A method, so that a closure captures the whole of it.
    fn wait(&mut self, shared: &Shared, task: &Context<'_>, room: usize) {
        shared.wait(&mut self.place, task, Some(room));
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        if self.place.is_some()
            && !is_abandoned()
            && let Some(shared) = self.shared.upgrade()
        {
            shared.leave(&mut self.place);
        }
    }
}
