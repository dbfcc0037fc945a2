//! Drives the client's half of a session over a connection: passes on what the connection reports and what the
//! application does, carries out the half's effects, hands out its outputs, and arms its timer. What follows for the
//! program, whatever its language, is in `steps`; [`SessionFace`] is what an API has of its own.
//!
//! Like the [driver](crate::driver), it decides nothing, and holds no borrow while code of the application or the
//! platform runs.

mod face;
mod steps;

use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use steady_socket_protocol::session::frame::{Answer, Credential, Frame};
use steady_socket_protocol::session::{
    Ask, Client, ClientEffect, Delivery, Ended, Options, Output, Phase, Rejected, Rejection,
    SendMode, Time, Token, close,
};

use crate::cell::RefCell;
use crate::connection::{
    Cause, DropReason, Event, Input, Loss, Phase as LinePhase, StateChange, Unwelcomed, Verdict,
    Why,
};
use crate::driver::Driver;
use crate::limits::ABNORMAL;
use crate::platform::Platform;
use crate::sleep::Clocks;

pub use face::{News, Over, SessionFace};
use steps::Losing;

/// How many outputs are delivered before the clock is read again, though nothing of the application's has read it.
const OUTPUTS_A_MOMENT: u32 = 32;

/// The connection below a session.
pub type ConnectionOf<F> = Driver<
    <F as SessionFace>::Message,
    <F as SessionFace>::Platform,
    <F as SessionFace>::Application,
>;

type TimerOf<F> = <<F as SessionFace>::Platform as Platform<<F as SessionFace>::Message>>::Timer;

/// What a session begins with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The half's options.
    pub options: Options,
    /// Whether the program can do without a session.
    pub optional: bool,
    /// After how many milliseconds a connection without a welcome is given up.
    pub connect_timeout: u64,
    /// How many milliseconds the end of a session waits until everything is handled.
    pub close_timeout: u64,
    /// Random bytes from the platform's cryptographic source.
    pub random: [u8; 16],
}

/// A session on a connection.
///
/// Generic over the face, whose methods it calls directly.
pub struct SessionDriver<F: SessionFace> {
    half: RefCell<Client<F::Payload>>,
    start: Start,
    platform: Rc<F::Platform>,
    face: Weak<F>,
    /// When the clocks were last compared, and what the session's own clock has gained on the monotonic one by sleep.
    clocks: Cell<(Clocks, u64)>,
    /// When the input that is being processed came, or code of the application last did something: reading the clock costs
    /// as much as the half's work for a message.
    moment: Cell<Option<Time>>,
    /// When the clock was last read.
    latest: Cell<Time>,
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
    timer: RefCell<Option<(Time, TimerOf<F>)>>,
    closing: Cell<Closing>,
    unwelcomed: Cell<Option<Unwelcomed>>,

    // ----- for the steps
    /// The server speaks no sessions, and the program can do without.
    plain: Cell<bool>,
    /// Whether the server has ever welcomed this client.
    was_welcomed: Cell<bool>,
    /// Whether the program knows of the current connection.
    is_announced: Cell<bool>,
    /// What happened to a connection that waits for its welcome.
    held: RefCell<Vec<Event<F::Message>>>,
    /// A session that is over, whose messages are being settled.
    losing: Cell<Option<Losing>>,
    /// The code and the reason that the program closes with.
    farewell: RefCell<Option<(Option<u16>, String)>>,
    /// What was last told of the messages that wait and of those that are unacknowledged, and their bytes.
    told: Cell<[u64; 4]>,
    /// Messages that were dropped in a call, of which the program is told after it.
    dropped: RefCell<Vec<(DropReason, F::Payload)>>,
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

impl<F: SessionFace> core::fmt::Debug for SessionDriver<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionDriver").finish_non_exhaustive()
    }
}

impl<F: SessionFace> SessionDriver<F> {
    /// A session of `face`.
    pub fn new(start: Start, platform: Rc<F::Platform>, face: Weak<F>) -> Self {
        let clocks = Clocks {
            monotonic: platform.now(),
            wall: platform.wall_clock(),
        };
        Self {
            half: RefCell::new(Client::new(start.options, start.random)),
            start,
            platform,
            face,
            clocks: Cell::new((clocks, 0)),
            moment: Cell::new(None),
            latest: Cell::new(clocks.monotonic),
            welcome_by: Cell::new(None),
            welcomed: Cell::new(None),
            writable: Cell::new(true),
            carrying_out: Cell::new(false),
            delivering: Cell::new(false),
            is_deferred: Cell::new(false),
            gathering: Cell::new(false),
            timer: RefCell::new(None),
            closing: Cell::new(Closing::Not),
            unwelcomed: Cell::new(None),
            plain: Cell::new(false),
            was_welcomed: Cell::new(false),
            is_announced: Cell::new(false),
            held: RefCell::new(Vec::new()),
            losing: Cell::new(None),
            farewell: RefCell::new(None),
            told: Cell::new([0; 4]),
            dropped: RefCell::new(Vec::new()),
        }
    }

    /// The connection below, if it is still there.
    #[inline(never)]
    fn connection(&self) -> Option<ConnectionOf<F>> {
        self.face.upgrade()?.connection()
    }

    fn command(&self, input: Input<F::Message>) {
        if let Some(connection) = self.connection() {
            connection.command(input);
        }
    }

    // ----- the connection

    /// The connection is open, and the server speaks sessions.
    fn opened(&self, face: &F) {
        self.look_at_clocks();
        let now = self.now();
        self.writable.set(true);
        self.welcomed.set(None);
        self.welcome_by
            .set(Some(now.after(self.start.connect_timeout)));
        let (random, credential) = (face.random(), face.credential());
        self.half.borrow_mut().opened(now, random, credential);
        self.happened();
    }

    /// Something has arrived on the current connection.
    pub fn receive(&self, face: &F, message: F::Message) {
        let now = self.begin();
        match face.read(message) {
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
                self.command(Input::Ready);
            }
        }
        self.happened();
    }

    /// The connection or an attempt is lost. Says what follows, if the session knows better than the policy for close codes.
    fn judge(&self, loss: &Loss) -> Option<Verdict> {
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
        if stable && let Some(connection) = self.connection() {
            connection.forget_failures();
        }
        insists.then_some(Verdict::Retry)
    }

    /// The connection has ended.
    fn closed(&self, loss: &Loss) {
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
        if !self.is_plain() && !self.carrying_out.get() && self.look_at_line() {
            self.commanded();
        }
    }

    /// The time of the timer has come.
    fn timer(&self) {
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
    fn soon(&self) {
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
    pub fn send(
        &self,
        payload: F::Payload,
        mode: SendMode,
    ) -> Result<Delivery, Rejected<F::Payload>> {
        // What a turn gathers takes no time.
        let now = match self.gathering.get() {
            true => self.latest.get(),
            false => self.now(),
        };
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
    pub fn withdraw(&self, delivery: Delivery) -> Option<F::Payload> {
        let withdrawn = self.half.borrow_mut().withdraw(delivery);
        self.commanded();
        withdrawn
    }

    /// Sends a message now or not at all, and says whether it went.
    pub fn send_volatile(&self, payload: F::Payload) -> bool {
        let now = self.now();
        let went = self.half.borrow_mut().send_volatile(now, payload);
        self.commanded();
        went
    }

    /// Makes a request, which ends as timed out after `timeout` milliseconds. See [`Client::ask`].
    ///
    /// # Errors
    /// See there.
    pub fn ask(
        &self,
        payload: F::Payload,
        timeout: Option<u64>,
    ) -> Result<Ask, Rejected<F::Payload>> {
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
    pub fn answer(
        &self,
        token: Token,
        answer: Answer<F::Payload>,
    ) -> Result<(), Rejected<Answer<F::Payload>>> {
        let now = self.now();
        let answered = self.half.borrow_mut().answer(now, token, answer);
        self.commanded();
        answered
    }

    /// The application is done with a message.
    pub fn handled(&self, token: Token) {
        let now = self.moment();
        self.half.borrow_mut().handled(now, token);
        self.commanded();
    }

    /// The next message, if the application takes them itself. It is given from here on.
    pub fn next_message(&self) -> Option<Output<F::Payload>> {
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
    fn end_within(&self, timeout: u64) {
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
    fn give_up(&self, why: Ended) {
        self.half.borrow_mut().give_up(why);
        self.happened();
    }

    /// Begins a session of its own if the last one is over for good, or is being closed: then that ends now.
    pub fn renew(&self, face: &F) {
        if !self.half.borrow().is_closing() {
            return;
        }
        self.end_within(0);
        self.closing.set(match self.closing.get() {
            Closing::Told => Closing::Renewed,
            _ => Closing::Not,
        });
        let random = face.random();
        self.half.borrow_mut().restart(random);
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
    pub fn unwelcomed(&self) -> Option<Unwelcomed> {
        self.unwelcomed.get().filter(|_| !self.is_plain())
    }

    /// Whether the program has closed the session, or it is over.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        !self.is_plain() && self.half.borrow().is_closing()
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

    /// The program has closed the session: it is told of that before any other event.
    fn tell_closing(&self, face: &F) {
        if self.closing.get() != Closing::Due {
            return;
        }
        self.closing.set(Closing::Told);
        let counters = face.connection().map(|connection| connection.counters());
        let attempt = counters.and_then(|counters| counters.first().copied());
        face.tell(Event::State(StateChange {
            phase: LinePhase::Closing,
            attempt: attempt.unwrap_or(1) as u32,
            delay_ms: None,
            why: Why::Requested,
        }));
    }

    /// Whether the program, which has closed, is not to learn of this any more: from there on it sees the end only, although
    /// there may be attempts.
    fn conceals(&self, event: &Event<F::Message>) -> bool {
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
    pub fn ask_half<T>(&self, question: impl FnOnce(&Client<F::Payload>) -> T) -> T {
        question(&self.half.borrow())
    }

    /// Whether a message of this size would be accepted now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let (messages, queued) = self.half.borrow().queued();
        messages == 0
            || (messages < self.start.options.queue_messages
                && queued.saturating_add(bytes) <= self.start.options.queue_bytes)
    }

    // ----- inside

    /// The time, which goes on while the machine sleeps.
    pub fn now(&self) -> Time {
        let (_, gained) = self.clocks.get();
        let now = self.platform.now().after(gained);
        self.latest.set(now);
        if self.moment.get().is_some() {
            self.moment.set(Some(now));
        }
        now
    }

    /// The same for what follows from an input without code of the application in between.
    fn moment(&self) -> Time {
        self.moment.get().unwrap_or_else(|| self.now())
    }

    /// An input begins, which ends with [`SessionDriver::happened`].
    fn begin(&self) -> Time {
        let now = self.now();
        self.moment.set(Some(now));
        now
    }

    /// Adds what the machine has slept to the session's clock.
    fn look_at_clocks(&self) {
        let (earlier, gained) = self.clocks.get();
        let now = Clocks {
            monotonic: self.platform.now(),
            wall: self.platform.wall_clock(),
        };
        let slept = earlier.slept_ms(now);
        self.clocks.set((now, gained.saturating_add(slept)));
    }

    /// Something has happened outside: carries out what follows, and delivers it.
    fn happened(&self) {
        self.carry_out();
        self.deliver();
        self.arm();
        self.moment.set(None);
    }

    /// The application has done something. What follows is carried out at once, and delivered after the running handler or
    /// in a task of its own.
    fn commanded(&self) {
        self.carry_out();
        if self.is_deferred.get() {
            // All else waits for that, too.
            return;
        }
        if !self.delivering.get() {
            let Some(face) = self.face.upgrade() else {
                return;
            };
            if self.has_output(&face) {
                self.defer();
            } else {
                face.settled();
            }
        }
        self.arm();
    }

    fn defer(&self) {
        if !self.is_deferred.replace(true) {
            self.platform.defer(self.later(Self::soon));
        }
    }

    /// A function that does this if the session is still kept then.
    fn later(&self, act: fn(&Self)) -> Box<dyn FnOnce()> {
        let face = Weak::clone(&self.face);
        Box::new(move || {
            if let Some(face) = face.upgrade().filter(|face| !face.is_abandoned()) {
                act(face.session());
            }
        })
    }

    fn has_output(&self, face: &F) -> bool {
        let (has_notice, has_output) = {
            let half = self.half.borrow();
            (half.has_notice(), half.has_output())
        };
        has_notice || self.has_news() || (has_output && face.takes_messages())
    }

    fn carry_out(&self) {
        if self.carrying_out.replace(true) {
            return;
        }
        let (mut closes, mut gives_up) = (None, false);
        loop {
            let frame = self.half.borrow_mut().poll_frame();
            if let Some(frame) = frame {
                self.transmit(frame);
                continue;
            }
            let effect = self.half.borrow_mut().poll_effect();
            match effect {
                None => break,
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
        if gives_up {
            self.stop();
        } else if let (Some(code), Some(connection)) = (closes, self.connection()) {
            connection.fail(code);
        }
    }

    fn transmit(&self, frame: Frame<F::Payload>) {
        let Some(face) = self.face.upgrade() else {
            return;
        };
        // The half makes only frames that can be written. If that were wrong, the next counts would show a gap.
        if let Some((message, bytes)) = face.write(frame) {
            if let Some(connection) = face.connection() {
                connection.send_frame(message, bytes);
            }
            self.look_at_line();
        }
    }

    /// Tells the half whether the connection takes more. Returns whether that has changed.
    fn look_at_line(&self) -> bool {
        let connection = self.connection();
        let writable = connection
            .is_some_and(|connection| connection.ask(|connection| connection.is_writable()));
        let changed = self.writable.replace(writable) != writable;
        if changed {
            let now = self.moment();
            self.half.borrow_mut().set_writable(now, writable);
        }
        changed
    }

    fn deliver(&self) {
        let Some(face) = self.face.upgrade() else {
            return;
        };
        if self.delivering.replace(true) {
            return;
        }
        let mut count = 0_u32;
        // Whether the program takes the next message, if that is known.
        let mut takes_next = None;
        loop {
            count = count.wrapping_add(1);
            if count.is_multiple_of(OUTPUTS_A_MOMENT) {
                self.now();
            }
            let has_output = self.half.borrow().has_output();
            // Asking is not for free.
            let takes = has_output && takes_next.take().unwrap_or_else(|| face.takes_messages());
            let output = {
                let mut half = self.half.borrow_mut();
                match (has_output, takes) {
                    (false, _) => None,
                    (_, true) => half.poll_output(self.moment()),
                    (_, false) => half.poll_notice(),
                }
            };
            match output {
                Some(output) => takes_next = self.output(&face, output),
                None if self.has_news() => {
                    self.report(&face);
                    takes_next = None;
                }
                None => break,
            }
            self.carry_out();
        }
        self.delivering.set(false);
        face.settled();
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
            let timer = self
                .platform
                .set_timer(at.since(self.now()), self.later(Self::timer));
            *self.timer.borrow_mut() = Some((at, timer));
        }
    }
}
