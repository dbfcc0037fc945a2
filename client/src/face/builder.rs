//! The builder of a socket.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use std::rc::Rc;

use steady_socket_protocol::control;
use steady_socket_protocol::{Codec, Decode, DecodeError, Encode, Message, Offers};

use super::application::{Face, Heartbeat, OnEvent, OnMessage, OnOpen, Predicate, Shared};
use super::errors::ConnectError;
use super::handle::Handle;
use super::inbox::{Inbox, InboxLimits};
use super::opening::Opening;
#[cfg(feature = "session")]
use super::session::{OnRequest, Setup};
use super::socket::Socket;
use super::source::{Source, Sources, check_protocols, check_secure};
#[cfg(doc)]
use crate::browser::Browser;
use crate::browser::is_abandoned;
use crate::cell::RefCell;
use crate::connection::{Event, Input, Loss, Verdict};
use crate::driver::Driver;
use crate::options::{OptionError, Options};
use crate::platform::{FacePlatform, Refused, Runtime};

impl<Out, In, C> Socket<Out, In, C> {
    /// Connects with the default options.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn connect(url: impl Into<Source<String>>) -> Result<Self, ConnectError>
    where
        C: Encode<Out> + Decode<In>,
    {
        Self::builder(url).connect()
    }

    /// Configures the socket before it connects.
    pub fn builder(url: impl Into<Source<String>>) -> Builder<Out, In, C>
    where
        C: Encode<Out> + Decode<In>,
    {
        Builder::new(url.into())
    }
}

/// Configures a connection. Created by [`Socket::builder`].
#[must_use = "a builder does nothing before `connect`"]
pub struct Builder<Out, In, C> {
    url: Source<String>,
    /// The sub-protocols, if they were given.
    protocols: Option<Source<Vec<String>>>,
    /// Fills in what the endpoint declares. Set by [`endpoint`], so that a program without one is built without it.
    endpoint: Option<fn(&mut Self)>,
    options: Options,
    /// The check of the options and the sub-protocols, set where they are given, so that a program that gives none is
    /// built without the table of options and the grammar of names.
    wrong_option: Option<OptionError>,
    wrong_protocols: Option<Refused>,
    platform: Option<Rc<FacePlatform>>,
    predicate: Option<Predicate>,
    on_open: Option<OnOpen>,
    on_message: Option<OnMessage>,
    on_event: Option<OnEvent>,
    heartbeat: Option<Heartbeat>,
    keepalive: Option<Message>,
    #[cfg(feature = "session")]
    pub(super) session: Option<Box<dyn Setup>>,
    #[cfg(feature = "session")]
    pub(super) on_request: Option<OnRequest>,
    inbox: InboxLimits,
    types: PhantomData<fn(Out, C) -> In>,
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
            protocols: None,
            endpoint: None,
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
            #[cfg(feature = "session")]
            session: None,
            #[cfg(feature = "session")]
            on_request: None,
            inbox: InboxLimits::default(),
            types: PhantomData,
        }
    }

    /// Replaces the URL; of a builder made by [`endpoint`], its base.
    pub fn url(mut self, url: impl Into<Source<String>>) -> Self {
        self.url = url.into();
        self
    }

    /// The sub-protocols to offer, in order of preference. They replace those of an [`endpoint`].
    pub fn protocols(mut self, protocols: impl Into<Source<Vec<String>>>) -> Self {
        let protocols = protocols.into();
        self.wrong_protocols = protocols
            .value()
            .and_then(|protocols| check_protocols(protocols).err());
        self.protocols = Some(protocols);
        self
    }

    /// Delays, limits and policies.
    pub fn options(mut self, options: Options) -> Self {
        self.wrong_option = options.check().err();
        self.options = options.settled();
        self
    }

    /// Calls `predicate` after every loss; `None` leaves the decision to [the policy for the close
    /// code](crate::connection::close_policy). A handle's `close`, `reconnect` or `suspend` inside it wins over what it
    /// returns. It must return: after a JavaScript exception through it, the socket stays silent until the next command.
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
    pub fn on_open(mut self, handler: impl Fn(&Opening<Out, C>) + 'static) -> Self
    where
        Out: 'static,
        C: 'static,
    {
        self.on_open = Some(Box::new(move |shared, reconnected, attempt| {
            handler(&Opening::new(shared, reconnected, attempt));
        }));
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

    /// Runs on another platform: a [`Browser`] with a `WebSocket` constructor of your own; natively, with the feature
    /// `native`, a `Native` with headers or certificates of your own; or, with the feature `testing`, anything that
    /// implements [`Runtime`](crate::platform::Runtime), such as the test kit. In a page that feature changes the type of a
    /// platform's sockets, so a crate that implements `Runtime` enables it.
    pub fn platform(mut self, platform: Rc<FacePlatform>) -> Self {
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
        if let Some(endpoint) = self.endpoint {
            endpoint(&mut self);
        }
        #[cfg(feature = "session")]
        if let Some(session) = &mut self.session {
            session
                .prepare(&mut self.options, &mut self.protocols)
                .map_err(ConnectError::Session)?;
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
            None => own_platform()?,
        };
        #[cfg(not(target_family = "wasm"))]
        if !platform.is_ready() {
            return Err(ConnectError::NoRuntime);
        }
        if let Some(url) = self.url.value() {
            let url = Runtime::parse_url(platform.as_ref(), url).map_err(ConnectError::Url)?;
            check_secure(platform.as_ref(), self.options, &url).map_err(ConnectError::Insecure)?;
            self.url.set_value(url);
        }
        if let Some(wrong) = self.wrong_protocols {
            return Err(ConnectError::Protocols(wrong));
        }
        let shared = Rc::new(Shared {
            inbox: RefCell::new(Inbox::new(self.inbox)),
            on_event: Cell::new(self.on_event),
            #[cfg(feature = "session")]
            has_handler: Cell::new(self.on_message.is_some()),
            on_message: Cell::new(self.on_message),
            on_open: self.on_open,
            #[cfg(all(feature = "native", not(target_family = "wasm")))]
            outlives_panics: platform.outlives_panics(),
            ..Shared::default()
        });
        let sources = Rc::new(Sources {
            url: self.url,
            protocols: self.protocols.unwrap_or_else(|| Source::from([])),
            options: self.options,
            platform: Rc::clone(&platform),
            #[cfg(feature = "session")]
            for_session: self.session.as_ref().map(|session| session.finder()),
        });
        #[cfg(feature = "session")]
        if let Some(session) = self.session {
            let session = session
                .start(self.on_request, &shared, &sources)
                .map_err(ConnectError::Session)?;
            // It is the first.
            let _ = shared.session.set(session);
        }
        let face = Box::new(Face {
            sources,
            predicate: self.predicate,
            heartbeat: self.heartbeat,
            keepalive: self.keepalive,
            shared: Rc::clone(&shared),
        });
        let driver = Driver::new(self.options, platform, face);
        *shared.driver.borrow_mut() = Some(driver.downgrade());
        if !self.options.values().start_closed {
            driver.command(Input::Start);
        }
        Ok(Socket::new(driver, shared))
    }
}

/// The platform of a program that gives none.
#[cfg(target_family = "wasm")]
#[expect(clippy::unnecessary_wraps, reason = "natively there may be none")]
#[inline(always)]
fn own_platform() -> Result<Rc<FacePlatform>, ConnectError> {
    Ok(Rc::new(crate::browser::Browser::new()))
}

/// The platform of a program that gives none.
#[cfg(all(feature = "native", not(target_family = "wasm")))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "without the feature there is none"
)]
fn own_platform() -> Result<Rc<FacePlatform>, ConnectError> {
    Ok(Rc::new(crate::native::Native::new()))
}

/// The platform of a program that gives none.
#[cfg(not(any(feature = "native", target_family = "wasm")))]
fn own_platform() -> Result<Rc<FacePlatform>, ConnectError> {
    Err(ConnectError::NoBrowser)
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

/// Connects to an endpoint at `base`, for example `wss://example.org`, or the empty string for the page's own server.
/// The base may come from a function, like the URL of [`Socket::builder`]. The path and the messages are the
/// endpoint's, a query of the base goes after the path, and the sub-protocol is the one that the endpoint offers for
/// the codec; a codec that it does not offer is a compile error.
///
/// The client also offers [control messages](steady_socket_protocol::control): if the server supports them, half-open
/// connections are detected, and the server can say when to reconnect. The option `control_messages`, set to `false`,
/// declines them.
///
/// ```no_run
/// use steady_socket::protocol::hello::Hello;
/// use steady_socket::{Json, Source, endpoint};
/// # async fn fresh_ticket() -> Result<String, std::convert::Infallible> { Ok(String::new()) }
///
/// let socket = endpoint::<Hello, Json>("ws://127.0.0.1:8765").connect()?;
///
/// // With a fresh ticket for every attempt.
/// let base = Source::provider(async move |_attempt| {
///     fresh_ticket().await.map(|ticket| format!("wss://example.org?ticket={ticket}"))
/// });
/// let socket = endpoint::<Hello, Json>(base).connect()?;
/// # Ok::<(), steady_socket::ConnectError>(())
/// ```
pub fn endpoint<E, C>(
    base: impl Into<Source<String>>,
) -> Builder<E::ClientMessage, E::ServerMessage, C>
where
    C: Encode<E::ClientMessage> + Decode<E::ServerMessage>,
    E: Offers<C>,
{
    let mut builder = Socket::builder(base);
    builder.endpoint = Some(complete::<E, C>);
    builder
}

/// Fills in what the endpoint declares.
fn complete<E, C>(builder: &mut Builder<E::ClientMessage, E::ServerMessage, C>)
where
    C: Codec,
    E: Offers<C>,
{
    let base = core::mem::replace(&mut builder.url, Source::from(""));
    builder.url = base.map(|base| {
        let (base, query) = base.split_at(base.find('?').unwrap_or(base.len()));
        format!("{}{}{query}", base.trim_end_matches('/'), E::PATH)
    });
    let name = <E as Offers<C>>::SUBPROTOCOL;
    let controls = !builder.options.declines_control_messages();
    if controls {
        builder.options = builder.options.control_messages(true);
    }
    builder.protocols.get_or_insert_with(|| {
        // With control messages first; a server that does not know them chooses the plain name.
        let with_controls = controls.then(|| format!("{name}{}", control::SUFFIX));
        let offers: Vec<_> = with_controls.into_iter().chain([name.to_owned()]).collect();
        Source::from(offers)
    });
}
