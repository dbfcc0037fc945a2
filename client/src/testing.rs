//! A platform made by hand, for tests that run natively: time that moves only when the test says so,
//! sockets that open, deliver, stall and close when the test says so.
//!
//! ```
//! use core::time::Duration;
//! use futures_util::{FutureExt, StreamExt};
//! use steady_socket::protocol::PlainText;
//! use steady_socket::testing::World;
//! use steady_socket::{Message, Phase, Socket};
//!
//! let world = World::new();
//! let mut socket = Socket::<String, String, PlainText>::builder("ws://example.org/chat")
//!     .platform(world.platform())
//!     .connect()?;
//!
//! world.socket(0).open();
//! world.socket(0).deliver("Hello!".into());
//! let greeting: String = socket.next().now_or_never().flatten().unwrap()?;
//! assert_eq!(greeting, "Hello!");
//!
//! world.socket(0).cut();
//! assert_eq!(socket.handle().phase(), Phase::Waiting);
//! world.advance(Duration::from_secs(5));
//! world.socket(1).open();
//! assert_eq!(socket.handle().phase(), Phase::Open);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::task::{Context, Waker};
use core::time::Duration;
use std::rc::Rc;

use steady_socket_protocol::Message;

use crate::connection::{CloseFrame, Hint, Time};
use crate::platform::{
    BinaryType, LocalFuture, Platform, RawSocket, Refused, Runtime, SocketEvent, SocketListener,
    SocketSettings, Target,
};

/// A world with its own time and its own sockets.
#[derive(Clone, Default)]
pub struct World(Rc<State>);

#[derive(Default)]
struct State {
    now: Cell<u64>,
    /// How far the wall clock has run ahead.
    slept: Cell<u64>,
    watches: RefCell<Vec<Rc<WatchState>>>,
    chance: Cell<f64>,
    secure: Cell<bool>,
    refuse: Cell<bool>,
    timers: RefCell<Vec<Rc<TimerState>>>,
    tasks: RefCell<Vec<LocalFuture<()>>>,
    sockets: RefCell<Vec<Rc<SocketState>>>,
}

/// Called with what the browser hints at.
type HintListener = Rc<dyn Fn(Hint)>;

struct WatchState {
    tell: RefCell<Option<HintListener>>,
}

struct TimerState {
    at: u64,
    fire: RefCell<Option<Box<dyn FnOnce()>>>,
}

/// Called with what the socket reports.
type Listener = Rc<dyn Fn(SocketEvent<Message>)>;

struct SocketState {
    world: World,
    url: String,
    protocols: Vec<String>,
    max_message_bytes: Option<u32>,
    listener: RefCell<Option<Listener>>,
    sent: RefCell<Vec<Message>>,
    buffered: Cell<u64>,
    protocol: RefCell<String>,
    close: RefCell<Option<(Option<u16>, String)>>,
    fail_sends: Cell<bool>,
    ended: Cell<bool>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.0.now.get())
            .field("sockets", &self.0.sockets.borrow().len())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world at time 0 in which every wait is the longest that it could be.
    #[must_use]
    pub fn new() -> Self {
        let world = Self::default();
        world.set_chance(1.0);
        world
    }

    /// The platform to give to a [`Builder`](crate::Builder).
    #[must_use]
    pub fn platform(&self) -> Rc<dyn Runtime> {
        Rc::new(self.clone())
    }

    /// The random number from which waits are drawn, 0 for the shortest and 1 for the longest.
    pub fn set_chance(&self, chance: f64) {
        self.0.chance.set(chance);
    }

    /// Whether the platform refuses to make sockets.
    pub fn refuse_sockets(&self, refuse: bool) {
        self.0.refuse.set(refuse);
    }

    /// Whether the page was loaded over https.
    pub fn set_secure(&self, secure: bool) {
        self.0.secure.set(secure);
    }

    /// How many sockets were made.
    #[must_use]
    pub fn socket_count(&self) -> usize {
        self.0.sockets.borrow().len()
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

    /// The socket number `index`, 0 for the first that was made.
    ///
    /// # Panics
    /// When there is none: a test that asks for it has failed.
    #[must_use]
    pub fn socket(&self, index: usize) -> FakeSocket {
        let sockets = self.0.sockets.borrow();
        let Some(socket) = sockets.get(index) else {
            panic!("socket {index} was not made; there are {}", sockets.len());
        };
        FakeSocket(Rc::clone(socket))
    }

    /// The browser hints that something has changed.
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

    /// The machine sleeps: the wall clock goes on, and nothing else does.
    pub fn sleep(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.0.slept.set(self.0.slept.get().saturating_add(millis));
    }

    /// Lets time pass, and everything happen that is due in it.
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

    /// Time passes, but the page's timers only go off at its end, as those of a hidden page may.
    pub fn stall(&self, time: Duration) {
        let millis = time.as_millis() as u64;
        self.0.now.set(self.0.now.get().saturating_add(millis));
        self.advance(Duration::ZERO);
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

    /// Runs the tasks that are ready, and those that these make ready.
    pub fn run(&self) {
        let mut context = Context::from_waker(Waker::noop());
        // A task that another one makes ready comes in the next pass. A pass that finishes none ends
        // it, since a test's tasks wait for each other and not for a waker.
        loop {
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
            pending.append(&mut all);
            *all = pending;
            if !finished {
                return;
            }
        }
    }
}

impl Platform<Message> for World {
    fn now(&self) -> Time {
        Time::from_millis(self.0.now.get())
    }

    fn wall_clock(&self) -> u64 {
        self.0.now.get().saturating_add(self.0.slept.get())
    }

    fn watch(&self, tell: Box<dyn Fn(Hint)>) -> Box<dyn Any> {
        let watch = Rc::new(WatchState {
            tell: RefCell::new(Some(Rc::from(tell))),
        });
        self.0.watches.borrow_mut().push(Rc::clone(&watch));
        Box::new(StopWatching(watch))
    }

    fn text(&self, payload: &Message) -> Option<String> {
        match payload {
            Message::Text(text) => Some(text.clone()),
            Message::Binary(_) => None,
        }
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

    fn connect(
        &self,
        target: &Target,
        settings: SocketSettings,
        listener: SocketListener<Message>,
    ) -> Result<Rc<dyn RawSocket<Message>>, Refused> {
        if self.0.refuse.get() {
            return Err(Refused("the test refuses sockets".to_owned()));
        }
        let socket = Rc::new(SocketState {
            world: self.clone(),
            url: target.url.clone(),
            protocols: target.protocols.clone(),
            max_message_bytes: settings.max_message_bytes,
            listener: RefCell::new(Some(Rc::from(listener))),
            sent: RefCell::default(),
            buffered: Cell::default(),
            protocol: RefCell::default(),
            close: RefCell::default(),
            fail_sends: Cell::default(),
            ended: Cell::default(),
        });
        self.0.sockets.borrow_mut().push(Rc::clone(&socket));
        Ok(Rc::new(FakeSocket(socket)))
    }
}

impl Runtime for World {
    fn spawn(&self, task: LocalFuture<()>) {
        self.0.tasks.borrow_mut().push(task);
    }

    fn page_is_secure(&self) -> bool {
        self.0.secure.get()
    }

    /// As in a browser, on a page at `http://page.test/` (`https:` when it is secure), but without a look
    /// at what follows the scheme.
    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        let absolute = match url.split_once("://") {
            Some(("ws" | "http", rest)) => format!("ws://{rest}"),
            Some(("wss" | "https", rest)) => format!("wss://{rest}"),
            Some(_) => return Err(Refused("it takes ws:, wss:, http: or https:".to_owned())),
            None => {
                let scheme = if self.0.secure.get() { "wss" } else { "ws" };
                format!("{scheme}://page.test/{}", url.trim_start_matches('/'))
            }
        };
        if absolute.contains('#') {
            return Err(Refused("a WebSocket URL takes no fragment (#…)".to_owned()));
        }
        Ok(absolute)
    }
}

/// Calls a timer off when it is dropped.
struct CallOff(Rc<TimerState>);

impl Drop for CallOff {
    fn drop(&mut self) {
        let fire = self.0.fire.borrow_mut().take();
        drop(fire);
    }
}

/// Stops listening when it is dropped.
struct StopWatching(Rc<WatchState>);

impl Drop for StopWatching {
    fn drop(&mut self) {
        let tell = self.0.tell.borrow_mut().take();
        drop(tell);
    }
}

/// One socket, as the test sees it from the server's side.
#[derive(Clone)]
pub struct FakeSocket(Rc<SocketState>);

impl fmt::Debug for FakeSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSocket")
            .field("ended", &self.0.ended.get())
            .finish_non_exhaustive()
    }
}

impl FakeSocket {
    fn report(&self, event: SocketEvent<Message>) {
        if self.0.ended.get() {
            return;
        }
        if matches!(event, SocketEvent::Closed(_)) {
            self.0.ended.set(true);
        }
        let listener = self.0.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(event);
        }
        self.0.world.run();
    }

    /// The URL that was asked for.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// The sub-protocols that were offered.
    #[must_use]
    pub fn offered(&self) -> Vec<String> {
        self.0.protocols.clone()
    }

    /// The handshake succeeds.
    pub fn open(&self) {
        self.report(SocketEvent::Opened);
    }

    /// The handshake succeeds with a sub-protocol.
    pub fn open_with_protocol(&self, protocol: &str) {
        protocol.clone_into(&mut self.0.protocol.borrow_mut());
        self.open();
    }

    /// A message arrives.
    pub fn deliver(&self, message: Message) {
        let bytes = message.len();
        if self
            .0
            .max_message_bytes
            .is_some_and(|max| bytes > max as usize)
        {
            self.report(SocketEvent::TooBig);
            return;
        }
        self.report(SocketEvent::Message {
            payload: message,
            bytes,
        });
    }

    /// The server closes.
    pub fn close(&self, code: u16, reason: &str) {
        self.report(SocketEvent::Closed(CloseFrame {
            code,
            reason: reason.to_owned(),
            clean: true,
        }));
    }

    /// The connection is gone without a close frame.
    pub fn cut(&self) {
        self.report(SocketEvent::Closed(CloseFrame::abnormal()));
    }

    /// The browser reports an error; [`FakeSocket::cut`] follows in a real one.
    pub fn error(&self) {
        self.report(SocketEvent::Error);
    }

    /// Answers the client's close frame.
    pub fn finish_close(&self) {
        let code = self
            .closed_with()
            .and_then(|(code, _)| code)
            .unwrap_or(1005);
        self.close(code, "");
    }

    /// What the client has sent.
    #[must_use]
    pub fn sent(&self) -> Vec<Message> {
        self.0.sent.borrow().clone()
    }

    /// What the client has called `close` with, if it has.
    #[must_use]
    pub fn closed_with(&self) -> Option<(Option<u16>, String)> {
        self.0.close.borrow().clone()
    }

    /// Whether the client still listens.
    #[must_use]
    pub fn is_listened_to(&self) -> bool {
        self.0.listener.borrow().is_some()
    }

    /// How many bytes the browser still holds.
    pub fn set_buffered(&self, bytes: u64) {
        self.0.buffered.set(bytes);
    }

    /// Whether the browser's `send` throws.
    pub fn fail_sends(&self, fail: bool) {
        self.0.fail_sends.set(fail);
    }
}

impl RawSocket<Message> for FakeSocket {
    fn send(&self, payload: &Message) -> Result<(), Refused> {
        if self.0.fail_sends.get() {
            return Err(Refused("the test fails sends".to_owned()));
        }
        self.0.sent.borrow_mut().push(payload.clone());
        Ok(())
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        self.0
            .close
            .borrow_mut()
            .get_or_insert_with(|| (code, reason.to_owned()));
    }

    fn detach(&self) {
        let listener = self.0.listener.borrow_mut().take();
        drop(listener);
    }

    fn buffered_amount(&self) -> u64 {
        self.0.buffered.get()
    }

    fn protocol(&self) -> String {
        self.0.protocol.borrow().clone()
    }

    fn extensions(&self) -> String {
        String::new()
    }

    fn set_binary_type(&self, _: BinaryType) {}
}
