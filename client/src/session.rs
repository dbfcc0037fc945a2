//! Drives the client's half of a session over a connection: passes on what the connection reports and what the
//! application does, carries out the half's effects, hands out its outputs, and arms its timer.
//!
//! Like the [driver](crate::driver), it decides nothing, and holds no borrow while code of the application or the
//! platform runs. [`Line`] is what it calls below, [`SessionApplication`] what it calls above.

use alloc::boxed::Box;
use alloc::rc::Weak;
use core::any::Any;
use core::cell::Cell;
use core::fmt;

use steady_socket_protocol::session::frame::{Answer, Credential, Frame};
use steady_socket_protocol::session::{
    Ask, Client, ClientEffect, Delivery, Ended, Options, Output, Payload, Phase, Rejected,
    Rejection, SendMode, Time, Token, close,
};

use crate::cell::RefCell;
use crate::connection::{
    Cause, Event, Loss, Phase as LinePhase, StateChange, Unwelcomed, Verdict, Why,
};
use crate::limits::ABNORMAL;
use crate::sleep::Clocks;

/// What a session needs of the connection and the platform below it. Its methods may call the session.
pub trait Line<P> {
    /// Both clocks.
    #[doc(hidden)]
    fn clocks(&self) -> (Time, u64);

    /// Random bytes from the platform's cryptographic source.
    fn random(&self) -> [u8; 16];

    /// Sends a frame on the current connection.
    fn transmit(&self, frame: P);

    /// Whether the connection takes more at the moment.
    fn is_writable(&self) -> bool;

    /// The server has welcomed this client.
    fn ready(&self);

    /// The current connection counts as stable, whatever becomes of it.
    fn stable(&self);

    /// The connection is of no use: loses it, with this close code.
    fn fail(&self, code: u16);

    /// The session is over, and so is the connection: closes it for good.
    fn stop(&self);

    /// Calls [`SessionDriver::timer`] after `millis` milliseconds, unless the result is dropped before.
    #[must_use = "dropping a timer cancels it"]
    fn set_timer(&self, millis: u64) -> Box<dyn Any>;

    /// Calls [`SessionDriver::soon`] when the program's turn of the event loop is over.
    fn defer(&self);
}

/// The API above a session. Its methods may call the session.
pub trait SessionApplication<P> {
    /// Reads what has arrived; `None` if that is malformed.
    fn read(&self, payload: P) -> Option<Frame<P>>;

    /// Writes a frame. `None` if that is impossible, which ends the connection.
    fn write(&self, frame: Frame<P>) -> Option<P>;

    /// Whether messages are to be handed out as they arrive. Otherwise [`SessionDriver::next_message`] takes them.
    fn takes_messages(&self) -> bool;

    /// Delivers an output. When this returns, its handlers have returned.
    fn output(&self, output: Output<P>);

    /// Whether there is something to tell in [`SessionApplication::report`].
    fn has_news(&self) -> bool {
        false
    }

    /// The outputs have been delivered: tells what follows from them, and from the program's calls. Never within a call.
    fn report(&self) {}

    /// Everything has been delivered for now: there may be a message to read, or room in the queue.
    fn settled(&self);
}

/// A session on a connection.
pub struct SessionDriver<P> {
    half: RefCell<Client<P>>,
    options: Options,
    line: Box<dyn Line<P>>,
    application: Weak<dyn SessionApplication<P>>,
    connect_timeout: u64,
    /// When the clocks were last compared, and what the session's own clock has gained on the monotonic one by sleep.
    clocks: Cell<(Clocks, u64)>,
    /// When the current connection is given up if there is no welcome.
    welcome_by: Cell<Option<Time>>,
    /// On a connection that has been welcomed: the half's progress at that moment.
    welcomed: Cell<Option<u64>>,
    writable: Cell<bool>,
    /// Effects are being carried out, further up the stack.
    carrying_out: Cell<bool>,
    /// Outputs are being delivered, further up the stack.
    delivering: Cell<bool>,
    /// A call of [`SessionDriver::soon`] is on its way.
    is_deferred: Cell<bool>,
    /// The half has asked for the end of this turn of the event loop.
    gathering: Cell<bool>,
    timer: RefCell<Option<(Time, Box<dyn Any>)>>,
    closing: Cell<Closing>,
    was_welcomed: Cell<bool>,
    unwelcomed: Cell<Option<Unwelcomed>>,
}

/// What the program knows of its own call of `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// There was none, or the connection tells of it.
    Not,
    /// It is to be told that the socket is closing.
    Due,
    /// It has been told, and gets to know only the end.
    Told,
    /// It has been told, and has asked for another session since. It need not be told again of the connection's own.
    Renewed,
}

impl<P> fmt::Debug for SessionDriver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionDriver").finish_non_exhaustive()
    }
}

impl<P: Payload> SessionDriver<P> {
    /// A session over `line`. A connection without a welcome is given up after `connect_timeout` milliseconds.
    pub fn new(
        options: Options,
        connect_timeout: u64,
        line: Box<dyn Line<P>>,
        application: Weak<dyn SessionApplication<P>>,
    ) -> Self {
        let (monotonic, wall) = line.clocks();
        let half = Client::new(options, line.random());
        Self {
            half: RefCell::new(half),
            options,
            line,
            application,
            connect_timeout,
            clocks: Cell::new((Clocks { monotonic, wall }, 0)),
            welcome_by: Cell::new(None),
            welcomed: Cell::new(None),
            writable: Cell::new(true),
            carrying_out: Cell::new(false),
            delivering: Cell::new(false),
            is_deferred: Cell::new(false),
            gathering: Cell::new(false),
            timer: RefCell::new(None),
            closing: Cell::new(Closing::Not),
            was_welcomed: Cell::new(false),
            unwelcomed: Cell::new(None),
        }
    }

    // ----- the connection

    /// The connection is open, and the server speaks sessions.
    pub fn opened(&self, credential: Option<Credential>) {
        self.look_at_clocks();
        let now = self.now();
        self.writable.set(true);
        self.welcomed.set(None);
        self.welcome_by.set(Some(now.after(self.connect_timeout)));
        let random = self.line.random();
        self.half.borrow_mut().opened(now, random, credential);
        self.happened();
    }

    /// Something has arrived on the current connection.
    pub fn receive(&self, payload: P) {
        let Some(application) = self.application.upgrade() else {
            return;
        };
        let now = self.now();
        match application.read(payload) {
            Some(frame) => self.half.borrow_mut().receive(now, frame),
            None => self.half.borrow_mut().receive_malformed(now),
        }
        if self.welcome_by.get().is_some() && self.phase() != Phase::Greeting {
            self.welcome_by.set(None);
            if self.phase() == Phase::Up {
                let progress = self.half.borrow().progress();
                self.welcomed.set(Some(progress));
                self.was_welcomed.set(true);
                self.unwelcomed.set(None);
                self.line.ready();
            }
        }
        self.happened();
    }

    /// The connection or an attempt is lost. Says what follows, if the session knows better than the policy for close codes.
    pub fn verdict(&self, loss: &Loss) -> Option<Verdict> {
        let code = loss.close.code;
        let half = self.half.borrow();
        if half.phase() == Phase::Ended {
            return Some(Verdict::Stop);
        }
        // A connection counts as stable from its welcome, unless it ends with a fault and has carried nothing new.
        let stable = self
            .welcomed
            .take()
            .is_some_and(|before| !close::is_fault(code) || half.progress() != before);
        let insists = loss.cause == Cause::Socket && half.insists_on_retry(code);
        drop(half);
        if stable {
            self.line.stable();
        }
        insists.then_some(Verdict::Retry)
    }

    /// The connection has ended.
    pub fn closed(&self, loss: &Loss) {
        let now = self.now();
        self.welcome_by.set(None);
        // Only what the server has sent says something about its messages.
        let code = match loss.cause {
            Cause::Socket => loss.close.code,
            _ => ABNORMAL,
        };
        if !self.was_welcomed.get() {
            self.unwelcomed.set(match (loss.cause, loss.was_open) {
                (Cause::Socket, false) => Some(Unwelcomed::NotOpened),
                (Cause::Socket, true) => Some(Unwelcomed::Closed(code)),
                (_, true) if loss.close.code == close::NO_WELCOME => Some(Unwelcomed::Silent),
                // Others say what they are.
                _ => None,
            });
        }
        self.half.borrow_mut().closed(now, code);
        self.happened();
    }

    /// Everything has been delivered for now: the connection may take more than before.
    pub fn settled(&self) {
        if !self.carrying_out.get() && self.look_at_line() {
            self.commanded();
        }
    }

    /// The time of the timer has come.
    pub fn timer(&self) {
        let fired = self.timer.borrow_mut().take();
        drop(fired);
        let now = self.now();
        if self.welcome_by.get().is_some_and(|by| by <= now) {
            self.welcome_by.set(None);
            self.half.borrow_mut().welcome_timed_out(now);
        }
        self.half.borrow_mut().timer(now);
        self.happened();
    }

    /// The program's turn of the event loop is over.
    pub fn soon(&self) {
        self.is_deferred.set(false);
        if self.gathering.replace(false) {
            let now = self.now();
            self.half.borrow_mut().gathered(now);
        }
        self.happened();
    }

    // ----- the application

    /// Sends a message. See [`Client::send`].
    ///
    /// # Errors
    /// See there.
    pub fn send(&self, payload: P, mode: SendMode) -> Result<Delivery, Rejected<P>> {
        let now = self.now();
        let mut sent = self.half.borrow_mut().send(now, payload, mode);
        if self.gathering.get()
            && let Err(Rejected {
                payload,
                why: Rejection::Full,
            }) = sent
        {
            // What this turn of the event loop has gathered fills the queue, and may go.
            self.half.borrow_mut().gathered(now);
            self.carry_out();
            sent = self.half.borrow_mut().send(now, payload, mode);
        }
        self.commanded();
        sent
    }

    /// Takes a message back that has no number yet. See [`Client::withdraw`].
    pub fn withdraw(&self, delivery: Delivery) -> Option<P> {
        let withdrawn = self.half.borrow_mut().withdraw(delivery);
        self.commanded();
        withdrawn
    }

    /// Sends a message now or not at all, and says whether it went.
    pub fn send_volatile(&self, payload: P) -> bool {
        let now = self.now();
        let went = self.half.borrow_mut().send_volatile(now, payload);
        self.commanded();
        went
    }

    /// Makes a request, which ends as timed out after `timeout` milliseconds. See [`Client::ask`].
    ///
    /// # Errors
    /// See there.
    pub fn ask(&self, payload: P, timeout: Option<u64>) -> Result<Ask, Rejected<P>> {
        let now = self.now();
        let deadline = timeout.map(|timeout| now.after(timeout));
        let ask = self.half.borrow_mut().ask(now, payload, deadline);
        self.commanded();
        ask
    }

    /// The answer to a request is no longer wanted.
    pub fn cancel(&self, ask: Ask) {
        let now = self.now();
        self.half.borrow_mut().cancel(now, ask);
        self.commanded();
    }

    /// Answers a request of the server's. See [`Client::answer`].
    ///
    /// # Errors
    /// See there.
    pub fn answer(&self, token: Token, answer: Answer<P>) -> Result<(), Rejected<Answer<P>>> {
        let now = self.now();
        let answered = self.half.borrow_mut().answer(now, token, answer);
        self.commanded();
        answered
    }

    /// The application is done with a message.
    pub fn handled(&self, token: Token) {
        let now = self.now();
        self.half.borrow_mut().handled(now, token);
        self.commanded();
    }

    /// The next message, if the application takes them itself. It is given from here on.
    pub fn next_message(&self) -> Option<Output<P>> {
        let now = self.now();
        self.half.borrow_mut().poll_message(now)
    }

    /// A fresh credential goes to the server, if there is a session.
    pub fn send_credential(&self, credential: Credential) {
        self.half.borrow_mut().send_credential(credential);
        self.commanded();
    }

    /// The page is about to be hidden or frozen.
    pub fn flush(&self) {
        self.gathering.set(false);
        let now = self.now();
        self.half.borrow_mut().flush(now);
        self.commanded();
    }

    /// Ends the session when everything is handled, `timeout` milliseconds from now at the latest.
    pub fn close(&self, timeout: u64) {
        let now = self.now();
        self.half.borrow_mut().close(now, now.after(timeout));
        // A session that is over at once closes the connection, which tells of that.
        if self.phase() != Phase::Ended
            && matches!(self.closing.get(), Closing::Not | Closing::Renewed)
        {
            self.closing.set(Closing::Due);
        }
        self.commanded();
    }

    /// Gives the session up at once.
    pub fn give_up(&self, why: Ended) {
        self.half.borrow_mut().give_up(why);
        self.happened();
    }

    /// Begins a session of its own if the last one is over for good, or is being closed: then that ends now.
    pub fn renew(&self) {
        if !self.half.borrow().is_closing() {
            return;
        }
        self.close(0);
        self.closing.set(match self.closing.get() {
            Closing::Told => Closing::Renewed,
            _ => Closing::Not,
        });
        let random = self.line.random();
        self.half.borrow_mut().restart(random);
        self.commanded();
    }

    /// The application has news of its own, which it tells after the running handler or in a task of its own.
    pub fn has_noted(&self) {
        self.commanded();
    }

    /// Hands out at once what would come soon, for an API that will be gone by then.
    pub fn deliver_now(&self) {
        self.happened();
    }

    // ----- questions

    /// Where the session is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.half.borrow().phase()
    }

    /// Why there has been no session yet; `None` if there has been one, or no attempt has failed.
    pub const fn unwelcomed(&self) -> Option<Unwelcomed> {
        self.unwelcomed.get()
    }

    /// Whether the session is over, or the program is closing it.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.half.borrow().is_closing()
    }

    /// What the program sees of a connection in this phase: it knows of none without a welcome, nor once it has closed.
    #[must_use]
    pub fn phase_of(&self, connection: LinePhase) -> LinePhase {
        let half = self.half.borrow();
        match connection {
            LinePhase::Closed => connection,
            _ if half.is_closing() => LinePhase::Closing,
            LinePhase::Open if half.phase() == Phase::Greeting => LinePhase::Connecting,
            _ => connection,
        }
    }

    /// An event that is due before any other: the program has closed the session.
    pub fn closing_event<E>(&self, attempt: u32) -> Option<Event<E>> {
        if self.closing.get() != Closing::Due {
            return None;
        }
        self.closing.set(Closing::Told);
        Some(Event::State(StateChange {
            phase: LinePhase::Closing,
            attempt,
            delay_ms: None,
            why: Why::Requested,
        }))
    }

    /// Whether the program, which has closed, is not to learn of this any more: from there on it sees the end only, although
    /// there may be attempts.
    pub fn conceals<E>(&self, event: &Event<E>) -> bool {
        match (self.closing.get(), event) {
            (Closing::Told, Event::State(change)) => change.phase != LinePhase::Closed,
            (Closing::Told, Event::Open { .. }) => true,
            (Closing::Told, Event::Error) => self.phase() != Phase::Ended,
            (Closing::Told, Event::Closed(closed)) => !closed.is_final(),
            (Closing::Renewed, Event::State(change)) if change.phase != LinePhase::Closing => {
                self.closing.set(Closing::Not);
                false
            }
            (Closing::Renewed, Event::State(_)) => true,
            _ => false,
        }
    }

    /// Queries the half.
    pub fn ask_half<T>(&self, question: impl FnOnce(&Client<P>) -> T) -> T {
        question(&self.half.borrow())
    }

    /// Whether a message of this size would be accepted now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let (messages, queued) = self.half.borrow().queued();
        messages == 0
            || (messages < self.options.queue_messages
                && queued.saturating_add(bytes) <= self.options.queue_bytes)
    }

    // ----- inside

    /// The time, which goes on while the machine sleeps.
    pub fn now(&self) -> Time {
        let (_, gained) = self.clocks.get();
        let (monotonic, _) = self.line.clocks();
        monotonic.after(gained)
    }

    /// Adds what the machine has slept to the session's clock.
    fn look_at_clocks(&self) {
        let (earlier, gained) = self.clocks.get();
        let (monotonic, wall) = self.line.clocks();
        let now = Clocks { monotonic, wall };
        let slept = earlier.slept_ms(now);
        self.clocks.set((now, gained.saturating_add(slept)));
    }

    /// Something has happened outside: carries out what follows, and delivers it.
    fn happened(&self) {
        self.carry_out();
        self.deliver();
        self.arm();
    }

    /// The application has done something. What follows is carried out at once, and delivered after the running handler or
    /// in a task of its own.
    fn commanded(&self) {
        self.carry_out();
        if !self.delivering.get() {
            if self.has_news() {
                self.defer();
            } else if let Some(application) = self.application.upgrade() {
                application.settled();
            }
        }
        self.arm();
    }

    fn defer(&self) {
        if !self.is_deferred.replace(true) {
            self.line.defer();
        }
    }

    fn has_news(&self) -> bool {
        let Some(application) = self.application.upgrade() else {
            return false;
        };
        let takes = application.takes_messages();
        let has_output = {
            let half = self.half.borrow();
            match takes {
                true => half.has_output(),
                false => half.has_notice(),
            }
        };
        has_output || self.closing.get() == Closing::Due || application.has_news()
    }

    fn carry_out(&self) {
        if self.carrying_out.replace(true) {
            return;
        }
        let (mut closes, mut gives_up) = (None, false);
        loop {
            let effect = self.half.borrow_mut().poll_effect();
            match effect {
                None => break,
                Some(ClientEffect::Transmit(frame)) => self.transmit(frame),
                // What follows decides how.
                Some(ClientEffect::Close(code)) => closes = Some(code),
                Some(ClientEffect::GiveUp) => gives_up = true,
                Some(ClientEffect::Gather) => {
                    self.gathering.set(true);
                    self.defer();
                }
                Some(_) => {}
            }
        }
        self.carrying_out.set(false);
        match (gives_up, closes) {
            (true, _) => self.line.stop(),
            (false, Some(code)) => self.line.fail(code),
            (false, None) => {}
        }
    }

    fn transmit(&self, frame: Frame<P>) {
        let Some(application) = self.application.upgrade() else {
            return;
        };
        // The half makes only frames that can be written. If that were wrong, the next counts would show a gap.
        if let Some(payload) = application.write(frame) {
            self.line.transmit(payload);
            self.look_at_line();
        }
    }

    /// Tells the half whether the connection takes more. Returns whether that has changed.
    fn look_at_line(&self) -> bool {
        let writable = self.line.is_writable();
        let changed = self.writable.replace(writable) != writable;
        if changed {
            let now = self.now();
            self.half.borrow_mut().set_writable(now, writable);
        }
        changed
    }

    fn deliver(&self) {
        let Some(application) = self.application.upgrade() else {
            return;
        };
        if self.delivering.replace(true) {
            return;
        }
        loop {
            let takes = application.takes_messages();
            let now = self.now();
            let output = {
                let mut half = self.half.borrow_mut();
                match takes {
                    true => half.poll_output(now),
                    false => half.poll_notice(),
                }
            };
            match output {
                Some(output) => application.output(output),
                None if self.closing.get() == Closing::Due || application.has_news() => {
                    application.report();
                }
                None => break,
            }
            self.carry_out();
        }
        self.delivering.set(false);
        application.settled();
    }

    /// Arms a timer for the next deadline. One that fires earlier stays: that is harmless.
    fn arm(&self) {
        let next = Time::earliest(self.half.borrow().next_timer(), self.welcome_by.get());
        let suits = match (&*self.timer.borrow(), next) {
            (None, None) => true,
            (Some((at, _)), Some(next)) => *at <= next,
            _ => false,
        };
        if suits {
            return;
        }
        let earlier = self.timer.borrow_mut().take();
        drop(earlier);
        if let Some(at) = next {
            let timer = self.line.set_timer(at.since(self.now()));
            *self.timer.borrow_mut() = Some((at, timer));
        }
    }
}
