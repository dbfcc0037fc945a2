//! A connection's only interface to the world: sockets, a timer, a clock, randomness, tasks.
//!
//! The browser is one implementation ([`crate::browser`]); a test kit or a simulation is another.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::any::Any;
use core::fmt;
use core::future::Future;
use core::pin::Pin;

#[cfg(feature = "std")]
use steady_socket_protocol::Message;

use crate::connection::{CloseFrame, Hint, Time};

/// A future that stays on its thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Where a platform of the Rust API connects.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// An absolute `ws:` or `wss:` URL.
    pub url: String,
    /// The sub-protocols to offer, in order of preference.
    pub protocols: Vec<String>,
}

impl fmt::Debug for Target {
    /// Omits the URL, whose query may carry a token, and the sub-protocols, one of which may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("protocols", &self.protocols.len())
            .finish_non_exhaustive()
    }
}

/// What a socket reports, besides messages.
#[derive(Debug)]
pub enum SocketEvent {
    /// The handshake succeeded.
    Opened,
    /// A message arrived that exceeds the limit of [`Platform::connect`]. None of it was copied.
    TooBig,
    /// The browser reported an error; other platforms describe it in text that may quote the URL.
    Error(Option<String>),
    /// The socket is closed. Nothing follows.
    Closed(CloseFrame),
}

/// Receives everything that a socket reports, but never before [`Platform::connect`] has returned. Messages have a method
/// of their own, since they are nearly all of it.
pub trait SocketListener<P> {
    /// A message of `bytes` bytes arrived.
    fn message(&self, payload: P, bytes: usize);

    /// Something else happened.
    fn event(&self, event: SocketEvent);
}

/// The platform refused an operation, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl Refused {
    /// The reason, if any.
    pub(crate) fn in_words(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

#[cfg(feature = "std")]
impl Refused {
    /// For a reason known in advance: in one place, and not inlined into every refusal.
    #[cold]
    #[inline(never)]
    pub(crate) fn because(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Refused {}

/// A socket made by the platform. Dropping it stops listening, but does not close it.
pub trait RawSocket<P> {
    /// Sends a message.
    ///
    /// # Errors
    /// If the platform's `send` throws.
    fn send(&self, payload: &P) -> Result<(), Refused>;

    /// Starts the closing handshake; calling it once is enough.
    fn close(&self, code: Option<u16>, reason: &str);

    /// Stops listening: the listener is not called again.
    fn detach(&self);

    /// Bytes that the platform has accepted but not yet passed to the network.
    fn buffered_amount(&self) -> u64;

    /// The sub-protocol that the server chose.
    fn protocol(&self) -> String;
}

/// What a connection needs from its environment.
pub trait Platform<P> {
    /// Where to connect, as it takes it.
    type Target: 'static;

    /// Its sockets.
    type Socket: RawSocket<P> + ?Sized;

    /// A watch of the network and the page. Dropping it stops it.
    type Watch;

    /// A timer. Dropping it cancels it.
    type Timer;

    /// The current time on a monotonic clock.
    fn now(&self) -> Time;

    /// Milliseconds on the wall clock, which keeps running while the machine sleeps and may be set.
    fn wall_clock(&self) -> u64;

    /// Calls `report` when the network or the page may have changed. Dropping the result stops it.
    #[must_use = "dropping a watch stops it"]
    fn watch(&self, report: Rc<dyn Fn(Hint)>) -> Self::Watch;

    /// The text of a received or outgoing message, if it begins with `mark`; `None` for any other text, or a binary
    /// message. It is called for every message, so it should not copy one that begins otherwise.
    fn text_marked(&self, payload: &P, mark: char) -> Option<String>;

    /// A received text message without its first character, a mark, which is ASCII.
    fn without_mark(&self, payload: P) -> P;

    /// A text message to send.
    fn message(&self, text: &str) -> P;

    /// A random number in [0, 1), different in every page of every user.
    fn chance(&self) -> f64;

    /// Calls `fire` after `millis` milliseconds. Dropping the result cancels it.
    #[must_use = "dropping a timer cancels it"]
    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Self::Timer;

    /// Runs a function soon, but never before this call has returned.
    fn defer(&self, task: Box<dyn FnOnce()>);

    /// Runs a function in a task that comes after the socket events already waiting, even in a hidden page, but never
    /// before this call has returned. Returns whether it will: it does not where no event can wait, because a test
    /// controls the time.
    fn turn(&self, task: Box<dyn FnOnce()>) -> bool;

    /// Makes a socket that accepts messages of at most `max_message_bytes` bytes (text: UTF-16 code units), if there
    /// is a limit. Binary messages arrive as bytes.
    ///
    /// # Errors
    /// If the platform refuses at once, for example because of a bad URL.
    fn connect(
        &self,
        target: &Self::Target,
        max_message_bytes: Option<u32>,
        listener: Rc<dyn SocketListener<P>>,
    ) -> Result<Rc<Self::Socket>, Refused>;
}

/// The platform of the Rust API: the browser, whose methods are called directly, which takes a kilobyte less of a page's
/// program. Natively, or with the feature `testing`, which no page needs, it is any platform.
#[cfg(all(feature = "std", target_family = "wasm", not(feature = "testing")))]
pub type FacePlatform = crate::browser::Browser;

/// The sockets of [`FacePlatform`].
#[cfg(all(feature = "std", target_family = "wasm", not(feature = "testing")))]
pub type FaceSocket = crate::browser::BrowserSocket;

/// The platform of the Rust API: any. In a page, and without the feature `testing`, the browser's methods are called
/// directly.
#[cfg(all(feature = "std", any(not(target_family = "wasm"), feature = "testing")))]
pub type FacePlatform = dyn Runtime;

/// The sockets of [`FacePlatform`].
#[cfg(all(feature = "std", any(not(target_family = "wasm"), feature = "testing")))]
pub type FaceSocket = dyn RawSocket<Message>;

/// What the Rust API needs in addition.
#[cfg(feature = "std")]
pub trait Runtime:
    Platform<Message, Target = Target, Socket = FaceSocket, Watch = Box<dyn Any>, Timer = Box<dyn Any>>
{
    /// Runs a task, but never before this call has returned.
    fn spawn(&self, task: LocalFuture<()>);

    /// Random bytes from a cryptographic source, for the secret of a session; `None` if there is none.
    fn random_bytes(&self) -> Option<[u8; 16]>;

    /// Calls `hiding` whenever the page is about to be hidden, frozen or left, until the result is dropped. After that it may
    /// run no more for a long time.
    #[cfg(feature = "session")]
    fn watch_hiding(&self, hiding: alloc::rc::Rc<dyn Fn()>) -> Box<dyn Any>;

    /// Whether the page was loaded over https, so that its connections must be secure, too.
    fn page_is_secure(&self) -> bool;

    /// Turns a URL as users write it into an absolute `ws:` or `wss:` URL.
    ///
    /// # Errors
    /// What is wrong with the URL.
    fn parse_url(&self, url: &str) -> Result<String, Refused>;

    /// Whether this is a place where its sockets run. A page always is.
    #[cfg(not(target_family = "wasm"))]
    fn is_ready(&self) -> bool {
        true
    }

    /// Whether the program goes on after a panic in a handler, so that the socket of that handler has to end.
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    fn outlives_panics(&self) -> bool {
        false
    }
}
