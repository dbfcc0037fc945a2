//! A session while it runs: between its driver, the connection below, and the program above.

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
    Ask, AskEnd, Client, Deliveries, Delivery, End, Ended, NotHandled, Opened,
    Options as HalfOptions, Output, Rejected, Rejection, SendMode as HalfMode, Time, Token, close,
};

use super::super::application::{Face, Shared};
use super::super::errors::SendError;
use super::super::running::Running;
use super::super::source::Sources;
use super::promise::{Fulfil, Promise, promise};
use super::setup::Offers;
use super::{FaceSession, OnRequest, Unsent};
use crate::connection::{
    Cause, DropReason, Dropped, Event, Input, Loss, Phase, SendMode, Sent, SessionEvent,
    SessionLoss, Tally, Unwelcomed, Verdict,
};
use crate::driver::Driver;
use crate::options::{Options, Overflow};
use crate::platform::{FacePlatform, Platform, Runtime};
use crate::session::{Line, SessionApplication, SessionDriver};

/// How the messages of this connection are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// In the session.
    Session,
    /// The server speaks no sessions, and the program can do without.
    Plain,
}

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
    driver: SessionDriver<Message>,
    shared: Weak<Shared>,
    offers: Rc<Offers>,
    platform: Rc<FacePlatform>,
    options: Options,
    optional: bool,
    style: Style,
    on_request: Option<OnRequest>,
    mode: Cell<Mode>,
    /// Whether the server has ever welcomed this client.
    was_welcomed: Cell<bool>,
    /// Whether the program knows of the current connection.
    is_announced: Cell<bool>,
    /// What happened to a connection that waits for its welcome.
    held: RefCell<Vec<Event<Message>>>,
    deliveries: RefCell<BTreeMap<Delivery, Awaiting>>,
    asks: RefCell<BTreeMap<Ask, Fulfil<AskEnd<Message>>>>,
    /// The handlers of requests that run.
    handlers: RefCell<BTreeMap<Token, Running<Answer<Message>>>>,
    /// A session that is over, whose messages are being settled.
    losing: RefCell<Option<Losing>>,
    /// The message that the program is reading.
    reading: Cell<Option<Token>>,
    /// The code and the reason that the program closes with.
    closing: RefCell<Option<(Option<u16>, String)>>,
    /// What was last reported.
    told: Cell<(Tally, Tally)>,
    /// Messages that were dropped in a call, of which the program is told after it.
    dropped: RefCell<Vec<(DropReason, Message)>>,
    /// Listens to the page.
    _hiding: Box<dyn Any>,
}

/// Who awaits the end of a message; nothing comes back if it was handled.
type Awaiting = Fulfil<Option<End<Message>>>;

/// A session that is over.
struct Losing {
    is_final: bool,
    loss: SessionLoss<Message>,
    settled: Vec<(Awaiting, Option<End<Message>>)>,
    answered: Vec<(Fulfil<AskEnd<Message>>, AskEnd<Message>)>,
}

/// The connection below a session.
struct FaceLine {
    shared: Weak<Shared>,
    platform: Rc<FacePlatform>,
    /// What was random when the session was made.
    random: [u8; 16],
}

impl RustSession {
    pub(super) fn start(
        setup: Start,
        shared: &Rc<Shared>,
        sources: &Sources,
    ) -> Rc<dyn FaceSession> {
        let (options, platform) = (sources.options, &sources.platform);
        let line = Box::new(FaceLine {
            shared: Rc::downgrade(shared),
            platform: Rc::clone(platform),
            random: setup.random,
        });
        let flushed = Rc::downgrade(shared);
        let hiding = Runtime::watch_hiding(
            platform.as_ref(),
            Rc::new(move || {
                with_session(&flushed, |session| session.flush());
            }),
        );
        Rc::new_cyclic(|weak: &Weak<Self>| Self {
            driver: SessionDriver::new(
                setup.options,
                options.values().connect_timeout,
                line,
                weak.clone(),
            ),
            shared: Rc::downgrade(shared),
            offers: setup.offers,
            platform: Rc::clone(platform),
            options,
            optional: setup.optional,
            style: setup.style,
            on_request: setup.on_request,
            mode: Cell::new(Mode::Session),
            was_welcomed: Cell::new(false),
            is_announced: Cell::new(false),
            held: RefCell::default(),
            deliveries: RefCell::default(),
            asks: RefCell::default(),
            handlers: RefCell::default(),
            losing: RefCell::default(),
            reading: Cell::new(None),
            closing: RefCell::default(),
            told: Cell::default(),
            dropped: RefCell::default(),
            _hiding: hiding,
        })
    }

    fn is_plain(&self) -> bool {
        self.mode.get() == Mode::Plain
    }

    fn command(&self, input: Input<Message>) {
        let driver = self.shared.upgrade().and_then(|shared| shared.driver());
        if let Some(driver) = driver {
            driver.command(input);
        }
    }

    fn emit(&self, event: &Event<Message>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.emit(event);
        }
    }

    fn emit_session(&self, event: SessionEvent<Message>) {
        self.emit(&Event::Session(Arc::new(event)));
    }

    /// Tells the program of an event of the connection, as a plain socket does.
    fn pass_on(&self, event: Event<Message>) {
        if let Some(shared) = self
            .shared
            .upgrade()
            .filter(|_| !self.driver.conceals(&event))
        {
            shared.deliver_event(&event);
        }
    }

    /// Tells the program that it has closed the socket, before anything that follows from that.
    fn tell_closing(&self) {
        let driver = self.shared.upgrade().and_then(|shared| shared.driver());
        let attempt = driver.map_or(1, |driver| driver.snapshot().attempt);
        if let Some(event) = self.driver.closing_event(attempt) {
            self.emit(&event);
        }
    }

    // ----- the connection

    /// A connection is open. Whether it carries a session, its sub-protocol says.
    fn opened(&self, event: Event<Message>) {
        let carries = self
            .shared
            .upgrade()
            .and_then(|shared| shared.driver())
            .is_some_and(|driver| driver.ask(|connection| connection.carries_session()));
        if self.is_plain() {
            self.held.borrow_mut().push(event);
            self.announce();
            self.command(Input::Ready);
        } else if carries {
            self.held.borrow_mut().push(event);
            let credential = self.offers.credential();
            self.driver.opened(credential);
        } else if self.optional && !self.was_welcomed.get() {
            self.held.borrow_mut().push(event);
            // For good: what waits in the queue of a plain connection cannot go into a session.
            self.offers.no_session.set(true);
            self.mode.set(Mode::Plain);
            // What waits goes before what the program sends when it is told of the connection.
            self.driver.give_up(Ended::NotSpoken);
            self.command(Input::Ready);
        } else {
            // Another attempt would find the same server.
            self.driver.give_up(Ended::NotSpoken);
        }
    }

    /// Tells the program that the connection is open.
    fn announce(&self) {
        self.is_announced.set(true);
        for event in self.held.take() {
            self.pass_on(event);
        }
    }

    /// Whether an attempt may have failed because the server answers none of the offered sub-protocols: then a browser fails
    /// the handshake without a reason. A program that can do without a session tries at once whether it does without the
    /// offer.
    fn may_be_the_offer(&self, loss: &Loss) -> bool {
        self.optional
            && !loss.was_open
            && !self.was_welcomed.get()
            && loss.cause == Cause::Socket
            && self.offers.only_session.get()
    }

    /// The connection has ended, or an attempt.
    fn closed(&self, event: Event<Message>) {
        let Event::Closed(mut closed) = event else {
            return;
        };
        if !self.is_plain() {
            if let Some(driver) = self.shared.upgrade().and_then(|shared| shared.driver()) {
                driver.forget_frames();
            }
            self.driver.closed(&closed.loss);
            if let Some(why) = self.driver.unwelcomed() {
                self.emit_session(SessionEvent::Unwelcomed(why));
            }
            // The session knows better, and says so.
            closed.unconfirmed = Tally::default();
        }
        self.held.borrow_mut().clear();
        if !self.is_announced.replace(false) && core::mem::take(&mut closed.loss.was_open) {
            // For the program there was no connection.
            self.pass_on(Event::Error);
        }
        // Unless the program has asked for another connection already.
        let is_over = || {
            self.shared
                .upgrade()
                .is_none_or(|shared| shared.is_closed())
        };
        if closed.is_final() && !self.is_plain() && is_over() {
            // Nothing more can become of what was sent. A handler of this event may begin another session.
            self.driver.give_up(Ended::Aborted);
        }
        self.pass_on(Event::Closed(closed));
    }

    // ----- the session

    fn began(&self, opened: Opened) {
        self.was_welcomed.set(true);
        self.announce();
        match opened {
            Opened::Fresh => self.emit_session(SessionEvent::Began),
            Opened::Resumed { replayed } => {
                self.emit_session(SessionEvent::Resumed { replayed });
            }
            // The loss is reported when it is known what became of the messages.
            Opened::Anew => {}
        }
    }

    fn lose(&self, why: Ended, is_final: bool) {
        self.finish_losing();
        *self.losing.borrow_mut() = Some(Losing {
            is_final,
            loss: SessionLoss {
                why,
                handled: 0,
                not_handled: Vec::new(),
                unknown: Vec::new(),
            },
            settled: Vec::new(),
            answered: Vec::new(),
        });
    }

    /// The server's application is done with messages.
    fn handled(&self, run: Deliveries) {
        if let Some(losing) = &mut *self.losing.borrow_mut() {
            let count = run.last.0.saturating_sub(run.first.0).saturating_add(1);
            losing.loss.handled = losing.loss.handled.saturating_add(count);
        }
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

    /// A message that was sent has ended without being handled, as far as anybody knows.
    fn message_ended(&self, delivery: Delivery, end: End<Message>) {
        let awaited = self.deliveries.borrow_mut().remove(&delivery);
        // Each end is reported in one place: to who awaits it, or by an event.
        let awaited = awaited.filter(Fulfil::is_awaited);
        if let Some(losing) = &mut *self.losing.borrow_mut() {
            match (awaited, end) {
                (Some(awaited), end) => losing.settled.push((awaited, Some(end))),
                (None, End::NotHandled { payload, .. }) => losing.loss.not_handled.push(payload),
                (None, End::Unknown { payload, .. }) => losing.loss.unknown.push(payload),
            }
            return;
        }
        if let Some(awaited) = awaited {
            awaited.give(Some(end));
            return;
        }
        let (reason, payload) = match end {
            End::NotHandled {
                payload,
                why: NotHandled::TimeToLive,
            } => (DropReason::Expired, payload),
            End::NotHandled {
                payload,
                why: NotHandled::Overflow,
            } => (DropReason::Overflow, payload),
            end => return self.emit_session(SessionEvent::Undelivered(end)),
        };
        self.dropped(reason, payload);
    }

    fn dropped(&self, reason: DropReason, payload: Message) {
        self.emit(&Event::Dropped(Dropped {
            reason,
            bytes: payload.len() as u64,
            payloads: vec![payload],
            omitted: 0,
        }));
    }

    /// A message was dropped in the program's own call.
    fn drop_new(&self, reason: DropReason, payload: Message) -> Sent {
        self.dropped.borrow_mut().push((reason, payload));
        self.driver.has_noted();
        Sent::Dropped
    }

    fn request_ended(&self, ask: Ask, end: AskEnd<Message>) {
        let Some(waiting) = self.asks.borrow_mut().remove(&ask) else {
            return;
        };
        match &mut *self.losing.borrow_mut() {
            Some(losing) => losing.answered.push((waiting, end)),
            None => waiting.give(end),
        }
    }

    /// Everything is known of a session that is over.
    fn finish_losing(&self) {
        let Some(losing) = self.losing.take() else {
            return;
        };
        match losing.is_final {
            _ if self.is_plain() => self.go_on_plain(losing.loss),
            true => self.emit_session(SessionEvent::Ended(losing.loss)),
            false => self.emit_session(SessionEvent::Lost(losing.loss)),
        }
        for (waiting, end) in losing.settled {
            waiting.give(end);
        }
        for (waiting, end) in losing.answered {
            waiting.give(end);
        }
    }

    /// The server speaks no sessions, and this program can do without: what waits goes as on a plain connection.
    fn go_on_plain(&self, loss: SessionLoss<Message>) {
        if let Some(shared) = self.shared.upgrade() {
            for message in loss.not_handled {
                // The queue of the connection is as large as that of the session.
                let _ = shared.send_plain(message, SendMode::default());
            }
        }
        self.announce();
        self.emit_session(SessionEvent::Plain);
        for payload in loss.unknown {
            let why = loss.why;
            let end = End::Unknown { payload, why };
            self.emit_session(SessionEvent::Undelivered(end));
        }
    }

    fn asked(&self, token: Token, payload: Message) {
        let Some(handler) = &self.on_request else {
            let _ = self
                .driver
                .answer(token, Answer::Refused(Refusal::NoHandler));
            return;
        };
        let (running, handler) = Running::watch(handler(payload));
        self.handlers.borrow_mut().insert(token, running);
        let shared = Weak::clone(&self.shared);
        let task = Box::pin(async move {
            let answer = handler.await.unwrap_or(Answer::Refused(Refusal::Cancelled));
            with_session(&shared, |session| session.answer(token, answer));
        });
        Runtime::spawn(self.platform.as_ref(), task);
    }

    /// Reports how many messages wait and are unacknowledged, if that has changed.
    fn report_pending(&self) {
        let now = self.counts();
        let (queued, unacknowledged) = self.told.replace(now);
        if queued != now.0 {
            self.emit(&Event::QueueChanged(now.0));
        }
        if unacknowledged != now.1 {
            self.emit_session(SessionEvent::Unacknowledged(now.1));
        }
    }

    fn counts(&self) -> (Tally, Tally) {
        let (messages, bytes) = self.driver.ask_half(Client::queued);
        let queued = tally((messages as u64, bytes as u64));
        (queued, tally(self.driver.ask_half(Client::unacknowledged)))
    }

    fn mode_of(&self, mode: SendMode) -> HalfMode {
        let ttl = mode.ttl_ms.or(self.options.values().message_ttl);
        HalfMode {
            first: mode.first,
            awaited: false,
            expires: ttl.map(|ttl| self.driver.now().after(ttl)),
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

fn tally((messages, bytes): (u64, u64)) -> Tally {
    Tally { messages, bytes }
}

impl FaceSession for RustSession {
    fn event(&self, event: Event<Message>) {
        self.tell_closing();
        match event {
            Event::Open { .. } => self.opened(event),
            Event::Closed(_) => self.closed(event),
            Event::State(change) if change.phase == Phase::Open => {
                self.held.borrow_mut().push(event);
            }
            // What the connection holds are frames of the session.
            Event::Dropped(_) | Event::QueueChanged(_) if !self.is_plain() => {}
            event => self.pass_on(event),
        }
    }

    fn message(&self, payload: Message) {
        if self.is_plain() {
            if let Some(shared) = self.shared.upgrade() {
                shared.deliver_message(payload);
            }
            return;
        }
        self.driver.receive(payload);
    }

    fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        if self.is_plain() {
            return None;
        }
        let verdict = self.driver.verdict(loss);
        if self.may_be_the_offer(loss) && !self.offers.no_session.replace(true) {
            return Some(Verdict::RetryAfterMs(0));
        }
        self.offers.no_session.set(false);
        verdict
    }

    fn settled(&self) {
        if !self.is_plain() {
            self.driver.settled();
        }
    }

    fn timer(&self) {
        self.driver.timer();
    }

    fn soon(&self) {
        self.driver.soon();
    }

    fn flush(&self) {
        if !self.is_plain() {
            self.driver.flush();
        }
    }

    fn send(&self, message: Message, mode: SendMode) -> Result<Sent, Unsent> {
        if self.is_plain() {
            let shared = self.shared.upgrade();
            return match shared {
                Some(shared) => shared.send_plain(message, mode),
                None => Err(Unsent::Never(SendError::Closed)),
            };
        }
        if mode.volatile {
            let kept = message.clone();
            return match self.driver.send_volatile(message) {
                true => Ok(Sent::Now),
                false => Ok(self.drop_new(DropReason::Volatile, kept)),
            };
        }
        match self.driver.send(message, self.mode_of(mode)) {
            Ok(_) if self.driver.ask_half(|half| half.queued().0) == 0 => Ok(Sent::Now),
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
        if self.is_plain() {
            return Err(Unsent::Never(SendError::NoSession));
        }
        let mode = HalfMode {
            awaited: true,
            ..self.mode_of(SendMode::default())
        };
        let delivery = self.driver.send(message, mode).map_err(unsent)?;
        let (promise, fulfil) = promise();
        self.deliveries.borrow_mut().insert(delivery, fulfil);
        Ok(promise)
    }

    fn ask(
        &self,
        request: Message,
        timeout: Option<u64>,
    ) -> Result<(Ask, Promise<AskEnd<Message>>), Unsent> {
        if self.is_plain() {
            return Err(Unsent::Never(SendError::NoSession));
        }
        let ask = self.driver.ask(request, timeout).map_err(unsent)?;
        let (promise, fulfil) = promise();
        self.asks.borrow_mut().insert(ask, fulfil);
        Ok((ask, promise))
    }

    fn cancel(&self, ask: Ask) {
        self.driver.cancel(ask);
    }

    fn answer(&self, token: Token, answer: Answer<Message>) {
        let handler = self.handlers.borrow_mut().remove(&token);
        drop(handler);
        if self.driver.answer(token, answer).is_err() {
            // It is larger than the server takes.
            let _ = self.driver.answer(token, Answer::Refused(Refusal::Failed));
        }
    }

    fn send_credential(&self, credential: Credential) {
        self.driver.send_credential(credential);
    }

    fn poll_next(&self, task: &mut Context<'_>) -> Poll<Option<Message>> {
        let Some(shared) = self.shared.upgrade() else {
            return Poll::Ready(None);
        };
        if let Some(token) = self.reading.take() {
            self.driver.handled(token);
        }
        if let Some(message) = shared.inbox.borrow_mut().pop() {
            return Poll::Ready(Some(message));
        }
        match self.driver.next_message() {
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
        (!self.is_plain()).then(|| self.driver.has_room(bytes))
    }

    fn close(&self, code: Option<u16>, reason: &str) {
        if self.is_plain() {
            return self.command(Input::Close {
                code,
                reason: reason.to_owned(),
            });
        }
        self.closing
            .borrow_mut()
            .get_or_insert_with(|| (code, reason.to_owned()));
        let driver = self.shared.upgrade().and_then(|shared| shared.driver());
        let phase = driver.map(|driver| driver.ask(|connection| connection.phase()));
        self.driver.close(match phase {
            // There will be no connection.
            Some(Phase::Idle | Phase::Suspended) => 0,
            _ => self.options.values().close_timeout,
        });
    }

    fn unwelcomed(&self) -> Option<Unwelcomed> {
        self.driver.unwelcomed().filter(|_| !self.is_plain())
    }

    fn is_closing(&self) -> bool {
        !self.is_plain() && self.driver.is_closing()
    }

    fn close_now(&self) {
        if self.is_plain() {
            return self.command(Input::Close {
                code: None,
                reason: String::new(),
            });
        }
        self.driver.close(0);
        self.driver.deliver_now();
    }

    fn renew(&self) {
        self.driver.renew();
    }

    fn phase(&self, connection: Phase) -> Phase {
        if self.is_plain() {
            return connection;
        }
        self.driver.phase_of(connection)
    }

    fn farewell(&self) -> Option<(Option<u16>, String)> {
        if self.is_plain() {
            return None;
        }
        let asked = self.closing.take();
        Some(asked.unwrap_or((Some(close::NORMAL), String::new())))
    }

    fn pending(&self) -> Option<(Tally, Tally)> {
        (!self.is_plain()).then(|| self.counts())
    }
}

impl SessionApplication<Message> for RustSession {
    fn read(&self, payload: Message) -> Option<Frame<Message>> {
        let frame = read(Data::from(payload)).ok()?;
        Some(frame.map(Message::from))
    }

    fn write(&self, frame: Frame<Message>) -> Option<Message> {
        write(frame.map(Data::from), self.style)
            .ok()
            .map(Message::from)
    }

    fn takes_messages(&self) -> bool {
        self.shared
            .upgrade()
            .is_some_and(|shared| shared.has_handler.get())
    }

    fn output(&self, output: Output<Message>) {
        if !matches!(
            output,
            Output::Handled(_) | Output::Settled(..) | Output::Answered(..)
        ) {
            // A loss is followed by the ends of what it concerns.
            if !matches!(output, Output::Lost(_) | Output::Ended(_)) {
                self.finish_losing();
            }
        }
        self.tell_closing();
        match output {
            Output::Open(opened) => self.began(opened),
            Output::Lost(why) => self.lose(Ended::Lost(why), false),
            Output::Ended(why) => self.lose(why, true),
            Output::Message { token, payload } => {
                if let Some(shared) = self.shared.upgrade() {
                    shared.deliver_message(payload);
                }
                self.driver.handled(token);
            }
            Output::Volatile(payload) => {
                if let Some(shared) = self.shared.upgrade() {
                    shared.deliver_message(payload);
                }
            }
            Output::Handled(run) => self.handled(run),
            Output::Settled(delivery, end) => self.message_ended(delivery, end),
            Output::Dropped(count) => self.emit_session(SessionEvent::Discarded(count)),
            Output::Answered(ask, end) => self.request_ended(ask, end),
            Output::Request { token, payload } => self.asked(token, payload),
            Output::Withdrawn(token) => {
                let handler = self.handlers.borrow_mut().remove(&token);
                // Its task answers that it was cancelled.
                drop(handler);
            }
            Output::StalledHere(_) => self.emit_session(SessionEvent::StalledHere),
            Output::StalledThere(_) => self.emit_session(SessionEvent::StalledThere),
            // For a server.
            _ => {}
        }
    }

    fn has_news(&self) -> bool {
        self.losing.borrow().is_some()
            || !self.dropped.borrow().is_empty()
            || (!self.is_plain() && self.told.get() != self.counts())
    }

    fn report(&self) {
        self.tell_closing();
        self.finish_losing();
        for (reason, message) in self.dropped.take() {
            self.dropped(reason, message);
        }
        if !self.is_plain() {
            self.report_pending();
        }
    }

    fn settled(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.look_who_waits();
        }
    }
}

impl Line<Message> for FaceLine {
    fn clocks(&self) -> (Time, u64) {
        let platform = self.platform.as_ref();
        (Platform::now(platform), Platform::wall_clock(platform))
    }

    fn random(&self) -> [u8; 16] {
        // If a source that was there before is gone, a new session has the old secret, and the server refuses it.
        Runtime::random_bytes(self.platform.as_ref()).unwrap_or(self.random)
    }

    fn transmit(&self, frame: Message) {
        if let Some(driver) = self.driver() {
            let bytes = frame.len();
            driver.send_frame(frame, bytes);
        }
    }

    fn is_writable(&self) -> bool {
        self.driver()
            .is_some_and(|driver| driver.ask(|connection| connection.is_writable()))
    }

    fn ready(&self) {
        self.command(Input::Ready);
    }

    fn stable(&self) {
        if let Some(driver) = self.driver() {
            driver.forget_failures();
        }
    }

    fn fail(&self, code: u16) {
        if let Some(driver) = self.driver() {
            driver.fail(code);
        }
    }

    fn stop(&self) {
        let farewell = with_session(&self.shared, |session| session.farewell());
        if let Some((code, reason)) = farewell.flatten() {
            self.command(Input::Close { code, reason });
        }
    }

    fn set_timer(&self, millis: u64) -> Box<dyn Any> {
        let shared = Weak::clone(&self.shared);
        let fire = Box::new(move || {
            with_session(&shared, |session| session.timer());
        });
        Platform::set_timer(self.platform.as_ref(), millis, fire)
    }

    fn defer(&self) {
        let shared = Weak::clone(&self.shared);
        let task = Box::new(move || {
            with_session(&shared, |session| session.soon());
        });
        Platform::defer(self.platform.as_ref(), task);
    }
}

impl FaceLine {
    fn driver(&self) -> Option<Driver<Message, FacePlatform, Face>> {
        self.shared.upgrade()?.driver()
    }

    fn command(&self, input: Input<Message>) {
        if let Some(driver) = self.driver() {
            driver.command(input);
        }
    }
}
