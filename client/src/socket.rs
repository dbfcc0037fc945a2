//! The Rust face: a typed stream and sink that stays connected.

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
    /// An option has a value that it does not take.
    Option(OptionError),
    /// The URL is not one that a WebSocket takes.
    Url(Refused),
    /// The page was loaded over https, and the URL is not secure (see the option `allow_insecure`).
    Insecure(Refused),
    /// The sub-protocols are not what a WebSocket takes.
    Protocols(Refused),
    /// The option `keepalive_interval` is given, and nothing to send: see [`Builder::keepalive`].
    Keepalive,
    /// There is no browser here: give a platform with [`Builder::platform`].
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
            Self::NoBrowser => f.write_str(
                "this program does not run in a browser; give the builder a platform to run on",
            ),
            Self::Panicked => f.write_str(
                "the program has panicked, and connects no more until it is loaded anew",
            ),
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
    /// The code or the reason is not one that may be sent.
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

/// The application's handler of an open connection.
type OnOpen = Box<dyn Fn(&Opening<'_>)>;

/// The application's handler of messages, which decodes them first.
type OnMessage = Box<dyn FnMut(&Rc<Shared>, Message)>;

/// The application's handler of events.
type OnEvent = Box<dyn FnMut(&Event<Message>)>;

/// How to connect. Made by [`Socket::builder`].
#[must_use = "a builder does nothing before `connect`"]
pub struct Builder<Out, In, C> {
    url: Source<String>,
    protocols: Source<Vec<String>>,
    options: Options,
    /// What is wrong with the options and the sub-protocols, looked for where they are given: a program that
    /// gives none is made without the table of what options may be, and without the grammar of names.
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
    /// Control messages are offered among the sub-protocols.
    controls: bool,
    types: PhantomData<fn(Out, C) -> In>,
}

/// What the server answers, and how to know the answer.
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

    /// Asks `predicate` about every loss; `None` leaves it to
    /// [the policy for the close code](crate::connection::close_policy).
    pub fn should_reconnect(
        mut self,
        predicate: impl Fn(&Loss) -> Option<Verdict> + 'static,
    ) -> Self {
        self.predicate = Some(Box::new(predicate));
        self
    }

    /// Calls `handler` when a connection is open, before anything that waits in the queue is sent. What
    /// it sends goes ahead of the queue: the place to authenticate. What it imports from JavaScript and may
    /// throw is to be imported with `catch`, as for [`Builder::on_message`].
    pub fn on_open(mut self, handler: impl Fn(&Opening<'_>) + 'static) -> Self {
        self.on_open = Some(Box::new(handler));
        self
    }

    /// Calls `handler` with every event as it happens, before the handler of [`Builder::on_open`]. Unlike the stream of
    /// [`Socket::events`], which keeps a number of events for a reader that is behind, it misses none. It must not own
    /// the [`Socket`]; by a [`Handle`] it may send, close and reconnect. What it imports from JavaScript and may throw is
    /// to be imported with `catch`, as for [`Builder::on_message`].
    pub fn on_event(mut self, handler: impl FnMut(&Event<Message>) + 'static) -> Self {
        self.on_event = Some(Box::new(handler));
        self
    }

    /// Says that the server answers `ping`, and which messages are the answer: these do not reach the
    /// stream. With it, the option `heartbeat_interval` makes a half-open connection be noticed, and a
    /// page that wakes asks the server whether the connection still lives. An answer confirms what was sent before
    /// that ping; where more come than were asked for, the server sends them by itself, and they confirm nothing.
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

    /// What is sent at every `keepalive_interval` (see [`Options`]), where control messages are not spoken; without
    /// it, the ping of [`Builder::heartbeat`] is. The server need not answer: nothing is judged by it.
    pub fn keepalive(mut self, message: Message) -> Self {
        self.keepalive = Some(message);
        self
    }

    /// How much may wait to be read from the stream.
    pub fn inbox(mut self, limits: InboxLimits) -> Self {
        self.inbox = limits;
        self
    }

    /// Runs on another platform than the browser: a test kit, a simulation.
    pub fn platform(mut self, platform: Rc<dyn Runtime>) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Starts connecting, unless the option `start_closed` is set.
    ///
    /// # Errors
    /// When an option, the URL or a sub-protocol cannot be right.
    pub fn connect(mut self) -> Result<Socket<Out, In, C>, ConnectError> {
        if is_abandoned() {
            return Err(ConnectError::Panicked);
        }
        self.options.control_messages |= self.controls;
        if let Some(wrong) = self.wrong_option {
            return Err(ConnectError::Option(wrong));
        }
        if self.options.keepalive_interval.is_some()
            && !self.options.control_messages
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
        if !self.options.start_closed {
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
    /// Calls `handler` with every message as it arrives, and with what could not be decoded, instead of keeping
    /// it for the stream, which then gives nothing and ends with the connection.
    ///
    /// It is the fastest way to receive: no task is woken for a message, and nothing waits to be read, so that
    /// the limits of [`Builder::inbox`] do not apply. By its [`Handle`] the handler may send, close and reconnect;
    /// the next message comes when it has returned. It must not own the [`Socket`], which owns it.
    ///
    /// What it imports from JavaScript and may throw is to be imported with `#[wasm_bindgen(catch)]`. An exception that is not
    /// caught there leaves through this crate without anything being put back, as it leaves all of Rust, and the
    /// socket tells nothing more.
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

/// What the socket, its handles and the driver's application share. It does not keep the connection.
#[derive(Default)]
struct Shared {
    driver: RefCell<Option<WeakDriver<Message>>>,
    inbox: RefCell<Inbox>,
    reader: RefCell<Option<Waker>>,
    /// Whoever waits for room or for the end.
    waiting: RefCell<WaitingList>,
    watchers: Watchers,
    /// Not there while it runs.
    on_event: Cell<Option<OnEvent>>,
    gone: Cell<bool>,
}

impl Shared {
    /// Whether the socket was dropped, or the program has panicked: then any of this may be half done.
    fn is_gone(&self) -> bool {
        self.gone.get() || is_abandoned()
    }

    fn driver(&self) -> Option<Driver<Message>> {
        if self.is_gone() {
            return None;
        }
        self.driver.borrow().as_ref()?.upgrade()
    }

    /// Tells an event to all who watch.
    fn tell(&self, event: &Event<Message>) {
        self.watchers.tell(event);
        // Not there while it runs: an event that its own calls bring comes later.
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

    /// Wakes those for whom there is what they wait for.
    fn wake_waiting(&self, is_there: &dyn Fn(Option<usize>) -> bool) {
        let next = || self.waiting.borrow_mut().take(is_there);
        while let Some(waker) = next() {
            waker.wake();
        }
    }

    /// Has a task woken when there is room, or only at the end, in the place that it has already.
    fn wait(&self, place: &mut Option<Place>, task: &Context<'_>, room: Option<usize>) {
        let waker = task.waker().clone();
        let earlier = self.waiting.borrow_mut().wait(place, room, waker);
        drop(earlier);
    }

    /// Forgets that a task waits.
    fn leave(&self, place: &mut Option<Place>) {
        if let Some(place) = place.take() {
            let waker = self.waiting.borrow_mut().leave(place);
            drop(waker);
        }
    }

    /// Hands over an encoded message; gives it back when there is no room.
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
    /// Not there while it runs.
    on_message: Cell<Option<OnMessage>>,
    heartbeat: Option<Heartbeat>,
    keepalive: Option<Message>,
    shared: Rc<Shared>,
}

/// The driver owns the application; an attempt under way keeps it, too.
struct FaceRef(Rc<Face>);

impl Face {
    fn target(&self, url: String, protocols: Vec<String>) -> Result<Target, Refused> {
        check_protocols(&protocols)?;
        // What does not change was parsed when the socket was made; a parsed URL stays as it is.
        let url = parse_url(&*self.platform, self.options, &url)?;
        Ok(Target { url, protocols })
    }
}

/// The URL as the socket is to be given it, if it may be given it at all.
fn parse_url(platform: &dyn Runtime, options: Options, url: &str) -> Result<String, Refused> {
    let url = platform.parse_url(url)?;
    check_secure(platform, options, &url)?;
    Ok(url)
}

/// Whether a parsed URL may be connected to from this page.
fn check_secure(platform: &dyn Runtime, options: Options, url: &str) -> Result<(), Refused> {
    check_mixed_content(url, platform.page_is_secure() && !options.allow_insecure)
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
        // The driver hands over one message at a time, so that it is there whenever there is one.
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
        // Asked first, since it is so after nearly every message.
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
        // Only those who will find it: one that is woken for nothing would wake the next.
        shared.wake_waiting(&|room| {
            over || room.is_some_and(|room| driver.ask(|connection| connection.has_room(room)))
        });
    }
}

/// Asks for what an attempt connects to, where it has to be asked for.
pub(crate) type Search = fn(&Rc<Face>, &Attempt, Answer) -> Resolution;

/// As [`Search`].
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

/// Waits for two futures side by side.
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

/// A connection that has just opened, given to the handler of [`Builder::on_open`].
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

    /// How many attempts it took.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A handle with which to send, close or ask.
    #[must_use]
    pub fn handle<Out, C>(&self) -> Handle<Out, C> {
        Handle::of(self.shared)
    }
}

/// A typed WebSocket that stays connected: a [`Stream`] of what the server sends and a [`Sink`] for what
/// the application sends.
///
/// * The stream yields `Err` for a message that cannot be decoded, and goes on. It ends when the
///   connection is closed for good, and goes on after [`Handle::reconnect`].
/// * The sink takes one message more than the queue has room for, and is then not ready until there is,
///   whether connected or not; `send(…).await` returns when the queue or the browser has the message. Closing it closes the connection and waits for that.
/// * Dropping it (after a split, its last half) hands the queue to the browser, closes the connection and
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
    driver: Driver<Message>,
    shared: Rc<Shared>,
    /// A message that the sink has taken and the queue has no room for yet.
    waiting: Option<Message>,
    /// Where the task waits that uses the sink.
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
    /// When the URL cannot be right.
    pub fn connect(url: impl Into<Source<String>>) -> Result<Self, ConnectError> {
        Self::builder(url).connect()
    }

    /// Says more before connecting.
    pub fn builder(url: impl Into<Source<String>>) -> Builder<Out, In, C> {
        Builder::new(url.into())
    }

    /// A handle that sends, closes, reconnects and asks, and does not keep the connection.
    #[must_use]
    pub fn handle(&self) -> Handle<Out, C> {
        Handle::of(&self.shared)
    }

    /// The connection's events from now on. Those of the first attempt are not yet told when the socket
    /// has just been made.
    pub fn events(&self) -> Events {
        self.shared.watchers.watch()
    }

    fn phase(&self) -> Phase {
        if is_abandoned() {
            return Phase::Closed;
        }
        self.driver.ask(|connection| connection.phase())
    }

    /// Hands over the message that waits, if there is room.
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

/// Connects to an endpoint at `base`, for example `wss://example.org`, or the empty string for the server
/// of the page. The path and the messages are the endpoint's, a query of `base` goes behind the path, and
/// the sub-protocol is the one that the endpoint offers for the codec; a codec that it does not offer does
/// not compile. A server that knows [control messages](steady_socket_protocol::control) is asked for them:
/// then a half-open connection is noticed, and the server can say when to come back.
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
    // Preferred with control messages; a server that does not know them takes the plain name.
    let offers = vec![format!("{name}{}", control::SUFFIX), name.to_owned()];
    let mut builder = Socket::builder(url).protocols(offers);
    builder.controls = true;
    builder
}

/// A socket is never pinned to its place.
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

    /// Ready when the queue or the browser has everything; it does not wait for a connection.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.waiting.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.poll_waiting(task)
    }

    /// Closes the connection; ready when that is done.
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
        // The driver itself goes when its last user on the stack returns, if this is in a handler.
        if let Some(message) = self.waiting.take() {
            // It found no room until now.
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
        // The streams of events are told how it ends before they do.
        self.driver.tell_now();
        self.shared.gone.set(true);
        self.shared.watchers.end();
        self.shared.wake_waiting(&|_| true);
    }
}

/// Sends, closes, suspends, reconnects and asks; as many clones as wanted. It does not keep the connection: once
/// the [`Socket`] is dropped, everything returns that it is closed.
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

    fn driver(&self) -> Result<Driver<Message>, Gone> {
        self.shared
            .upgrade()
            .and_then(|shared| shared.driver())
            .ok_or(Gone)
    }

    /// Closes for good, until [`Handle::reconnect`]. While open, the queue is handed to the browser
    /// first; otherwise what waits is reported as dropped.
    ///
    /// # Errors
    /// When the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
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

    /// A new connection now, whatever the state; after a final close, afresh. Only when too many attempts
    /// were made in a short time (options `attempt_burst`, `attempt_interval`) it waits, without a
    /// connection, until one more may be made; the event [`Event::State`] says so.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn reconnect(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Reconnect {
            code: None,
            reason: String::new(),
        });
        Ok(())
    }

    /// As [`Handle::reconnect`], with a code and a reason for the server with which the present connection is closed, if
    /// there is one. The event [`Event::Closed`] has them, too.
    ///
    /// # Errors
    /// When the code is neither 1000 nor in 3000–4999, the reason is longer than 123 bytes, or the socket is gone.
    pub fn reconnect_with(&self, code: Option<u16>, reason: &str) -> Result<(), ReconnectError> {
        check_close(code, reason).map_err(ReconnectError::Close)?;
        let driver = self.driver().map_err(ReconnectError::Gone)?;
        driver.command(Input::Reconnect {
            code,
            reason: reason.to_owned(),
        });
        Ok(())
    }

    /// Pauses: closes the connection, with code 1000 unless another is given, and makes no other until
    /// [`Handle::resume`] or [`Handle::reconnect`]. The queue, the streams and the options stay, and what is sent
    /// meanwhile is queued. [`Phase::Suspended`] holds at once; an attempt or a wait that is under way ends. Without
    /// effect before the start, while closing and when closed.
    ///
    /// The connection's [`Event::Closed`], whose cause is [`Cause::Suspended`](crate::Cause::Suspended), comes when
    /// the server has answered the close, after the option `close_timeout`, or when it is resumed before. What the
    /// platform had taken and was not confirmed is reported. Until it is resumed there is no
    /// timer but for the time to live of queued messages, and nobody listens to the page.
    ///
    /// # Errors
    /// When the code is neither 1000 nor in 3000–4999, or the reason is longer than 123 bytes.
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

    /// Goes on after [`Handle::suspend`]: connects at once, within the budget of attempts, and without waiting for
    /// the server to answer the close of the suspension. Earlier failures do not count. Without effect unless it is
    /// suspended.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn resume(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Resume);
        Ok(())
    }

    /// With the option `gate`: the queue may flow on this connection.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn ready(&self) -> Result<(), Gone> {
        self.driver()?.command(Input::Ready);
        Ok(())
    }

    /// What the connection is doing; [`Phase::Closed`] once the socket is gone.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.driver().map_or(Phase::Closed, |driver| {
            driver.ask(|connection| connection.phase())
        })
    }

    /// The counters.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn snapshot(&self) -> Result<Snapshot, Gone> {
        Ok(self.driver()?.snapshot())
    }

    /// Bytes in the queue and in the browser.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn buffered_amount(&self) -> Result<u64, Gone> {
        let driver = self.driver()?;
        let queued = driver.ask(|connection| connection.queued_bytes()) as u64;
        Ok(queued.saturating_add(
            driver
                .ask_socket(|socket| socket.buffered_amount())
                .unwrap_or(0),
        ))
    }

    /// The sub-protocol that the server chose for this connection; empty for none.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn protocol(&self) -> Result<String, Gone> {
        Ok(self
            .driver()?
            .ask_socket(|socket| socket.protocol())
            .unwrap_or_default())
    }

    /// The connection's events from now on.
    ///
    /// # Errors
    /// When the socket is gone.
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
    /// Sends without waiting: to the browser, or into the queue.
    ///
    /// # Errors
    /// When it cannot be encoded, the queue is full, or the connection is closed.
    pub fn try_send(&self, message: &Out) -> Result<Sent, SendError> {
        self.try_send_with(message, SendMode::default())
    }

    /// As [`Handle::try_send`], ahead of the queue, or now or never, or with a time to live.
    ///
    /// # Errors
    /// As [`Handle::try_send`].
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
    /// It is cancel safe: if the future is dropped before it is ready, the message was not sent and will not be, it is
    /// reported nowhere, and nothing of it is kept.
    ///
    /// # Errors
    /// When it cannot be encoded, or the connection is closed.
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

/// How long a future waits. Dropping it is the end of that.
struct Stay<'a> {
    shared: &'a Weak<Shared>,
    place: Option<Place>,
}

impl Stay<'_> {
    /// A method, so that a closure takes the whole of it.
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
