//! The platform of a program that runs natively: sockets of the operating system, by tokio-tungstenite and rustls.
//!
//! The API is the same as in a browser, and so is the order of events. A [`Socket`](crate::Socket) stays on its thread, so
//! it needs a place whose tasks do, too. There are three:
//!
//! * [`run`] runs a program that has no runtime.
//! * [`scope`] runs a future inside of any tokio runtime, such as that of `#[tokio::main]`.
//! * A [`SocketThread`] runs sockets on a thread of its own, and gives a [`RemoteSocket`] for each, which any thread and
//!   task can use.
//!
//! ```no_run
//! use steady_socket::{PlainText, Socket, native};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     native::run(async {
//!         let mut socket = Socket::<String, String, PlainText>::connect("wss://example.org/hello")?;
//!         socket.send("Ada").await?;
//!         if let Some(greeting) = socket.recv().await {
//!             println!("{}", greeting?);
//!         }
//!         Ok(())
//!     })?
//! }
//! ```
//!
//! What differs from a browser: a URL is absolute, and names no user; nothing reports a change of the network; what a
//! handshake was refused with is known ([`refused_with`]); headers and certificates can be one's own ([`Native`]); and a
//! panic in a handler closes its socket for good, with the code [`PANICKED`], or ends its session, and disturbs no other.

mod scope;
mod settings;
mod socket;
mod thread;
mod tls;

use core::any::Any;
use core::fmt;
use core::time::Duration;
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use steady_socket_protocol::Message;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::Instant;
use url::Url;

use crate::cell::RefCell;
use crate::connection::{Hint, Loss, Time};
#[cfg(feature = "session")]
pub use crate::face::RemoteDelivering;
pub use crate::face::{RemoteEvents, RemoteHandle, RemoteSocket};
pub use crate::limits::PANICKED;
use crate::platform::{
    FaceSocket, LocalFuture, Platform, Refused, Runtime, SocketListener, Target,
};
use scope::Home;
use settings::Settings;
use socket::REFUSED;

pub use scope::{run, scope};
pub use thread::SocketThread;
pub use tls::rustls;

/// The operating system's sockets, with headers and certificates of one's own. A program that needs neither does without:
/// it is what a [`Builder`](crate::Builder) takes by itself, inside of [`run`], [`scope`] or a [`SocketThread`].
///
/// ```no_run
/// use std::rc::Rc;
/// use steady_socket::native::Native;
/// use steady_socket::{PlainText, Socket};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let native = Native::new()
///     .header("Authorization", "Bearer …")?
///     .roots(&std::fs::read("our-root.pem")?)?;
/// let socket = Socket::<String, String, PlainText>::builder("wss://chat.internal/")
///     .platform(Rc::new(native))
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Native {
    settings: Rc<Settings>,
    /// Where its tasks run: where its first socket was made. It does not keep that alive, which its tasks would then keep
    /// forever.
    home: Place,
}

impl fmt::Debug for Native {
    /// Omits the headers, which may carry a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native").finish_non_exhaustive()
    }
}

/// A place that is known once there is a socket.
#[derive(Default)]
struct Place(RefCell<Weak<Home>>);

impl Clone for Place {
    fn clone(&self) -> Self {
        Self(RefCell::new(Weak::clone(&self.0.borrow())))
    }
}

impl Native {
    /// With the system's root certificates, and no headers but those of every handshake.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header to every handshake, such as `Authorization`, `Cookie` or `Origin`.
    ///
    /// # Errors
    /// If the name or the value cannot be in a header, or the handshake has this header by itself.
    pub fn header(self, name: &str, value: &str) -> Result<Self, Refused> {
        let value = value.to_owned();
        settings::check_value(&value)?;
        self.header_from(name, move || value.clone())
    }

    /// Adds a header whose value is asked for before every handshake. A value that cannot be in a header fails the attempt.
    ///
    /// # Errors
    /// If the name cannot be that of a header, or the handshake has this header by itself.
    pub fn header_from(
        mut self,
        name: &str,
        value: impl Fn() -> String + 'static,
    ) -> Result<Self, Refused> {
        let name = settings::check_name(name)?;
        let settings = Rc::make_mut(&mut self.settings);
        settings.headers.push((name, Rc::new(value)));
        Ok(self)
    }

    /// Trusts these root certificates, in PEM, and not the system's.
    ///
    /// # Errors
    /// If they are no certificates, or there are none.
    pub fn roots(mut self, pem: &[u8]) -> Result<Self, Refused> {
        Rc::make_mut(&mut self.settings).tls = Some(tls::with_roots(pem)?);
        Ok(self)
    }

    /// Takes all of TLS from this configuration: roots, a certificate of the client's, versions.
    #[must_use]
    pub fn tls_config(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        Rc::make_mut(&mut self.settings).tls = Some(config);
        self
    }

    /// Where its tasks run. `None` before it is in such a place, and when that is over.
    fn home(&self) -> Option<Rc<Home>> {
        if let Some(home) = self.home.0.borrow().upgrade() {
            return Some(home);
        }
        let home = Home::current()?;
        *self.home.0.borrow_mut() = Rc::downgrade(&home);
        Some(home)
    }

    /// Runs a task. If its place is over, nothing runs any more.
    fn start(&self, task: impl Future<Output = ()> + 'static) -> Option<AbortHandle> {
        Some(self.home()?.spawn(task))
    }
}

/// The status with which a server has refused the handshake of an attempt, such as 401 or 503. The predicate of
/// [`Builder::should_reconnect`](crate::Builder::should_reconnect) and [`Event::Closed`](crate::Event::Closed) have the loss.
#[must_use]
pub fn refused_with(loss: &Loss) -> Option<u16> {
    let status = loss.error.as_deref()?.strip_prefix(REFUSED)?;
    status.get(..3)?.parse().ok()
}

/// Runs a task on this thread, if this is a place where sockets run.
pub(crate) fn start_here(task: impl Future<Output = ()> + 'static) -> Option<AbortHandle> {
    Some(Home::current()?.spawn(task))
}

/// Likewise, for a task that ends soon after its place, which waits for it.
pub(crate) fn stay_here(task: impl Future<Output = ()> + 'static) -> Option<AbortHandle> {
    let home = Home::current()?;
    let leaving = home.leave();
    Some(home.spawn(async move {
        task.await;
        drop(leaving);
    }))
}

/// A timer. Dropping it cancels it.
struct Timer(Option<AbortHandle>);

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// What [`Platform::now`] counts from: the first reading. It stands still in a test that pauses tokio's clock.
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

impl Platform<Message> for Native {
    type Target = Target;
    type Socket = FaceSocket;
    type Watch = Box<dyn Any>;
    type Timer = Box<dyn Any>;

    fn now(&self) -> Time {
        let since = Instant::now().saturating_duration_since(beginning());
        Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn wall_clock(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// The system tells nothing of the network. That the machine slept, the clocks tell.
    fn watch(&self, _report: Rc<dyn Fn(Hint)>) -> Box<dyn Any> {
        Box::new(())
    }

    fn text_marked(&self, payload: &Message, mark: char) -> Option<String> {
        match payload {
            Message::Text(text) => text.starts_with(mark).then(|| text.clone()),
            Message::Binary(_) => None,
        }
    }

    fn without_mark(&self, mut payload: Message) -> Message {
        if let Message::Text(text) = &mut payload {
            text.remove(0);
        }
        payload
    }

    fn message(&self, text: &str) -> Message {
        text.into()
    }

    fn chance(&self) -> f64 {
        /// How many values a float's fraction has.
        const VALUES: u64 = 1 << 53;
        // Without the system's randomness, which it always has, waits are as long as they can be.
        let random = getrandom::u64().unwrap_or(u64::MAX);
        (random % VALUES) as f64 / VALUES as f64
    }

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        Box::new(Timer(self.start(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            fire();
        })))
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        self.start(async move { task() });
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        let started = self.start(async move {
            // The runtime looks at its sockets before it wakes this again, and their tasks run before it.
            yield_now().await;
            yield_now().await;
            task();
        });
        started.is_some()
    }

    fn connect(
        &self,
        target: &Target,
        max_message_bytes: Option<u32>,
        listener: Rc<dyn SocketListener<Message>>,
    ) -> Result<Rc<FaceSocket>, Refused> {
        let home = self
            .home()
            .ok_or_else(|| Refused::because("the place where its sockets run is over"))?;
        let settings = Rc::clone(&self.settings);
        let max = max_message_bytes.map(|max| max as usize);
        Ok(socket::connect(&home, settings, target, max, listener))
    }
}

impl Runtime for Native {
    fn spawn(&self, task: LocalFuture<()>) {
        self.start(task);
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        Some(random)
    }

    #[cfg(feature = "session")]
    fn watch_hiding(&self, _hiding: Rc<dyn Fn()>) -> Box<dyn Any> {
        Box::new(())
    }

    fn page_is_secure(&self) -> bool {
        false
    }

    /// Like a browser, but there is no page for a relative URL; and a user's name in it, which browsers treat differently, is
    /// refused.
    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        let mut parsed = Url::parse(url).map_err(|_| {
            Refused::because(
                "the URL cannot be parsed; it takes an absolute ws:, wss:, http: or https: URL",
            )
        })?;
        let scheme = match parsed.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            scheme => {
                return Err(Refused(format!(
                    "the URL's scheme is {scheme}:; it takes ws:, wss:, http: or https:"
                )));
            }
        };
        // It is one of those that may replace each other.
        let _ = parsed.set_scheme(scheme);
        if parsed.fragment().is_some() {
            return Err(Refused::because(
                "the URL has a fragment (#…); a WebSocket URL takes none",
            ));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Refused::because(
                "the URL has a user's name or password; send them in a header (`Native::header`)",
            ));
        }
        Ok(parsed.into())
    }

    fn is_ready(&self) -> bool {
        self.home().is_some()
    }

    fn outlives_panics(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Cause, CloseFrame};

    #[test]
    fn urls_are_parsed_as_in_a_browser() {
        let native = Native::new();
        for (url, parsed) in [
            ("http://example.org/a b", "ws://example.org/a%20b"),
            ("HTTPS://example.org", "wss://example.org/"),
            ("wss://example.org:443/x?y", "wss://example.org/x?y"),
            ("https://example.org:443/", "wss://example.org/"),
            ("ws://EXAMPLE.org:80", "ws://example.org/"),
            ("ws://[::1]:8080/", "ws://[::1]:8080/"),
            ("ws://bücher.example/", "ws://xn--bcher-kva.example/"),
        ] {
            assert_eq!(native.parse_url(url).as_deref(), Ok(parsed), "{url}");
        }
        for (bad, says) in [
            ("ws://example.org/#", "fragment"),
            ("ws://example.org/#x", "fragment"),
            ("ftp://example.org/", "ftp:"),
            ("localhost:80/", "localhost:"),
            ("ws://", "cannot be parsed"),
            ("/chat", "absolute"),
            ("ws://ada@example.org/", "user"),
            ("ws://:secret@example.org/", "user"),
        ] {
            let error = native.parse_url(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_chance_is_from_0_to_1_and_another_each_time() {
        let native = Native::new();
        let chances: Vec<f64> = (0..100).map(|_| native.chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        assert!(chances.windows(2).any(|two| two[0] != two[1]));
        assert_ne!(native.random_bytes(), native.random_bytes());
    }

    #[test]
    fn the_status_of_a_refusal_is_told() {
        let loss = |error: Option<&str>| Loss {
            close: CloseFrame::abnormal(),
            cause: Cause::Socket,
            was_open: false,
            error: error.map(str::to_owned),
        };
        let refused = format!("{REFUSED}503 Service Unavailable");
        assert_eq!(refused_with(&loss(Some(&refused))), Some(503));
        for error in [None, Some(""), Some(REFUSED), Some("503")] {
            assert_eq!(refused_with(&loss(error)), None, "{error:?}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_an_error() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("X-Own", "a\r\nb: c"),
            ("Sec-WebSocket-Key", "x"),
            ("sec-websocket-protocol", "x"),
            ("upgrade", "x"),
        ] {
            let error = Native::new().header(name, value).unwrap_err().to_string();
            assert!(!error.is_empty() && !error.contains("b: c"), "{name}");
        }
        assert!(Native::new().header("Host", "example.org").is_ok());
        assert!(Native::new().header("Authorization", "Bearer é").is_ok());
    }

    #[test]
    fn roots_that_are_none_are_an_error() {
        for pem in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(Native::new().roots(pem.as_bytes()).is_err(), "{pem}");
        }
    }
}
