//! The server's end of a session, in a world.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::fmt;
use std::collections::BTreeMap;
use std::rc::Rc;

use steady_socket_protocol::session::frame::{Answer, Style, Why};
use steady_socket_protocol::session::{
    Ask, AskEnd, Connection, Delivery, End, Ended, ServerOptions, Token, close,
};
use steady_socket_protocol::{Codec, Message};

use super::connection::{FakeConnection, State};
use super::play::{Play, Step};
use super::world::World;
use crate::platform::Platform;

/// The server's end of a session: the real half of the protocol, with an application that the test plays.
///
/// It answers hellos, keeps what it sends until it is acknowledged, and repeats it after a reconnect. Messages of the client
/// are recorded and handled at once, unless the test [holds](Self::hold) them. Handshakes are the [`World`]'s affair.
/// Clones are the same server.
#[derive(Clone)]
pub struct SessionServer(Rc<Played>);

struct Played {
    world: World,
    play: RefCell<Play>,
    connections: RefCell<BTreeMap<Connection, FakeConnection>>,
    /// The steps are being carried out, further up the stack.
    stepping: Cell<bool>,
    timer: RefCell<Option<Box<dyn Any>>>,
}

impl fmt::Debug for SessionServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionServer").finish_non_exhaustive()
    }
}

impl SessionServer {
    /// Plays the server in `world` from now on, in place of [`World::on_message`], for clients with the codec `C`.
    #[must_use]
    pub fn start<C: Codec>(world: &World) -> Self {
        Self::with_options::<C>(world, ServerOptions::default())
    }

    /// Likewise, with other limits and another window than the defaults.
    #[must_use]
    pub fn with_options<C: Codec>(world: &World, options: ServerOptions) -> Self {
        let server = Self(Rc::new(Played {
            world: world.clone(),
            play: RefCell::new(Play::new(Style::of::<C>(), options)),
            connections: RefCell::default(),
            stepping: Cell::default(),
            timer: RefCell::default(),
        }));
        let played = Rc::downgrade(&server.0);
        world.on_message(move |connection, message| {
            if let Some(played) = played.upgrade() {
                Self(played).arrived(connection, message);
            }
        });
        server
    }

    // ----- what the test sees

    /// Every message that the server's application was given, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Message> {
        self.0.play.borrow().received.clone()
    }

    /// How every message ended that [`send`](Self::send) has sent; `None` if the client's application has handled it.
    #[must_use]
    pub fn ends(&self) -> Vec<(Delivery, Option<End<Message>>)> {
        self.0.play.borrow().ends.clone()
    }

    /// How every request ended that [`ask`](Self::ask) has made.
    #[must_use]
    pub fn answers(&self) -> Vec<(Ask, AskEnd<Message>)> {
        self.0.play.borrow().answers.clone()
    }

    /// The client's requests that are not answered, for [`answer`](Self::answer).
    #[must_use]
    pub fn requests(&self) -> Vec<(Token, Message)> {
        self.0.play.borrow().requests.clone()
    }

    /// The credential of every hello, in order.
    #[must_use]
    pub fn credentials(&self) -> Vec<Option<String>> {
        self.0.play.borrow().credentials.clone()
    }

    /// Whether there is a session: a client has said hello, and it has neither ended nor been forgotten.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.0.play.borrow().has_session()
    }

    /// How the session ended at this end, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.play.borrow().ended
    }

    // ----- what the test does

    /// Sends a message.
    ///
    /// # Panics
    /// If there is no session, or it does not accept the message.
    #[track_caller]
    pub fn send(&self, message: impl Into<Message>) -> Delivery {
        let now = self.0.world.now();
        match self.act(|play| play.send(now, message.into())) {
            Ok(delivery) => delivery,
            Err(why) => panic!("send: {why}"),
        }
    }

    /// Asks the client.
    ///
    /// # Panics
    /// If there is no session, or it does not accept the request.
    #[track_caller]
    pub fn ask(&self, request: impl Into<Message>) -> Ask {
        let now = self.0.world.now();
        match self.act(|play| play.ask(now, request.into())) {
            Ok(ask) => ask,
            Err(why) => panic!("ask: {why}"),
        }
    }

    /// Cancels such a request.
    pub fn cancel(&self, ask: Ask) {
        let now = self.0.world.now();
        self.act(|play| play.cancel(now, ask));
    }

    /// Answers a request of the client's.
    ///
    /// # Panics
    /// If the answer is larger than the client takes.
    #[track_caller]
    pub fn answer(&self, token: Token, answer: Answer<Message>) {
        let now = self.0.world.now();
        if let Err(why) = self.act(|play| play.answer(now, token, answer)) {
            panic!("answer: {why}");
        }
    }

    /// Whether the application keeps messages from now on without having handled them. What it keeps is not acknowledged.
    pub fn hold(&self, holds: bool) {
        let now = self.0.world.now();
        self.act(|play| play.hold(now, holds));
    }

    /// Whether hellos are refused from now on: the client is not let in, and gives its session up.
    pub fn refuse(&self, refuses: bool) {
        self.act(|play| play.refuse(refuses.then_some(close::REFUSED)));
    }

    /// Likewise, with another [close code](steady_socket_protocol::session::close): after most of them the client tries again.
    pub fn refuse_with(&self, code: u16) {
        self.act(|play| play.refuse(Some(code)));
    }

    /// The server is restarted without its memory. Its connections are cut.
    pub fn forget(&self) {
        let now = self.0.world.now();
        self.act(|play| play.forget(now));
    }

    /// The server's application ends the session.
    pub fn end(&self) {
        let now = self.0.world.now();
        self.act(|play| play.end(now));
    }

    /// The session is lost because too much waits for the client.
    pub fn lose(&self) {
        if self.has_session() {
            self.lose_because(Why::Full);
        }
    }

    /// The session is lost for this reason, which the client learns when it comes back. `Unknown` is [`Self::forget`];
    /// `Expired` and `Refused` cut the connection.
    ///
    /// # Panics
    /// If there is no session; for `Other`; and for `OutOfStep` while the client is not connected.
    #[track_caller]
    pub fn lose_because(&self, why: Why) {
        let now = self.0.world.now();
        if let Err(error) = self.act(|play| play.lose(now, why)) {
            panic!("lose: {error}");
        }
    }

    // ----- inside

    fn arrived(&self, connection: &FakeConnection, message: Message) {
        let id = Connection(connection.number() as u64);
        let is_known = self.0.play.borrow().knows(id);
        if !is_known && connection.state() == State::Closed {
            return;
        }
        let mut connections = self.0.connections.borrow_mut();
        connections.insert(id, connection.clone());
        drop(connections);
        let now = self.0.world.now();
        self.0.play.borrow_mut().arrived(now, id, message);
        self.step();
    }

    /// Does something with the server's end, and what follows.
    fn act<T>(&self, act: impl FnOnce(&mut Play) -> T) -> T {
        self.look_at_connections();
        let result = act(&mut self.0.play.borrow_mut());
        self.step();
        result
    }

    /// Tells the server's end of connections that have ended.
    fn look_at_connections(&self) {
        let now = self.0.world.now();
        self.0.connections.borrow_mut().retain(|id, connection| {
            let is_over = connection.state() == State::Closed;
            if is_over {
                let closed = connection.closed_with().and_then(|(code, _)| code);
                self.0.play.borrow_mut().closed(now, *id, closed);
            }
            !is_over
        });
    }

    fn step(&self) {
        if self.0.stepping.replace(true) {
            return;
        }
        self.look_at_connections();
        loop {
            let Some(step) = self.0.play.borrow_mut().poll() else {
                break;
            };
            let (Step::Send(id, _) | Step::Close(id, _) | Step::Cut(id)) = &step;
            let connection = self.0.connections.borrow().get(id).cloned();
            let connection = connection.filter(|connection| connection.state() != State::Closed);
            match (connection, step) {
                (None, _) => {}
                (Some(connection), Step::Send(_, message)) => connection.send(message),
                (Some(connection), Step::Close(_, code)) => connection.close(code, ""),
                (Some(connection), Step::Cut(_)) if connection.state() == State::Open => {
                    connection.cut();
                }
                (Some(_), Step::Cut(_)) => {}
            }
        }
        self.0.stepping.set(false);
        self.arm();
    }

    fn arm(&self) {
        let next = self.0.play.borrow().next_timer(self.0.world.now());
        let timer = next.map(|millis| {
            let played = Rc::downgrade(&self.0);
            let fire = Box::new(move || {
                if let Some(played) = played.upgrade() {
                    let server = Self(played);
                    let now = server.0.world.now();
                    server.act(|play| play.timer(now));
                }
            });
            self.0.world.set_timer(millis, fire)
        });
        let earlier = self.0.timer.replace(timer);
        drop(earlier);
    }
}
