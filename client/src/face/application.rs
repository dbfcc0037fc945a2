//! The driver's application: what the socket, its handles and the driver share.

use core::cell::Cell;
#[cfg(feature = "session")]
use core::cell::OnceCell;
use core::task::{Context, Waker};
use std::rc::Rc;

use steady_socket_protocol::Message;

use super::errors::SendError;
use super::events::Watchers;
use super::inbox::{Inbox, Received};
use super::session::{FaceSession, Unsent};
use super::source::Sources;
use super::waiting::{Place, WaitingList};
use crate::application::{Answer, Application, Attempt, Resolution};
use crate::browser::is_abandoned;
use crate::cell::RefCell;
use crate::connection::{
    DropReason, Dropped, Event, Input, Loss, Phase, SendMode, SendRejected, Sent, Verdict,
};
use crate::driver::{Driver, WeakDriver};
use crate::limits::INBOX_FULL;
use crate::platform::{FacePlatform, Target};

/// The application's predicate.
pub(super) type Predicate = Box<dyn Fn(&Loss) -> Option<Verdict>>;

/// The application's handler for `open`: whether an earlier connection was open, and how many attempts this one took.
pub(super) type OnOpen = Box<dyn Fn(&Rc<Shared>, bool, u32)>;

/// The application's message handler, which decodes the message first.
pub(super) type OnMessage = Box<dyn FnMut(&Rc<Shared>, Message)>;

/// The application's event handler.
pub(super) type OnEvent = Box<dyn FnMut(&Event<Message>)>;

/// The ping that the server answers, and how to recognise the answer.
pub(super) struct Heartbeat {
    pub(super) ping: Message,
    pub(super) is_pong: Box<dyn Fn(&Message) -> bool>,
}

/// State shared by the socket, its handles and the driver's application. It does not keep the connection alive.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) driver: RefCell<Option<WeakDriver<Message, FacePlatform, Face>>>,
    pub(super) inbox: RefCell<Inbox>,
    pub(super) reader: RefCell<Option<Waker>>,
    /// The tasks that wait for room or for the end.
    pub(super) waiting: RefCell<WaitingList>,
    pub(super) watchers: Watchers,
    /// `None` while it runs.
    pub(super) on_event: Cell<Option<OnEvent>>,
    /// `None` while it runs, or if there is none.
    pub(super) on_message: Cell<Option<OnMessage>>,
    /// Whether there is a handler for messages.
    #[cfg(feature = "session")]
    pub(super) has_handler: Cell<bool>,
    pub(super) on_open: Option<OnOpen>,
    #[cfg(feature = "session")]
    pub(super) session: OnceCell<Rc<dyn FaceSession>>,
    pub(super) gone: Cell<bool>,
    /// Whether panics of handlers are caught.
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    pub(super) outlives_panics: bool,
    /// A handler has panicked: no message is given any more.
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    pub(super) panicked: Cell<bool>,
}

impl Shared {
    /// Whether the socket was dropped or the program has panicked: then any of this state may be inconsistent.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.get() || is_abandoned()
    }

    pub(super) fn driver(&self) -> Option<Driver<Message, FacePlatform, Face>> {
        if self.is_gone() {
            return None;
        }
        self.driver.borrow().as_ref()?.upgrade()
    }

    /// The session, if the program has asked for one.
    pub(super) fn session(&self) -> Option<&dyn FaceSession> {
        #[cfg(feature = "session")]
        {
            let session = self.session.get().filter(|_| !is_abandoned());
            session.map(|session| &**session)
        }
        #[cfg(not(feature = "session"))]
        None
    }

    /// The state, as the program sees it.
    pub(super) fn phase(&self) -> Phase {
        let Some(driver) = self.driver() else {
            return Phase::Closed;
        };
        let phase = driver.ask(|connection| connection.phase());
        self.session().map_or(phase, |session| session.phase(phase))
    }

    /// Closes for good. Code and reason have been checked.
    pub(super) fn close(&self, code: Option<u16>, reason: &str) {
        match (self.session(), self.driver()) {
            (Some(session), _) => session.close(code, reason),
            (None, Some(driver)) => driver.command(Input::Close {
                code,
                reason: reason.to_owned(),
            }),
            (None, None) => {}
        }
    }

    /// Calls a handler of the program's. If it panics and the program goes on, the socket closes for good, and the handler
    /// is not called again. `None` if it has panicked.
    #[inline]
    pub(super) fn call<T>(&self, handler: impl FnOnce() -> T) -> Option<T> {
        #[cfg(all(feature = "native", not(target_family = "wasm")))]
        {
            let called = super::running::caught(self.outlives_panics, handler);
            if called.is_none() {
                self.panicked();
            }
            called
        }
        #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
        Some(handler())
    }

    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    fn panicked(&self) {
        self.panicked.set(true);
        self.close(Some(crate::limits::PANICKED), "a handler has panicked");
    }

    /// Whether a handler has panicked.
    #[inline]
    pub(super) fn has_panicked(&self) -> bool {
        #[cfg(all(feature = "native", not(target_family = "wasm")))]
        return self.panicked.get();
        #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
        false
    }

    /// Delivers an event to all watchers.
    pub(super) fn emit(&self, event: &Event<Message>) {
        self.watchers.emit(event);
        // `None` while it runs: an event that its own calls cause comes later.
        if let Some(mut handler) = self.on_event.take() {
            let called = self.call(move || {
                handler(event);
                handler
            });
            self.on_event.set(called);
        }
    }

    /// Delivers an event of the connection to everybody.
    pub(super) fn deliver_event(self: &Rc<Self>, event: &Event<Message>) {
        self.emit(event);
        if let (
            Event::Open {
                reconnected,
                attempt,
                ..
            },
            Some(handler),
        ) = (event, &self.on_open)
        {
            let _ = self.call(|| handler(self, *reconnected, *attempt));
        }
    }

    /// Delivers a message to the handler, or keeps it for the reader.
    pub(super) fn deliver_message(self: &Rc<Self>, payload: Message) {
        // Messages are handed over one at a time, so it is present whenever there is one.
        if let Some(mut handler) = self.on_message.take() {
            let called = self.call(move || {
                handler(self, payload);
                handler
            });
            self.on_message.set(called);
            return;
        }
        if self.has_panicked() {
            return;
        }
        let received = self.inbox.borrow_mut().push(payload);
        let dropped = match received {
            Received::Kept => Vec::new(),
            Received::Dropped(messages) => messages,
            Received::Refused(message) => {
                self.close(Some(INBOX_FULL), "inbox full");
                vec![message]
            }
        };
        if !dropped.is_empty() {
            let bytes = dropped.iter().map(|message| message.len() as u64).sum();
            self.emit(&Event::Dropped(Dropped {
                reason: DropReason::InboxFull,
                payloads: dropped,
                omitted: 0,
                bytes,
            }));
        }
        self.wake_reader();
    }

    /// Registers the task that reads.
    pub(super) fn wait_to_read(&self, task: &Context<'_>) {
        let earlier = self.reader.borrow_mut().replace(task.waker().clone());
        drop(earlier);
    }

    /// Wakes whoever waits for what may be there now: a message, room in the queue, the end.
    pub(super) fn look_who_waits(&self) {
        // Checked first, since it holds after nearly every message.
        if self.waiting.borrow().is_empty() && self.reader.borrow().is_none() {
            return;
        }
        let Some(driver) = self.driver() else {
            return;
        };
        let session = self.session();
        let over = driver.ask(|connection| connection.phase() == Phase::Closed);
        if over || session.is_some() {
            self.wake_reader();
        }
        // Only as many as there is room for: one that is woken in vain would wake the next.
        self.wake_waiting(&|room| {
            let has_room = |room| {
                let known = session.and_then(|session| session.has_room(room));
                known.unwrap_or_else(|| driver.ask(|connection| connection.has_room(room)))
            };
            over || room.is_some_and(has_room)
        });
    }

    pub(super) fn wake_reader(&self) {
        let waker = self.reader.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the tasks whose condition now holds.
    #[inline(never)]
    pub(super) fn wake_waiting(&self, is_there: &dyn Fn(Option<usize>) -> bool) {
        let next = || self.waiting.borrow_mut().take(is_there);
        while let Some(waker) = next() {
            waker.wake();
        }
    }

    /// Registers a task to be woken when there is room, or only at the end, in its existing slot if it has one.
    pub(super) fn wait(&self, place: &mut Option<Place>, task: &Context<'_>, room: Option<usize>) {
        let waker = task.waker().clone();
        let earlier = self.waiting.borrow_mut().wait(place, room, waker);
        drop(earlier);
    }

    /// Removes a waiting task.
    pub(super) fn leave(&self, place: &mut Option<Place>) {
        if let Some(place) = place.take() {
            let waker = self.waiting.borrow_mut().leave(place);
            drop(waker);
        }
    }

    /// Sends an encoded message without waiting.
    pub(super) fn try_send(&self, message: Message, mode: SendMode) -> Result<Sent, SendError> {
        self.send(message, mode).map_err(SendError::from)
    }

    /// Sends an encoded message; returns it if there is no room.
    pub(super) fn send(&self, message: Message, mode: SendMode) -> Result<Sent, Unsent> {
        match self.session().filter(|_| !self.is_gone()) {
            Some(session) => session.send(message, mode),
            None => self.send_plain(message, mode),
        }
    }

    /// Likewise, on a connection without a session.
    pub(super) fn send_plain(&self, message: Message, mode: SendMode) -> Result<Sent, Unsent> {
        let Some(driver) = self.driver() else {
            return Err(Unsent::Never(SendError::Closed));
        };
        let bytes = message.len();
        driver
            .send(message, bytes, mode)
            .map_err(|rejected| match rejected {
                SendRejected::Full(message) => Unsent::Full(message),
                SendRejected::Closed(_) => Unsent::Never(SendError::Closed),
            })
    }
}

/// The driver's application.
pub(super) struct Face {
    pub(super) sources: Rc<Sources>,
    pub(super) predicate: Option<Predicate>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) keepalive: Option<Message>,
    pub(super) shared: Rc<Shared>,
}

impl Application<Message> for Face {
    type Target = Target;

    fn resolve(&self, attempt: &Attempt, answer: Answer<Target>) -> Resolution<Target> {
        self.sources.resolve(attempt, answer)
    }

    fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        let asked = self
            .predicate
            .as_ref()
            .and_then(|predicate| self.shared.call(|| predicate(loss)).flatten());
        let session = self.shared.session();
        // In any case: it has to know.
        let known = session.and_then(|session| session.verdict(loss));
        asked.or(known)
    }

    fn message(&self, payload: Message) {
        match self.shared.session() {
            Some(session) => session.message(payload),
            None => self.shared.deliver_message(payload),
        }
    }

    fn event(&self, event: Event<Message>) {
        match self.shared.session() {
            Some(session) => session.event(event),
            None => self.shared.deliver_event(&event),
        }
    }

    fn speaks_sessions(&self) -> bool {
        self.shared.session().is_some()
    }

    fn ping(&self) -> Option<Message> {
        self.heartbeat
            .as_ref()
            .map(|heartbeat| heartbeat.ping.clone())
    }

    fn keepalive(&self) -> Option<Message> {
        self.keepalive.clone()
    }

    fn is_pong(&self, payload: &Message) -> bool {
        self.heartbeat.as_ref().is_some_and(|heartbeat| {
            let answers = self.shared.call(|| (heartbeat.is_pong)(payload));
            answers.unwrap_or(false)
        })
    }

    fn settled(&self) {
        if let Some(session) = self.shared.session() {
            session.settled();
        }
        self.shared.look_who_waits();
    }
}
