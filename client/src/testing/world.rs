//! The world of a test: time, random numbers, the page's hints, and the connections.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::time::Duration;
use std::rc::Rc;
#[cfg(feature = "session")]
use std::rc::Weak;

use steady_socket_protocol::Message;

use super::connection::{Closing, FakeConnection, Handshake, Server};
use super::page::Page;
use super::url;
use crate::connection::{Hint, Time};
use crate::platform::{LocalFuture, Platform, RawSocket, Refused, Runtime, SocketListener, Target};

/// A world with its own time, random numbers and server.
///
/// Clones share the same world.
#[derive(Clone, Default)]
pub struct World(Rc<State>);

#[derive(Default)]
struct State {
    page: Page,
    server: Server,
    connections: RefCell<Vec<FakeConnection>>,
    chance: Cell<f64>,
    /// How often random bytes were drawn.
    drawn: Cell<u64>,
    /// Called when the page is about to be hidden.
    #[cfg(feature = "session")]
    hiding: RefCell<Vec<Weak<dyn Fn()>>>,
    secure: Cell<bool>,
    refuse: Cell<bool>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.0.page.now())
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
        self.0.server.set_handshake(handshake);
    }

    /// Sets how to answer clients' closes from now on. By default, they wait for the test.
    pub fn set_closing(&self, closing: Closing) {
        self.0.server.set_closing(closing);
    }

    /// Sets what the server does with every arriving message, after the running code: in [`World::run`] and in
    /// whatever calls it.
    pub fn on_message(&self, handler: impl Fn(&FakeConnection, Message) + 'static) {
        self.0.server.on_message(handler);
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

    /// How many timers are armed.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.0.page.timer_count()
    }

    /// Emits a hint of the browser that something has changed.
    pub fn hint(&self, hint: Hint) {
        self.0.page.hint(hint);
    }

    /// The page is about to be hidden, frozen or left: sessions send what they still have to say.
    #[cfg(feature = "session")]
    pub fn hide(&self) {
        let watching = self.0.hiding.borrow().clone();
        for hiding in watching.iter().filter_map(Weak::upgrade) {
            hiding();
        }
    }

    /// How many connections listen to hints.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.0.page.watch_count()
    }

    /// Puts the machine to sleep: the wall clock advances, and nothing else does.
    pub fn sleep(&self, time: Duration) {
        self.0.page.sleep(time);
    }

    /// Advances time, and lets everything happen that is due.
    pub fn advance(&self, time: Duration) {
        self.0.page.advance(time);
    }

    /// Advances time, but the page's timers fire only at its end, as those of a hidden page may.
    pub fn advance_throttled(&self, time: Duration) {
        self.0.page.advance_throttled(time);
    }

    /// Keeps the page busy for some time. What the test does in `meanwhile` reaches it only afterwards; first, the
    /// due timers fire, which is the worst possible order. Only the page is held up: a server that would have
    /// answered within that time answers in `meanwhile`.
    pub fn busy(&self, time: Duration, meanwhile: impl FnOnce()) {
        self.0.page.busy(time, meanwhile);
    }

    /// Runs the tasks that are ready, and those that these make ready. A task that keeps making itself ready never
    /// lets this return.
    pub fn run(&self) {
        self.0.page.run();
    }
}

impl Platform<Message> for World {
    type Target = Target;
    type Socket = dyn RawSocket<Message>;
    type Watch = Box<dyn Any>;
    type Timer = Box<dyn Any>;

    fn now(&self) -> Time {
        Time::from_millis(self.0.page.now())
    }

    fn wall_clock(&self) -> u64 {
        self.0.page.wall_clock()
    }

    fn watch(&self, tell: Rc<dyn Fn(Hint)>) -> Box<dyn Any> {
        self.0.page.watch(tell)
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
        self.0.page.set_timer(millis, fire)
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        self.spawn(Box::pin(async move { task() }));
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        self.0.page.soon(task);
        true
    }

    fn connect(
        &self,
        target: &Target,
        max_message_bytes: Option<u32>,
        listener: Rc<dyn SocketListener<Message>>,
    ) -> Result<Rc<dyn RawSocket<Message>>, Refused> {
        if self.0.refuse.get() {
            return Err(Refused("the test refuses sockets".to_owned()));
        }
        let number = self.0.connections.borrow().len();
        let (page, server) = (self.0.page.clone(), self.0.server.clone());
        let connection =
            FakeConnection::new(page, server, number, target, max_message_bytes, listener);
        self.0.connections.borrow_mut().push(connection.clone());
        let client = connection.client();
        self.0.page.soon(move || connection.answer_handshake());
        Ok(client)
    }
}

impl Runtime for World {
    fn spawn(&self, task: LocalFuture<()>) {
        self.0.page.spawn(task);
    }

    /// Not random: the same in every run, and another each time.
    fn random_bytes(&self) -> Option<[u8; 16]> {
        let drawn = self.0.drawn.get().wrapping_add(1);
        self.0.drawn.set(drawn);
        Some(u128::from(drawn).to_be_bytes())
    }

    #[cfg(feature = "session")]
    fn watch_hiding(&self, hiding: Rc<dyn Fn()>) -> Box<dyn Any> {
        let weak = Rc::downgrade(&hiding);
        self.0.hiding.borrow_mut().push(weak);
        Box::new(hiding)
    }

    fn page_is_secure(&self) -> bool {
        self.0.secure.get()
    }

    /// Parses like a browser on a page at `http://page.test/` (`https:` if secure).
    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        url::parse(url, self.0.secure.get())
    }
}
