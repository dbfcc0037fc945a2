//! The driver's application: what the socket, its handles and the driver share.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

use steady_socket_protocol::Message;

use super::events::Watchers;
use super::inbox::{INBOX_FULL, Inbox, Received};
use super::opening::Opening;
use super::search::Searching;
use super::source::{Source, check_mixed_content, check_protocols};
use super::waiting::{Place, WaitingList};
use crate::browser::is_abandoned;
use crate::cell::RefCell;
use crate::connection::{
    DropReason, Dropped, Event, Input, Loss, Phase, SendMode, SendRejected, Sent, Verdict,
};
use crate::driver::{Answer, Application, Attempt, Driver, Resolution, WeakDriver};
use crate::options::Options;
use crate::platform::{FacePlatform, LocalFuture, Refused, Runtime, Target};

/// The application's predicate.
pub(super) type Predicate = Box<dyn Fn(&Loss) -> Option<Verdict>>;

/// The application's handler for `open`.
pub(super) type OnOpen = Box<dyn Fn(&Opening<'_>)>;

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
    pub(super) driver: RefCell<Option<WeakDriver<Message, FacePlatform, FaceRef>>>,
    pub(super) inbox: RefCell<Inbox>,
    pub(super) reader: RefCell<Option<Waker>>,
    /// The tasks that wait for room or for the end.
    pub(super) waiting: RefCell<WaitingList>,
    pub(super) watchers: Watchers,
    /// `None` while it runs.
    pub(super) on_event: Cell<Option<OnEvent>>,
    pub(super) gone: Cell<bool>,
}

impl Shared {
    /// Whether the socket was dropped or the program has panicked: then any of this state may be inconsistent.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.get() || is_abandoned()
    }

    pub(super) fn driver(&self) -> Option<Driver<Message, FacePlatform, FaceRef>> {
        if self.is_gone() {
            return None;
        }
        self.driver.borrow().as_ref()?.upgrade()
    }

    /// Delivers an event to all watchers.
    pub(super) fn tell(&self, event: &Event<Message>) {
        self.watchers.tell(event);
        // `None` while it runs: an event that its own calls cause comes later.
        if let Some(mut handler) = self.on_event.take() {
            handler(event);
            self.on_event.set(Some(handler));
        }
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

    /// Sends an encoded message; returns it if there is no room.
    pub(super) fn send(
        &self,
        message: Message,
        mode: SendMode,
    ) -> Result<Sent, SendRejected<Message>> {
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
pub(super) struct Face {
    pub(super) url: Source<String>,
    pub(super) protocols: Source<Vec<String>>,
    pub(super) options: Options,
    pub(super) platform: Rc<FacePlatform>,
    pub(super) predicate: Option<Predicate>,
    pub(super) on_open: Option<OnOpen>,
    /// `None` while it runs.
    pub(super) on_message: Cell<Option<OnMessage>>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) keepalive: Option<Message>,
    pub(super) shared: Rc<Shared>,
}

/// The driver owns the application; an attempt in progress keeps it alive, too.
pub(super) struct FaceRef(pub(super) Rc<Face>);

impl Face {
    fn target(&self, url: String, protocols: Vec<String>) -> Result<Target, Refused> {
        check_protocols(&protocols)?;
        // A fixed URL was parsed when the socket was made and does not change.
        let url = parse_url(self.platform.as_ref(), self.options, &url)?;
        Ok(Target { url, protocols })
    }
}

/// The URL for the socket, if the page may connect to it.
fn parse_url(platform: &FacePlatform, options: Options, url: &str) -> Result<String, Refused> {
    let url = Runtime::parse_url(platform, url)?;
    check_secure(platform, options, &url)?;
    Ok(url)
}

/// Whether a parsed URL may be connected to from this page.
pub(super) fn check_secure(
    platform: &FacePlatform,
    options: Options,
    url: &str,
) -> Result<(), Refused> {
    check_mixed_content(
        url,
        Runtime::page_is_secure(platform) && !options.values().allow_insecure,
    )
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
        // The driver hands over one message at a time, so it is present whenever there is one.
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
        // Checked first, since it holds after nearly every message.
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
        // Only as many as there is room for: one that is woken in vain would wake the next.
        shared.wake_waiting(&|room| {
            over || room.is_some_and(|room| driver.ask(|connection| connection.has_room(room)))
        });
    }
}

/// Resolves the URL and the sub-protocols of an attempt, where a provider supplies them.
pub(super) type Search = fn(&Rc<Face>, &Attempt, Answer) -> Resolution;

/// See [`Search`].
pub(super) fn search(face: &Rc<Face>, attempt: &Attempt, answer: Answer) -> Resolution {
    let (url, protocols) = (face.url.give(attempt), face.protocols.give(attempt));
    let asking = Rc::clone(face);
    let (searching, watched) = Searching::watch(Box::pin(async move {
        let (url, protocols) = both(url, protocols).await;
        asking.target(url?, protocols?)
    }));
    let task = Box::pin(async move {
        if let Some(target) = watched.await {
            answer(target);
        }
    });
    Runtime::spawn(face.platform.as_ref(), task);
    Resolution::Pending(Box::new(searching))
}

/// Polls two futures concurrently.
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
