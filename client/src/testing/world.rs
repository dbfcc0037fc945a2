//! The world of a test: time, random numbers, the page's hints, and the connections.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Waker};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;

use steady_socket_protocol::Message;

use super::connection::FakeConnection;
use crate::connection::{Hint, Time};
use crate::platform::{LocalFuture, Platform, RawSocket, Refused, Runtime, SocketListener, Target};

/// A world with its own time, random numbers and server.
///
/// Clones share the same world.
#[derive(Clone, Default)]
pub struct World(Rc<State>);

#[derive(Default)]
struct State {
    now: Cell<u64>,
    /// How far the wall clock is ahead.
    slept: Cell<u64>,
    watches: RefCell<Vec<Rc<WatchState>>>,
    chance: Cell<f64>,
    secure: Cell<bool>,
    refuse: Cell<bool>,
    timers: RefCell<Vec<Rc<TimerState>>>,
    tasks: RefCell<Vec<LocalFuture<()>>>,
    /// The page is busy.
    busy: Cell<bool>,
    /// What arrived meanwhile.
    arrived: RefCell<Vec<Box<dyn FnOnce()>>>,
    wakes: Arc<Wakes>,
    connections: RefCell<Vec<FakeConnection>>,
    handshake: Cell<Handshake>,
    closing: Cell<Closing>,
    on_message: RefCell<Option<MessageHandler>>,
}

/// Called with the browser's hints.
type HintListener = Rc<dyn Fn(Hint)>;

struct WatchState {
    tell: RefCell<Option<HintListener>>,
}

struct TimerState {
    at: u64,
    fire: RefCell<Option<Box<dyn FnOnce()>>>,
}

/// How often a task was made ready. This is a counter, not a flag, since a task may itself run the world.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wakes {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Called with arriving messages.
pub(super) type MessageHandler = Rc<dyn Fn(&FakeConnection, Message)>;

/// How to answer handshakes by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handshake {
    /// Not before [`FakeConnection::open`] or [`FakeConnection::refuse`].
    #[default]
    Stall,
    /// Accept, with the first of the offered sub-protocols.
    Open,
    /// Refuse.
    Refuse,
}

/// How to answer a client's close by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closing {
    /// Not before [`FakeConnection::finish_close`].
    #[default]
    Stall,
    /// With the same code.
    Answer,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.0.now.get())
            .field("connections", &self.0.connections.borrow().len())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world at time 0 in which every wait is the longest possible.
    #[must_use]
    pub fn new() -> Self {
        let world = Self::default();
        world.set_chance(1.0);
        world
    }

    /// The platform for a [`Builder`](crate::Builder).
    #[must_use]
    pub fn platform(&self) -> Rc<dyn Runtime> {
        Rc::new(self.clone())
    }

    /// Sets the random number from which waits are drawn, 0 for the shortest and 1 for the longest; initially 1.
    ///
    /// # Panics
    /// If it is not from 0 to 1.
    #[track_caller]
    pub fn set_chance(&self, chance: f64) {
        assert!(
            (0.0..=1.0).contains(&chance),
            "set_chance: it takes a number from 0 to 1, and got {chance}"
        );
        self.0.chance.set(chance);
    }

    /// Sets whether the platform refuses to make sockets.
    pub fn refuse_sockets(&self, refuse: bool) {
        self.0.refuse.set(refuse);
    }

    /// Sets whether the page was loaded over https.
    pub fn set_secure(&self, secure: bool) {
        self.0.secure.set(secure);
    }

    /// Sets how to answer handshakes from now on. By default, they wait for the test.
    pub fn set_handshake(&self, handshake: Handshake) {
        self.0.handshake.set(handshake);
    }

    /// Sets how to answer clients' closes from now on. By default, they wait for the test.
    pub fn set_closing(&self, closing: Closing) {
        self.0.closing.set(closing);
    }

    /// Sets what the server does with every arriving message, after the running code: in [`World::run`] and in
    /// whatever calls it.
    pub fn on_message(&self, handler: impl Fn(&FakeConnection, Message) + 'static) {
        *self.0.on_message.borrow_mut() = Some(Rc::new(handler));
    }

    /// All connections ever requested, in order.
    #[must_use]
    pub fn connections(&self) -> Vec<FakeConnection> {
        self.0.connections.borrow().clone()
    }

    /// How many connections were requested.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.0.connections.borrow().len()
    }

    /// The connection number `index`, 0 for the first.
    ///
    /// # Panics
    /// If there is none: a test that asks for it has failed.
    #[must_use]
    #[track_caller]
    pub fn connection(&self, index: usize) -> FakeConnection {
        let connections = self.0.connections.borrow();
        let Some(connection) = connections.get(index) else {
            panic!(
                "there is no connection {index}; there are {}",
                connections.len()
            );
        };
        connection.clone()
    }

    /// The last connection requested.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn last(&self) -> FakeConnection {
        let last = self.0.connections.borrow().last().cloned();
        let Some(last) = last else {
            panic!("no connection was asked for");
        };
        last
    }

    /// Asserts that nothing is left: every connection has ended or its client has closed it, no timer is armed, and
    /// nothing listens to the page.
    ///
    /// # Panics
    /// With a list of what is left.
    #[track_caller]
    pub fn assert_idle(&self) {
        self.run();
        let mut left: Vec<String> = self
            .connections()
            .iter()
            .enumerate()
            .filter(|(_, connection)| connection.is_in_use())
            .map(|(number, connection)| {
                let (url, state) = (connection.url(), connection.state());
                format!("connection {number} to {url} is {state}: its client did not close it")
            })
            .collect();
        for (count, what) in [
            (self.timer_count(), "timer(s) armed"),
            (self.watch_count(), "listener(s) to the page"),
        ] {
            if count > 0 {
                left.push(format!("{count} {what}"));
            }
        }
        assert!(
            left.is_empty(),
            "the world is not idle:\n- {}",
            left.join("\n- ")
        );
    }

    pub(super) fn handshake(&self) -> Handshake {
        self.0.handshake.get()
    }

    pub(super) fn closing(&self) -> Closing {
        self.0.closing.get()
    }

    pub(super) fn message_handler(&self) -> Option<MessageHandler> {
        self.0.on_message.borrow().clone()
    }

    /// Does something in the next [`World::run`].
    pub(super) fn soon(&self, act: impl FnOnce() + 'static) {
        let task: LocalFuture<()> = Box::pin(async move { act() });
        self.0.tasks.borrow_mut().push(task);
    }

    /// How many timers are armed.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.0
            .timers
            .borrow()
            .iter()
            .filter(|timer| timer.fire.borrow().is_some())
            .count()
    }

    /// Emits a hint of the browser that something has changed.
    pub fn hint(&self, hint: Hint) {
        let watches = self.0.watches.borrow().clone();
        for watch in watches {
            let tell = watch.tell.borrow().clone();
            if let Some(tell) = tell {
                tell(hint);
            }
        }
        self.run();
    }

    /// How many connections listen to hints.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.0
            .watches
            .borrow()
            .iter()
            .filter(|watch| watch.tell.borrow().is_some())
            .count()
    }

    /// Puts the machine to sleep: the wall clock advances, and nothing else does.
    pub fn sleep(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.0.slept.set(self.0.slept.get().saturating_add(millis));
    }

    /// Advances time, and lets everything happen that is due.
    pub fn advance(&self, time: Duration) {
        let end = self.0.now.get().saturating_add(time.as_millis() as u64);
        self.run();
        while let Some(timer) = self.due(end) {
            self.0.now.set(timer.at.max(self.0.now.get()));
            let fire = timer.fire.borrow_mut().take();
            if let Some(fire) = fire {
                fire();
            }
            self.run();
        }
        self.0.now.set(end);
    }

    /// Advances time, but the page's timers fire only at its end, as those of a hidden page may.
    pub fn advance_throttled(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.0.now.set(self.0.now.get().saturating_add(millis));
        self.advance(Duration::ZERO);
    }

    /// Keeps the page busy for some time. What the test does in `meanwhile` reaches it only afterwards; first, the
    /// due timers fire, which is the worst possible order. Only the page is held up: a server that would have
    /// answered within that time answers in `meanwhile`.
    pub fn busy(&self, time: Duration, meanwhile: impl FnOnce()) {
        self.0.busy.set(true);
        meanwhile();
        let millis = time.as_millis() as u64;
        self.0.now.set(self.0.now.get().saturating_add(millis));
        let now = self.0.now.get();
        let timers = self.0.timers.borrow().clone();
        for timer in timers.iter().filter(|timer| timer.at <= now) {
            let fire = timer.fire.borrow_mut().take();
            if let Some(fire) = fire {
                fire();
            }
        }
        self.0.busy.set(false);
        let arrived = self.0.arrived.take();
        for arrive in arrived {
            arrive();
        }
        self.run();
    }

    /// Delivers something to the page, as soon as it is not busy.
    pub(super) fn arrives(&self, arrive: impl FnOnce() + 'static) {
        if self.0.busy.get() {
            self.0.arrived.borrow_mut().push(Box::new(arrive));
        } else {
            arrive();
            self.run();
        }
    }

    fn due(&self, end: u64) -> Option<Rc<TimerState>> {
        let mut timers = self.0.timers.borrow_mut();
        timers.retain(|timer| timer.fire.borrow().is_some());
        timers
            .iter()
            .filter(|timer| timer.at <= end)
            .min_by_key(|timer| timer.at)
            .cloned()
    }

    /// Runs the tasks that are ready, and those that these make ready. A task that keeps making itself ready never
    /// lets this return.
    pub fn run(&self) {
        if self.0.busy.get() {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.0.wakes));
        let mut context = Context::from_waker(&waker);
        // A task made ready by another runs in the next pass. A test may also wake nobody, so the changes of a
        // finished task are checked, too.
        loop {
            let wakes = self.0.wakes.count();
            let tasks = core::mem::take(&mut *self.0.tasks.borrow_mut());
            let before = tasks.len();
            let mut pending = Vec::new();
            for mut task in tasks {
                if task.as_mut().poll(&mut context).is_pending() {
                    pending.push(task);
                }
            }
            let finished = pending.len() < before;
            let mut all = self.0.tasks.borrow_mut();
            let added = !all.is_empty();
            pending.append(&mut all);
            *all = pending;
            if !finished && !added && self.0.wakes.count() == wakes {
                return;
            }
        }
    }
}

impl Platform<Message> for World {
    type Target = Target;
    type Socket = dyn RawSocket<Message>;
    type Watch = Box<dyn Any>;
    type Timer = Box<dyn Any>;

    fn now(&self) -> Time {
        Time::from_millis(self.0.now.get())
    }

    fn wall_clock(&self) -> u64 {
        self.0.now.get().saturating_add(self.0.slept.get())
    }

    fn watch(&self, tell: Rc<dyn Fn(Hint)>) -> Box<dyn Any> {
        let watch = Rc::new(WatchState {
            tell: RefCell::new(Some(tell)),
        });
        self.0.watches.borrow_mut().push(Rc::clone(&watch));
        Box::new(StopWatching(watch))
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
        self.0.chance.get()
    }

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        let at = self.0.now.get().saturating_add(millis);
        let timer = Rc::new(TimerState {
            at,
            fire: RefCell::new(Some(fire)),
        });
        self.0.timers.borrow_mut().push(Rc::clone(&timer));
        Box::new(CallOff(timer))
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        self.spawn(Box::pin(async move { task() }));
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        self.soon(task);
        true
    }

    fn connect(
        &self,
        target: &Target,
        max_message_bytes: Option<u32>,
        listener: SocketListener<Message>,
    ) -> Result<Rc<dyn RawSocket<Message>>, Refused> {
        if self.0.refuse.get() {
            return Err(Refused("the test refuses sockets".to_owned()));
        }
        let number = self.0.connections.borrow().len();
        let connection =
            FakeConnection::new(self.clone(), number, target, max_message_bytes, listener);
        self.0.connections.borrow_mut().push(connection.clone());
        let client = connection.client();
        self.soon(move || connection.answer_handshake());
        Ok(client)
    }
}

impl Runtime for World {
    fn spawn(&self, task: LocalFuture<()>) {
        self.0.tasks.borrow_mut().push(task);
    }

    fn page_is_secure(&self) -> bool {
        self.0.secure.get()
    }

    /// Parses like a browser on a page at `http://page.test/` (`https:` if secure): it refuses what a browser refuses
    /// because of its scheme, host, port or fragment, and leaves the rest unchanged.
    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        let url = url.trim_matches(|character: char| character <= ' ');
        let own = if self.0.secure.get() { "wss" } else { "ws" };
        let absolute = match scheme_of(url) {
            Some((scheme, rest)) => {
                let scheme = match scheme.to_ascii_lowercase().as_str() {
                    "ws" | "http" => "ws",
                    "wss" | "https" => "wss",
                    // `localhost:80` has one, too.
                    other => {
                        return Err(Refused(format!(
                            "the URL's scheme is {other}:; it takes ws:, wss:, http: or https:"
                        )));
                    }
                };
                format!("{scheme}://{}", rest.trim_start_matches(['/', '\\']))
            }
            None if url.starts_with("//") => format!("{own}:{url}"),
            None => format!("{own}://page.test/{}", url.trim_start_matches('/')),
        };
        if absolute.contains('#') {
            return Err(Refused(
                "the URL has a fragment (#…); a WebSocket URL takes none".to_owned(),
            ));
        }
        if !has_host(&absolute) {
            return Err(Refused(
                "the URL cannot be parsed; it takes an absolute ws:, wss:, http: or https: URL, or one \
                 relative to the page"
                    .to_owned(),
            ));
        }
        Ok(absolute)
    }
}

/// The scheme of a URL, if any, and what follows its colon.
fn scheme_of(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let allowed = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    let is_scheme = scheme.starts_with(|character: char| character.is_ascii_alphabetic())
        && scheme.chars().all(allowed);
    is_scheme.then_some((scheme, rest))
}

/// Whether an absolute URL has a host, and a valid port if any.
fn has_host(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '\\', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // The colons of an IPv6 address are inside brackets.
    let (name, port) = match host.rfind(']') {
        Some(end) => host.split_at(end.saturating_add(1)),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.is_empty()
                || (digits.bytes().all(|byte| byte.is_ascii_digit())
                    && digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    let is_forbidden = |character: char| character <= ' ' || "<>^|%\"`{}".contains(character);
    is_port && !name.is_empty() && !name.contains(is_forbidden)
}

/// Cancels a timer on drop.
struct CallOff(Rc<TimerState>);

impl Drop for CallOff {
    fn drop(&mut self) {
        let fire = self.0.fire.borrow_mut().take();
        drop(fire);
    }
}

/// Stops listening on drop.
struct StopWatching(Rc<WatchState>);

impl Drop for StopWatching {
    fn drop(&mut self) {
        let tell = self.0.tell.borrow_mut().take();
        drop(tell);
    }
}
