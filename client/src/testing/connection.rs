//! One connection of a world, from either end.

use core::cell::{Cell, RefCell};
use core::fmt;
use std::collections::VecDeque;
use std::rc::Rc;

use steady_socket_protocol::{Decode, Encode, Message};

use super::page::Page;
use crate::connection::CloseFrame;
use crate::limits::LONGEST_REASON;
use crate::platform::{RawSocket, Refused, SocketEvent, SocketListener, Target};

/// The arguments of the client's `close`.
pub type CloseCall = (Option<u16>, String);

/// How a connection ended: the content of the socket's `close` event.
pub type End = CloseFrame;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The handshake is not answered.
    Connecting,
    /// Messages flow, or seem to.
    Open,
    /// One end has closed, and the other has not answered.
    Closing,
    /// The connection has ended.
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
        })
    }
}

/// Called with the socket's events.
type Listener = Rc<dyn SocketListener<Message>>;

/// From the client, not yet passed on.
enum Outgoing {
    /// With its remaining bytes.
    Message(Message, u64),
    Close(CloseCall),
}

/// Called with arriving messages.
type MessageHandler = Rc<dyn Fn(&FakeConnection, Message)>;

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

/// What the server does by itself.
///
/// Clones share the same server.
#[derive(Clone, Default)]
pub(super) struct Server(Rc<ServerState>);

#[derive(Default)]
struct ServerState {
    handshake: Cell<Handshake>,
    closing: Cell<Closing>,
    on_message: RefCell<Option<MessageHandler>>,
}

impl Server {
    pub(super) fn set_handshake(&self, handshake: Handshake) {
        self.0.handshake.set(handshake);
    }

    pub(super) fn set_closing(&self, closing: Closing) {
        self.0.closing.set(closing);
    }

    pub(super) fn on_message(&self, handler: impl Fn(&FakeConnection, Message) + 'static) {
        *self.0.on_message.borrow_mut() = Some(Rc::new(handler));
    }
}

/// From the server, not yet delivered.
enum Incoming {
    Message(Message),
    Close(CloseFrame),
}

struct Link {
    page: Page,
    server: Server,
    number: usize,
    url: String,
    protocols: Vec<String>,
    max_message_bytes: Option<u32>,
    listener: RefCell<Option<Listener>>,
    state: Cell<State>,
    protocol: RefCell<String>,
    received: RefCell<Vec<Message>>,
    /// How many of these `receive` and `expect` have taken.
    taken: Cell<usize>,
    outgoing: RefCell<VecDeque<Outgoing>>,
    incoming: RefCell<VecDeque<Incoming>>,
    /// What the server does about what has arrived, in order.
    reactions: RefCell<VecDeque<Box<dyn FnOnce()>>>,
    /// How many bytes the browser holds, as set by the test.
    buffered: Cell<u64>,
    closed_with: RefCell<Option<CloseCall>>,
    /// Whether `close` was called, even if that has not reached the server.
    closes: Cell<bool>,
    end: RefCell<Option<End>>,
    half_open: Cell<bool>,
    held: Cell<bool>,
    fail_sends: Cell<bool>,
}

/// One connection or attempt, as the test sees it from the server's side.
///
/// The test's actions take effect before the call returns, including the client's handlers. An action that is
/// impossible in a connection's state panics with that state and the received messages: a test that attempts it has
/// failed.
#[derive(Clone)]
pub struct FakeConnection(Rc<Link>);

impl fmt::Debug for FakeConnection {
    /// Omits its URL and messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeConnection")
            .field("number", &self.0.number)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl FakeConnection {
    pub(super) fn new(
        page: Page,
        server: Server,
        number: usize,
        target: &Target,
        max_message_bytes: Option<u32>,
        listener: Listener,
    ) -> Self {
        Self(Rc::new(Link {
            page,
            server,
            number,
            url: target.url.clone(),
            protocols: target.protocols.clone(),
            max_message_bytes,
            listener: RefCell::new(Some(listener)),
            state: Cell::new(State::Connecting),
            protocol: RefCell::default(),
            received: RefCell::default(),
            taken: Cell::default(),
            outgoing: RefCell::default(),
            incoming: RefCell::default(),
            reactions: RefCell::default(),
            buffered: Cell::default(),
            closed_with: RefCell::default(),
            closes: Cell::default(),
            end: RefCell::default(),
            half_open: Cell::default(),
            held: Cell::default(),
            fail_sends: Cell::default(),
        }))
    }

    /// The client's end.
    pub(super) fn client(&self) -> Rc<dyn RawSocket<Message>> {
        Rc::new(ClientEnd(self.clone()))
    }

    // ----- queries

    /// Its place in [`World::connections`](super::World::connections).
    #[cfg(feature = "session")]
    pub(super) fn number(&self) -> usize {
        self.0.number
    }

    /// The requested URL, absolute.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// The offered sub-protocols.
    #[must_use]
    pub fn offered_protocols(&self) -> Vec<String> {
        self.0.protocols.clone()
    }

    /// The connection's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state.get()
    }

    /// Everything from the client that has arrived, including heartbeat pings.
    #[must_use]
    pub fn received(&self) -> Vec<Message> {
        self.0.received.borrow().clone()
    }

    /// Bytes that are still with the client.
    #[must_use]
    pub fn buffered_amount(&self) -> u64 {
        let left = |item: &Outgoing| match item {
            Outgoing::Message(_, left) => *left,
            Outgoing::Close(_) => 0,
        };
        let waiting: u64 = self.0.outgoing.borrow().iter().map(left).sum();
        self.0.buffered.get().saturating_add(waiting)
    }

    /// The arguments of the client's `close`, if that was called and has arrived. Nothing arrives from a client that
    /// closes while it connects; the attempt fails by itself then.
    #[must_use]
    pub fn closed_with(&self) -> Option<CloseCall> {
        self.0.closed_with.borrow().clone()
    }

    /// How the connection ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.0.end.borrow().clone()
    }

    /// Whether the client still listens: it does not listen to a connection that it has given up.
    #[must_use]
    pub fn is_listened_to(&self) -> bool {
        self.0.listener.borrow().is_some()
    }

    /// Whether the client has neither closed it nor seen its end.
    pub(super) fn is_in_use(&self) -> bool {
        self.state() != State::Closed && !self.0.closes.get()
    }

    // ----- the handshake

    /// Completes the handshake with the first of the offered sub-protocols.
    ///
    /// # Panics
    /// Unless it is connecting.
    #[track_caller]
    pub fn open(&self) {
        self.need("open", &[State::Connecting]);
        let first = self.0.protocols.first();
        self.opened(first.map_or("", String::as_str));
    }

    /// Completes the handshake with this sub-protocol. If the client did not offer it, a browser fails the handshake,
    /// and so does this, like [`refuse`](Self::refuse).
    ///
    /// # Panics
    /// Unless it is connecting.
    #[track_caller]
    pub fn open_with_protocol(&self, protocol: &str) {
        self.need("open_with_protocol", &[State::Connecting]);
        if self.0.protocols.iter().any(|offered| offered == protocol) {
            self.opened(protocol);
        } else {
            self.fail();
        }
    }

    fn opened(&self, protocol: &str) {
        protocol.clone_into(&mut self.0.protocol.borrow_mut());
        self.0.state.set(State::Open);
        self.report(SocketEvent::Opened);
    }

    /// Fails the handshake: the client gets an error and an abnormal end, whatever the server's status was.
    ///
    /// # Panics
    /// Unless it is connecting.
    #[track_caller]
    pub fn refuse(&self) {
        self.need("refuse", &[State::Connecting]);
        self.fail();
    }

    /// Applies the world's default to the handshake.
    pub(super) fn answer_handshake(&self) {
        if self.state() != State::Connecting {
            return;
        }
        match self.0.server.0.handshake.get() {
            Handshake::Stall => {}
            Handshake::Open => self.open(),
            Handshake::Refuse => self.refuse(),
        }
    }

    /// The browser ends it with an error.
    fn fail(&self) {
        self.report(SocketEvent::Error(None));
        self.over(CloseFrame::abnormal());
    }

    // ----- messages

    /// Sends a message from the server. A client that is closing does not see it.
    ///
    /// # Panics
    /// Unless it is open or closing.
    #[track_caller]
    pub fn send(&self, message: impl Into<Message>) {
        self.need("send", &[State::Open, State::Closing]);
        let message = Incoming::Message(message.into());
        self.0.incoming.borrow_mut().push_back(message);
        self.take_in();
    }

    /// Sends a value from the server, encoded.
    ///
    /// # Panics
    /// See [`send`](Self::send); also if the codec cannot represent the value.
    #[track_caller]
    pub fn send_value<C: Encode<T>, T: ?Sized>(&self, value: &T) {
        match C::encode(value) {
            Ok(message) => self.send(message),
            Err(error) => panic!("{}: send_value: {error}", self.name()),
        }
    }

    /// The next arrived message that neither this nor [`expect`](Self::expect) has taken.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn receive(&self) -> Message {
        let number = self.0.taken.get();
        let message = self.0.received.borrow().get(number).cloned();
        let Some(message) = message else {
            panic!(
                "{}: expected message {}, which did not come. {}",
                self.name(),
                number + 1,
                self.progress(),
            );
        };
        self.0.taken.set(number + 1);
        message
    }

    /// The next message, decoded.
    ///
    /// # Panics
    /// See [`receive`](Self::receive); also if it does not hold such a value.
    #[track_caller]
    #[must_use]
    pub fn receive_value<C: Decode<T>, T>(&self) -> T {
        let message = self.receive();
        let shown = show(&message);
        match C::decode(message) {
            Ok(value) => value,
            Err(error) => panic!(
                "{}: message {} is {shown}: {error}",
                self.name(),
                self.0.taken.get()
            ),
        }
    }

    /// Asserts that the next message is this one.
    ///
    /// # Panics
    /// If it is another one, or there is none.
    #[track_caller]
    pub fn expect(&self, message: impl Into<Message>) {
        let expected = message.into();
        let number = self.0.taken.get() + 1;
        let came = self.receive();
        assert!(
            came == expected,
            "{}: expected message {number} to be {}, but it is {}",
            self.name(),
            show(&expected),
            show(&came),
        );
    }

    // ----- faults

    /// Closes from the server: a clean end with this code. Use [`FakeConnection::cut`] for 1006.
    ///
    /// # Panics
    /// Unless it is open or closing; if a Close frame cannot carry the code (1000 to 1014 except 1004 to 1006, and
    /// 3000 to 4999 are valid); or if the reason is longer than 123 bytes.
    #[track_caller]
    pub fn close(&self, code: u16, reason: &str) {
        self.need("close", &[State::Open, State::Closing]);
        assert!(
            matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
            "{}: close: code {code} cannot be in a Close frame; it takes 1000 to 1014 save 1004 to 1006, and \
             3000 to 4999",
            self.name(),
        );
        assert!(
            reason.len() <= LONGEST_REASON,
            "{}: close: the reason has {} bytes; it takes at most {LONGEST_REASON}",
            self.name(),
            reason.len(),
        );
        self.close_from_server(code, reason);
    }

    /// Closes from the server without a code, which the client sees as 1005.
    ///
    /// # Panics
    /// Unless it is open or closing.
    #[track_caller]
    pub fn close_without_code(&self) {
        self.need("close_without_code", &[State::Open, State::Closing]);
        self.close_from_server(NO_CODE, "");
    }

    fn close_from_server(&self, code: u16, reason: &str) {
        let close = CloseFrame {
            code,
            reason: reason.to_owned(),
            clean: true,
        };
        self.0
            .incoming
            .borrow_mut()
            .push_back(Incoming::Close(close));
        self.take_in();
    }

    /// Answers the client's close with the same code.
    ///
    /// # Panics
    /// If the client has not closed, or the connection has ended.
    #[track_caller]
    pub fn finish_close(&self) {
        self.need("finish_close", &[State::Closing]);
        let Some((code, reason)) = self.closed_with() else {
            panic!(
                "{}: finish_close: the client's close has not arrived. {}",
                self.name(),
                self.progress(),
            );
        };
        self.over(CloseFrame {
            code: code.unwrap_or(NO_CODE),
            reason,
            clean: true,
        });
    }

    /// Drops the connection without a Close frame: the client sees 1006, while connecting after an error.
    ///
    /// # Panics
    /// If it has already ended.
    #[track_caller]
    pub fn cut(&self) {
        self.need("cut", &[State::Connecting, State::Open, State::Closing]);
        if self.state() == State::Connecting {
            self.fail();
        } else {
            self.over(CloseFrame::abnormal());
        }
    }

    /// Like [`cut`](Self::cut), with an error first, as when the network reports a failure.
    ///
    /// # Panics
    /// If it has already ended.
    #[track_caller]
    pub fn cut_with_error(&self) {
        self.need(
            "cut_with_error",
            &[State::Connecting, State::Open, State::Closing],
        );
        self.fail();
    }

    /// From now on, nothing passes in either direction, and the client does not know: the connection looks open, the
    /// client's messages stay with it, and its close is not answered.
    ///
    /// # Panics
    /// Unless it is open or closing.
    #[track_caller]
    pub fn half_open(&self) {
        self.need("half_open", &[State::Open, State::Closing]);
        self.0.half_open.set(true);
    }

    /// From now on, the server accepts nothing: what the client sends makes its buffered amount grow.
    ///
    /// # Panics
    /// Unless it is open.
    #[track_caller]
    pub fn hold(&self) {
        self.need("hold", &[State::Open]);
        self.0.held.set(true);
    }

    /// The server accepts this many of the held bytes. Later ones are still held.
    ///
    /// # Panics
    /// Unless it is open or closing; or if it is half-open.
    #[track_caller]
    pub fn drain(&self, bytes: u64) {
        self.need("drain", &[State::Open, State::Closing]);
        assert!(
            !self.0.half_open.get(),
            "{}: drain: it is half-open, and nothing passes before resume()",
            self.name(),
        );
        let mut rest = bytes;
        loop {
            let mut outgoing = self.0.outgoing.borrow_mut();
            match outgoing.front_mut() {
                Some(Outgoing::Message(_, left)) if *left > rest => {
                    *left -= rest;
                    break;
                }
                Some(Outgoing::Message(_, left)) => rest -= *left,
                Some(Outgoing::Close(_)) => {}
                None => break,
            }
            let item = outgoing.pop_front();
            drop(outgoing);
            item.into_iter().for_each(|item| self.arrived(item));
        }
        self.0.page.run();
    }

    /// Ends [`half_open`](Self::half_open) and [`hold`](Self::hold): what waited arrives, in both directions.
    ///
    /// # Panics
    /// Unless it is open or closing.
    #[track_caller]
    pub fn resume(&self) {
        self.need("resume", &[State::Open, State::Closing]);
        self.0.half_open.set(false);
        self.0.held.set(false);
        self.pass_on();
        self.take_in();
        self.0.page.run();
    }

    // ----- what the browser does

    /// Sets how many bytes the browser still holds, in addition to those that are [held](Self::hold); the bytes that
    /// the client sends too late count among them.
    pub fn set_buffered(&self, bytes: u64) {
        self.0.buffered.set(bytes);
    }

    /// Sets whether the browser's `send` throws.
    pub fn fail_sends(&self, fail: bool) {
        self.0.fail_sends.set(fail);
    }

    /// Emits an event in any state, as a misbehaving socket might: an error without an end, for example. Nothing is
    /// emitted after the end.
    pub fn report(&self, event: SocketEvent) {
        if self.state() == State::Closed {
            return;
        }
        if let SocketEvent::Closed(end) = &event {
            self.0.state.set(State::Closed);
            *self.0.end.borrow_mut() = Some(end.clone());
        }
        self.emit(move |listener| listener.event(event));
    }

    /// Emits a message in any state, such as before the handshake's response. Nothing is emitted after the end.
    pub fn report_message(&self, payload: Message) {
        if self.state() != State::Closed {
            let bytes = payload.len();
            self.emit(move |listener| listener.message(payload, bytes));
        }
    }

    fn emit(&self, what: impl FnOnce(&dyn SocketListener<Message>) + 'static) {
        let connection = self.clone();
        self.0.page.arrives(move || {
            let listener = connection.0.listener.borrow().clone();
            if let Some(listener) = listener {
                what(&*listener);
            }
        });
    }

    // ----- inside

    fn over(&self, end: End) {
        self.0.outgoing.borrow_mut().clear();
        self.0.incoming.borrow_mut().clear();
        self.report(SocketEvent::Closed(end));
    }

    fn take_in(&self) {
        while !self.0.half_open.get() {
            let item = self.0.incoming.borrow_mut().pop_front();
            match item {
                None => return,
                Some(Incoming::Close(end)) => self.over(end),
                Some(Incoming::Message(message)) if self.state() == State::Open => {
                    let max = self.0.max_message_bytes;
                    if max.is_some_and(|max| message.len() > max as usize) {
                        self.report(SocketEvent::TooBig);
                    } else {
                        self.report_message(message);
                    }
                }
                Some(Incoming::Message(_)) => {}
            }
        }
    }

    fn pass_on(&self) {
        while !self.0.half_open.get() && !self.0.held.get() {
            let item = self.0.outgoing.borrow_mut().pop_front();
            match item {
                Some(item) => self.arrived(item),
                None => return,
            }
        }
    }

    /// Something from the client has arrived. The server reacts after the running code.
    fn arrived(&self, item: Outgoing) {
        let connection = self.clone();
        match item {
            Outgoing::Message(message, _) => {
                self.0.received.borrow_mut().push(message.clone());
                let handler = self.0.server.0.on_message.borrow().clone();
                if let Some(handler) = handler {
                    self.react(Box::new(move || handler(&connection, message)));
                }
            }
            Outgoing::Close(call) => {
                *self.0.closed_with.borrow_mut() = Some(call);
                if self.0.server.0.closing.get() == Closing::Answer {
                    self.react(Box::new(move || {
                        if connection.state() == State::Closing {
                            connection.finish_close();
                        }
                    }));
                }
            }
        }
    }

    /// Does something after the running code and after what is to be done before, also if that runs the page.
    fn react(&self, reaction: Box<dyn FnOnce()>) {
        self.0.reactions.borrow_mut().push_back(reaction);
        let connection = self.clone();
        self.0.page.soon(move || {
            let next = connection.0.reactions.borrow_mut().pop_front();
            if let Some(next) = next {
                next();
            }
        });
    }

    fn name(&self) -> String {
        format!("connection {} to {}", self.0.number, self.0.url)
    }

    fn progress(&self) -> String {
        let mut words = format!("It is {}", self.state());
        if self.0.half_open.get() {
            words.push_str(", half-open");
        }
        if self.0.held.get() {
            words.push_str(", held");
        }
        if let Some(end) = self.end() {
            let clean = if end.clean { "clean" } else { "not clean" };
            words.push_str(&format!(", code {}, {clean}", end.code));
        }
        let received = self.0.received.borrow();
        let shown: Vec<_> = received.iter().map(show).collect();
        let count = match shown.len() {
            0 => return format!("{words}; no message came"),
            1 => "one message".to_owned(),
            count => format!("{count} messages"),
        };
        format!("{words}; {count} came: {}", shown.join(", "))
    }

    #[track_caller]
    fn need(&self, method: &str, states: &[State]) {
        if !states.contains(&self.state()) {
            let takes: Vec<_> = states.iter().map(ToString::to_string).collect();
            panic!(
                "{}: {method}: it is {}; this takes one that is {}. {}",
                self.name(),
                self.state(),
                takes.join(" or "),
                self.progress(),
            );
        }
    }
}

/// The end of a connection without a code.
const NO_CODE: u16 = 1005;

/// How much of a message to show.
const LONGEST: usize = 200;

/// A message of a test, not of a user.
fn show(message: &Message) -> String {
    match message {
        Message::Text(text) if text.len() <= LONGEST => format!("{text:?}"),
        Message::Text(text) => {
            let start: String = text.chars().take(LONGEST).collect();
            format!("{start:?}… ({} bytes)", text.len())
        }
        Message::Binary(bytes) if bytes.len() <= LONGEST / 4 => format!("{bytes:?}"),
        Message::Binary(bytes) => format!("{} bytes", bytes.len()),
    }
}

/// The client's end of a connection.
struct ClientEnd(FakeConnection);

impl RawSocket<Message> for ClientEnd {
    fn send(&self, payload: &Message) -> Result<(), Refused> {
        let FakeConnection(link) = &self.0;
        if link.fail_sends.get() {
            return Err(Refused("the test fails sends".to_owned()));
        }
        let bytes = payload.len() as u64;
        match link.state.get() {
            State::Connecting => return Err(Refused("it is still connecting".to_owned())),
            State::Open => {
                let item = Outgoing::Message(payload.clone(), bytes);
                link.outgoing.borrow_mut().push_back(item);
                self.0.pass_on();
            }
            // It stays with the client.
            State::Closing | State::Closed => {
                let buffered = &link.buffered;
                buffered.set(buffered.get().saturating_add(bytes));
            }
        }
        Ok(())
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        let FakeConnection(link) = &self.0;
        if link.closes.replace(true) || link.state.get() == State::Closed {
            return;
        }
        let was_open = link.state.replace(State::Closing) != State::Connecting;
        if was_open {
            let call = Outgoing::Close((code, reason.to_owned()));
            link.outgoing.borrow_mut().push_back(call);
            self.0.pass_on();
        } else {
            // Nothing reaches the server: the browser fails the attempt.
            let connection = self.0.clone();
            link.page.soon(move || connection.fail());
        }
    }

    fn detach(&self) {
        let listener = self.0.0.listener.borrow_mut().take();
        drop(listener);
    }

    fn buffered_amount(&self) -> u64 {
        self.0.buffered_amount()
    }

    fn protocol(&self) -> String {
        self.0.0.protocol.borrow().clone()
    }
}
