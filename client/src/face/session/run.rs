//! A session of the Rust API while it runs: its futures, its handlers and its events.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::task::{Context, Poll};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use steady_socket_protocol::Message;
use steady_socket_protocol::session::frame::{
    Answer, Credential, Data, Frame, Refusal, Style, read, write,
};
use steady_socket_protocol::session::{
    Ask, AskEnd, Deliveries, Delivery, End, Ended, Options as HalfOptions, Output, Rejected,
    Rejection, SendMode as HalfMode, Token,
};

use super::super::application::{Face, Shared};
use super::super::errors::SendError;
use super::super::running::{Running, on_panic};
use super::super::source::Sources;
use super::promise::{Fulfil, Promise, promise};
use super::setup::Offers;
use super::{FaceSession, OnRequest, Unsent};
use crate::browser::is_abandoned;
use crate::connection::{
    DropReason, Event, Loss, Phase, SendMode, Sent, SessionEvent, SessionLoss, Tally, Unwelcomed,
    Verdict,
};
use crate::options::{Options, Overflow};
use crate::platform::{FacePlatform, Runtime};
use crate::session::{self, ConnectionOf, News, Over, SessionDriver, SessionFace};

/// What a session of the Rust API begins with.
pub(super) struct Start {
    pub(super) optional: bool,
    pub(super) options: HalfOptions,
    pub(super) style: Style,
    pub(super) offers: Rc<Offers>,
    pub(super) on_request: Option<OnRequest>,
    pub(super) random: [u8; 16],
}

/// A session of the Rust API.
pub(super) struct RustSession {
    session: SessionDriver<Self>,
    shared: Weak<Shared>,
    offers: Rc<Offers>,
    platform: Rc<FacePlatform>,
    options: Options,
    style: Style,
    on_request: Option<OnRequest>,
    /// What was random when the session was made.
    random: [u8; 16],
    deliveries: RefCell<BTreeMap<Delivery, Awaiting>>,
    asks: RefCell<BTreeMap<Ask, Fulfil<AskEnd<Message>>>>,
    /// The handlers of requests that run.
    handlers: RefCell<BTreeMap<Token, Running<Answer<Message>>>>,
    /// A session that is over, whose messages are being settled.
    losing: RefCell<Option<Losing>>,
    /// The message that the program is reading.
    reading: Cell<Option<Token>>,
    /// Listens to the page.
    _hiding: Box<dyn Any>,
}

/// Who awaits the end of a message; nothing comes back if it was handled.
type Awaiting = Fulfil<Option<End<Message>>>;

/// What becomes of the messages of a session that is over.
#[derive(Default)]
struct Losing {
    not_handled: Vec<Message>,
    unknown: Vec<Message>,
    settled: Vec<(Awaiting, Option<End<Message>>)>,
    answered: Vec<(Fulfil<AskEnd<Message>>, AskEnd<Message>)>,
}

impl RustSession {
    pub(super) fn start(
        setup: Start,
        shared: &Rc<Shared>,
        sources: &Sources,
    ) -> Rc<dyn FaceSession> {
        let (options, platform) = (sources.options, &sources.platform);
        let values = options.values();
        let start = session::Start {
            options: setup.options,
            optional: setup.optional,
            connect_timeout: values.connect_timeout,
            close_timeout: values.close_timeout,
            random: setup.random,
        };
        let flushed = Rc::downgrade(shared);
        let hiding = Runtime::watch_hiding(
            platform.as_ref(),
            Rc::new(move || {
                with_session(&flushed, |session| session.flush());
            }),
        );
        Rc::new_cyclic(|weak: &Weak<Self>| Self {
            session: SessionDriver::new(start, Rc::clone(platform), weak.clone()),
            shared: Rc::downgrade(shared),
            offers: setup.offers,
            platform: Rc::clone(platform),
            options,
            style: setup.style,
            on_request: setup.on_request,
            random: setup.random,
            deliveries: RefCell::default(),
            asks: RefCell::default(),
            handlers: RefCell::default(),
            losing: RefCell::default(),
            reading: Cell::new(None),
            _hiding: hiding,
        })
    }

    fn emit(&self, event: SessionEvent<Message>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.emit(&Event::Session(Arc::new(event)));
        }
    }

    /// A message was dropped in the program's own call.
    fn drop_new(&self, reason: DropReason, payload: Message) -> Sent {
        self.session.drop_new(reason, payload);
        Sent::Dropped
    }

    fn mode_of(&self, mode: SendMode) -> HalfMode {
        let ttl = mode.ttl_ms.or(self.options.values().message_ttl);
        HalfMode {
            first: mode.first,
            awaited: false,
            expires: ttl.map(|ttl| self.session.now().after(ttl)),
        }
    }
}

/// Does something with the session, if the socket is still there.
fn with_session<T>(shared: &Weak<Shared>, act: impl FnOnce(&dyn FaceSession) -> T) -> Option<T> {
    shared.upgrade()?.session().map(act)
}

/// What the session's half takes back.
fn unsent(rejected: Rejected<Message>) -> Unsent {
    match rejected.why {
        Rejection::Full => Unsent::Full(rejected.payload),
        Rejection::TooLarge => Unsent::Never(SendError::TooLarge),
        Rejection::TooManyRequests => Unsent::Never(SendError::TooManyRequests),
        Rejection::Exhausted => Unsent::Never(SendError::Exhausted),
        _ => Unsent::Never(SendError::Closed),
    }
}

impl FaceSession for RustSession {
    fn event(&self, event: Event<Message>) {
        self.session.event(self, event);
    }

    fn message(&self, payload: Message) {
        if self.session.is_plain() {
            if let Some(shared) = self.shared.upgrade() {
                shared.deliver_message(payload);
            }
            return;
        }
        self.session.receive(self, payload);
    }

    fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        self.session.verdict(self, loss)
    }

    fn settled(&self) {
        self.session.settled();
    }

    fn flush(&self) {
        self.session.flush();
    }

    fn send(&self, message: Message, mode: SendMode) -> Result<Sent, Unsent> {
        if self.session.is_plain() {
            let shared = self.shared.upgrade();
            return match shared {
                Some(shared) => shared.send_plain(message, mode),
                None => Err(Unsent::Never(SendError::Closed)),
            };
        }
        if mode.volatile {
            let kept = message.clone();
            return match self.session.send_volatile(message) {
                true => Ok(Sent::Now),
                false => Ok(self.drop_new(DropReason::Volatile, kept)),
            };
        }
        match self.session.send(message, self.mode_of(mode)) {
            Ok(_) if self.session.ask_half(|half| half.queued().0) == 0 => Ok(Sent::Now),
            Ok(_) => Ok(Sent::Queued),
            Err(rejected) => match unsent(rejected) {
                Unsent::Full(message) if self.options.values().overflow == Overflow::DropNewest => {
                    Ok(self.drop_new(DropReason::Overflow, message))
                }
                unsent => Err(unsent),
            },
        }
    }

    fn deliver(&self, message: Message) -> Result<Promise<Option<End<Message>>>, Unsent> {
        if self.session.is_plain() {
            return Err(Unsent::Never(SendError::NoSession));
        }
        let mode = HalfMode {
            awaited: true,
            ..self.mode_of(SendMode::default())
        };
        let delivery = self.session.send(message, mode).map_err(unsent)?;
        let (promise, fulfil) = promise();
        self.deliveries.borrow_mut().insert(delivery, fulfil);
        Ok(promise)
    }

    fn ask(
        &self,
        request: Message,
        timeout: Option<u64>,
    ) -> Result<(Ask, Promise<AskEnd<Message>>), Unsent> {
        if self.session.is_plain() {
            return Err(Unsent::Never(SendError::NoSession));
        }
        let ask = self.session.ask(request, timeout).map_err(unsent)?;
        let (promise, fulfil) = promise();
        self.asks.borrow_mut().insert(ask, fulfil);
        Ok((ask, promise))
    }

    fn cancel(&self, ask: Ask) {
        self.session.cancel(ask);
    }

    fn answer(&self, token: Token, answer: Answer<Message>) {
        let handler = self.handlers.borrow_mut().remove(&token);
        drop(handler);
        self.session.reply(token, answer);
    }

    fn send_credential(&self, credential: Credential) {
        self.session.send_credential(credential);
    }

    fn poll_next(&self, task: &mut Context<'_>) -> Poll<Option<Message>> {
        let Some(shared) = self.shared.upgrade() else {
            return Poll::Ready(None);
        };
        if let Some(token) = self.reading.take() {
            self.session.handled(token);
        }
        if let Some(message) = shared.inbox.borrow_mut().pop() {
            return Poll::Ready(Some(message));
        }
        match self.session.next_message() {
            Some(Output::Message { token, payload }) => {
                self.reading.set(Some(token));
                return Poll::Ready(Some(payload));
            }
            Some(Output::Volatile(payload)) => return Poll::Ready(Some(payload)),
            _ => {}
        }
        if shared.phase() == Phase::Closed {
            return Poll::Ready(None);
        }
        shared.wait_to_read(task);
        Poll::Pending
    }

    fn has_room(&self, bytes: usize) -> Option<bool> {
        (!self.session.is_plain()).then(|| self.session.has_room(bytes))
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        self.session.close(code, reason.to_owned());
    }

    fn unwelcomed(&self) -> Option<Unwelcomed> {
        self.session.unwelcomed()
    }

    fn is_closing(&self) -> bool {
        self.session.is_closing()
    }

    fn close_now(&self) {
        self.session.close_now();
    }

    fn renew(&self) {
        self.session.renew(self);
    }

    fn phase(&self, connection: Phase) -> Phase {
        if self.session.is_plain() {
            return connection;
        }
        self.session.phase_of(connection)
    }

    fn pending(&self) -> Option<(Tally, Tally)> {
        let tally = |messages, bytes| Tally { messages, bytes };
        let [queued, queued_bytes, sent, sent_bytes] = self.session.pending();
        let pending = (tally(queued, queued_bytes), tally(sent, sent_bytes));
        (!self.session.is_plain()).then_some(pending)
    }
}

impl SessionFace for RustSession {
    type Payload = Message;
    type Message = Message;
    type Platform = FacePlatform;
    type Application = Face;

    fn session(&self) -> &SessionDriver<Self> {
        &self.session
    }

    fn connection(&self) -> Option<ConnectionOf<Self>> {
        self.shared.upgrade()?.driver()
    }

    fn is_abandoned(&self) -> bool {
        is_abandoned()
    }

    fn random(&self) -> [u8; 16] {
        // If a source that was there before is gone, a new session has the old secret, and the server refuses it.
        Runtime::random_bytes(self.platform.as_ref()).unwrap_or(self.random)
    }

    fn credential(&self) -> Option<Credential> {
        self.offers.credential()
    }

    fn offer_session(&self, offers: bool) -> bool {
        self.offers.no_session.replace(!offers) == offers
    }

    fn offers_only_session(&self) -> bool {
        self.offers.only_session.get()
    }

    fn read(&self, message: Message) -> Option<Frame<Message>> {
        let frame = read(Data::from(message)).ok()?;
        Some(frame.map(Message::from))
    }

    fn write(&self, frame: Frame<Message>) -> Option<(Message, usize)> {
        let message = Message::from(write(frame.map(Data::from), self.style).ok()?);
        let bytes = message.len();
        Some((message, bytes))
    }

    fn message_of(payload: Message) -> Message {
        payload
    }

    fn tell(&self, event: Event<Message>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.deliver_event(&event);
        }
    }

    fn tell_news(&self, news: News) {
        self.emit(match news {
            News::Unwelcomed(why) => SessionEvent::Unwelcomed(why),
            News::Began => SessionEvent::Began,
            News::Resumed(replayed) => SessionEvent::Resumed { replayed },
            News::Unacknowledged(tally) => SessionEvent::Unacknowledged(tally),
            News::Discarded(count) => SessionEvent::Discarded(count),
            News::StalledHere => SessionEvent::StalledHere,
            News::StalledThere => SessionEvent::StalledThere,
        });
    }

    fn takes_messages(&self) -> bool {
        self.shared
            .upgrade()
            .is_some_and(|shared| shared.has_handler.get())
    }

    fn give(&self, token: Option<Token>, payload: Message) -> Option<bool> {
        let shared = self.shared.upgrade();
        if let Some(shared) = &shared {
            shared.deliver_message(payload);
        }
        // What a panic has interrupted is not handled.
        let panicked = shared.is_some_and(|shared| shared.has_panicked());
        if let Some(token) = token.filter(|_| !panicked) {
            self.session.handled(token);
        }
        None
    }

    fn asked(&self, token: Token, payload: Message) {
        let Some(handler) = &self.on_request else {
            self.session
                .reply(token, Answer::Refused(Refusal::NoHandler));
            return;
        };
        let platform = self.platform.as_ref();
        let panicked = on_panic(platform, || Answer::Refused(Refusal::Failed));
        let (running, handler) = Running::watch(handler(payload), panicked);
        self.handlers.borrow_mut().insert(token, running);
        let shared = Weak::clone(&self.shared);
        let task = Box::pin(async move {
            let answer = handler.await.unwrap_or(Answer::Refused(Refusal::Cancelled));
            with_session(&shared, |session| session.answer(token, answer));
        });
        Runtime::spawn(platform, task);
    }

    fn withdrawn(&self, token: Token) {
        let handler = self.handlers.borrow_mut().remove(&token);
        // Its task answers that it was cancelled.
        drop(handler);
    }

    fn handled(&self, run: Deliveries) {
        loop {
            let next = {
                let mut deliveries = self.deliveries.borrow_mut();
                let next = deliveries.range(run.first..=run.last).next();
                let next = next.map(|(delivery, _)| *delivery);
                next.and_then(|delivery| deliveries.remove(&delivery))
            };
            let Some(awaited) = next else { return };
            if let Some(losing) = &mut *self.losing.borrow_mut() {
                losing.settled.push((awaited, None));
                continue;
            }
            awaited.give(None);
        }
    }

    fn settle(&self, delivery: Delivery, end: End<Message>) -> Option<End<Message>> {
        let awaited = self.deliveries.borrow_mut().remove(&delivery);
        let Some(awaited) = awaited.filter(Fulfil::is_awaited) else {
            return Some(end);
        };
        if let Some(losing) = &mut *self.losing.borrow_mut() {
            losing.settled.push((awaited, Some(end)));
            return None;
        }
        awaited.give(Some(end));
        None
    }

    fn answered(&self, ask: Ask, end: AskEnd<Message>) {
        let Some(waiting) = self.asks.borrow_mut().remove(&ask) else {
            return;
        };
        if let Some(losing) = &mut *self.losing.borrow_mut() {
            losing.answered.push((waiting, end));
            return;
        }
        waiting.give(end);
    }

    fn undelivered(&self, end: End<Message>) {
        self.emit(SessionEvent::Undelivered(end));
    }

    fn losing(&self) {
        self.losing.replace(Some(Losing::default()));
    }

    fn keep(&self, end: End<Message>) {
        if let Some(losing) = &mut *self.losing.borrow_mut() {
            match end {
                End::NotHandled { payload, .. } => losing.not_handled.push(payload),
                End::Unknown { payload, .. } => losing.unknown.push(payload),
            }
        }
    }

    fn resend(&self) {
        let messages = self
            .losing
            .borrow_mut()
            .as_mut()
            .map(|losing| core::mem::take(&mut losing.not_handled));
        if let Some(shared) = self.shared.upgrade() {
            for message in messages.unwrap_or_default() {
                // The queue of the connection is as large as that of the session.
                let _ = shared.send_plain(message, SendMode::default());
            }
        }
    }

    fn over(&self, over: Over, why: Ended, handled: u64) {
        let Some(losing) = self.losing.take() else {
            return;
        };
        let loss = SessionLoss {
            why,
            handled,
            not_handled: losing.not_handled,
            unknown: losing.unknown,
        };
        match over {
            Over::Lost => self.emit(SessionEvent::Lost(loss)),
            Over::Ended => self.emit(SessionEvent::Ended(loss)),
            Over::Plain => {
                self.emit(SessionEvent::Plain);
                for payload in loss.unknown {
                    self.undelivered(End::Unknown { payload, why });
                }
            }
        }
        for (waiting, end) in losing.settled {
            waiting.give(end);
        }
        for (waiting, end) in losing.answered {
            waiting.give(end);
        }
    }

    fn settled(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.look_who_waits();
        }
    }
}
