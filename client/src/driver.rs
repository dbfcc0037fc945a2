//! Drives the pure core on a platform: carries out its effects, delivers its outputs, arms its timer.
//!
//! No `RefCell` borrow is held while the application's or the platform's code runs, so that either may call the
//! driver at any moment.

use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use core::any::Any;
use core::cell::Cell;

use steady_socket_protocol::control::{self, Control, Heard};

use crate::cell::RefCell;
#[cfg(doc)]
use crate::connection::Cause;
use crate::connection::{
    Accepted, Connection, Context, Counters, Effect, Event, Generation, Hint, Input, Loss, Output,
    Phase, Report, SendMode, SendRejected, Sent, Snapshot, Time, Timers, Verdict,
};
use crate::limits::{TOO_BIG, TURN};
use crate::options::Options;
use crate::platform::{
    BinaryType, Platform, RawSocket as _, Refused, SocketEvent, SocketSettings, Target,
};

/// Describes the attempt to a function that provides the URL or the sub-protocols.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// 1 for the first attempt since the last stable connection, 2 for the first retry, and so on.
    pub number: u32,
    /// How the last connection or attempt ended.
    pub last_loss: Option<Loss>,
}

/// The URL and the sub-protocols for an attempt, now or later.
pub enum Resolution {
    /// Already known.
    Ready(Result<Target, Refused>),
    /// Known once the [`Answer`] is called. Dropping this signals that it is no longer needed.
    Pending(Box<dyn Any>),
}

/// Called with the result of a search for the URL and the sub-protocols. A late call does nothing.
pub type Answer = Box<dyn FnOnce(Result<Target, Refused>)>;

/// The API above the driver. Its methods may call the driver.
pub trait Application<P> {
    /// Obtains the URL and the sub-protocols for an attempt. `answer` is called only if that takes time, and never
    /// before this has returned.
    fn resolve(&self, attempt: &Attempt, answer: Answer) -> Resolution;

    /// Calls the user's predicate with a loss; `None` leaves the decision to the policy.
    fn verdict(&self, loss: &Loss) -> Option<Verdict>;

    /// Delivers a message. When this returns, its handlers have returned.
    fn message(&self, payload: P);

    /// Delivers an event of the connection. When this returns, its handlers have returned.
    fn event(&self, event: Event<P>);

    /// Everything has been delivered for now: there may be room in the queue.
    fn settled(&self);

    /// The message that the server is known to reply to; `None` if there is none.
    fn ping(&self) -> Option<P> {
        None
    }

    /// A message that shows the server that this client is alive and that it need not answer; `None` to send the
    /// ping.
    fn keepalive(&self) -> Option<P> {
        None
    }

    /// Whether there is a ping to send; called once for every connection.
    fn pings(&self) -> bool {
        self.ping().is_some()
    }

    /// Whether a message is the answer to the ping, and so not for the application.
    fn is_pong(&self, payload: &P) -> bool {
        let _ = payload;
        false
    }
}

/// A connection on a platform. Dropping the last clone closes it.
///
/// Generic over the platform and the application, so that a face which has one of each calls their methods directly.
pub struct Driver<
    P: 'static,
    L: Platform<P> + ?Sized + 'static,
    A: Application<P> + ?Sized + 'static,
>(Rc<Inner<P, L, A>>);

impl<P, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> Clone for Driver<P, L, A> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<P, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> core::fmt::Debug for Driver<P, L, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

struct Inner<P: 'static, L: Platform<P> + ?Sized + 'static, A: Application<P> + ?Sized + 'static> {
    connection: RefCell<Connection<P>>,
    platform: Rc<L>,
    application: Box<A>,
    socket: RefCell<Option<Wire<L::Socket>>>,
    target: RefCell<Option<Rc<Target>>>,
    /// Why the platform last refused to make a socket or to send.
    refusal: RefCell<Option<Refused>>,
    /// The search for a target in progress.
    search: RefCell<Option<Box<dyn Any>>>,
    timers: [TimerSlot<L::Timer>; 2],
    settings: Cell<SocketSettings>,
    /// Watches the page and the network while the connection is wanted.
    watch: RefCell<Option<L::Watch>>,
    clocks: Cell<Clocks>,
    /// When the monotonic clock was last read.
    read_at: Cell<Time>,
    /// Whether to use control messages if the server agrees to them.
    speaks_control: bool,
    /// Whether the current connection uses them.
    controls: Cell<bool>,
    /// The largest message for the application, in bytes. Sockets accept one byte more for the escape of a text.
    most_bytes: usize,
    /// The depth of the timer chain that is firing, further up the stack; 0 outside timers.
    in_chain: Cell<u32>,
    /// Events are being delivered, further up the stack.
    telling: Cell<bool>,
    /// A task that will deliver events is scheduled.
    tell_soon: Cell<bool>,
    /// How many more events may be delivered in this task of the platform.
    left: Cell<u32>,
}

/// The depth limit for timers that arm each other. Browsers run chains of five once a minute in a hidden page.
const DEEP: u32 = 3;

/// How far the wall clock must run ahead of the monotonic one to show that the machine slept, in milliseconds.
/// Smaller steps are corrections of the clock.
const SLEPT_MS: u64 = 2_000;

/// Both clocks, read at the same moment.
#[derive(Clone, Copy)]
struct Clocks {
    monotonic: Time,
    wall: u64,
}

impl Clocks {
    fn read<P, L: Platform<P> + ?Sized>(platform: &L) -> Self {
        Self {
            monotonic: platform.now(),
            wall: platform.wall_clock(),
        }
    }

    /// How long the machine slept between two readings, if it did.
    fn slept(self, later: Self) -> Option<u64> {
        let passed = later.monotonic.since(self.monotonic);
        let ahead = later.wall.saturating_sub(self.wall).saturating_sub(passed);
        (ahead > SLEPT_MS).then_some(ahead)
    }
}

/// The current attempt's socket.
struct Wire<S: ?Sized> {
    generation: Generation,
    socket: Rc<S>,
}

/// The two timers.
#[derive(Clone, Copy)]
enum Slot {
    /// For the next measurement of the browser's buffer.
    Look,
    /// For all other deadlines.
    Deadline,
}

/// What the driver does in a later task: all through one closure type, since each type has its own code.
#[derive(Clone, Copy)]
enum Job {
    Tell,
    Arm,
    Turned { generation: Generation, turn: u32 },
    Timer(Slot),
}

/// A slot for one timer.
struct TimerSlot<T> {
    timer: RefCell<Option<Timer<T>>>,
    /// How many timers fired in a chain, each armed by the previous one, before this one was armed. Browsers slow a
    /// deep chain in a hidden page down to once a minute.
    depth: Cell<u32>,
}

struct Timer<T> {
    at: Time,
    /// Cancels the timer on drop.
    _handle: T,
}

impl<T> TimerSlot<T> {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each use is a new slot"
    )]
    const NEW: Self = Self {
        timer: RefCell::new(None),
        depth: Cell::new(0),
    };
}

impl<P: 'static, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> Driver<P, L, A> {
    /// A connection for `application` on `platform`. It does nothing before [`Driver::command`] gets [`Input::Start`]
    /// or [`Input::Reconnect`]. The options have passed [`Options::check`].
    pub fn new(options: Options, platform: Rc<L>, application: Box<A>) -> Self {
        let clocks = Clocks::read(&*platform);
        let values = options.values();
        Self(Rc::new(Inner {
            connection: RefCell::new(Connection::new(options)),
            platform,
            application,
            socket: RefCell::new(None),
            target: RefCell::new(None),
            refusal: RefCell::new(None),
            search: RefCell::new(None),
            timers: [TimerSlot::NEW; 2],
            settings: Cell::new(SocketSettings {
                binary_type: BinaryType::default(),
                max_message_bytes: values
                    .max_message_bytes
                    .map(|most| most.saturating_add(values.control_messages.into())),
            }),
            watch: RefCell::new(None),
            clocks: Cell::new(clocks),
            read_at: Cell::new(clocks.monotonic),
            speaks_control: values.control_messages,
            controls: Cell::new(false),
            most_bytes: values.max_message_bytes.unwrap_or(u32::MAX) as usize,
            in_chain: Cell::new(0),
            telling: Cell::new(false),
            tell_soon: Cell::new(false),
            left: Cell::new(TURN),
        }))
    }

    /// See [`Connection::go_on_from`].
    pub fn go_on_from(&self, earlier: &dyn Fn(usize) -> u64) {
        self.0.connection.borrow_mut().go_on_from(earlier);
    }

    /// Passes a command of the application to the core. It takes effect at once; the resulting events come after the
    /// running handler, or in their own task.
    pub fn command(&self, input: Input<P>) {
        self.0.tell_core(input);
        self.0.after_command();
    }

    /// Sends a message.
    ///
    /// # Errors
    /// See [`Connection::send`].
    pub fn send(&self, payload: P, bytes: usize, mode: SendMode) -> Result<Sent, SendRejected<P>> {
        let may_expire = mode.ttl_ms.is_some() || self.ask(Connection::messages_expire);
        let now = self.0.moment(may_expire);
        let accepted = self
            .0
            .connection
            .borrow_mut()
            .send(now, payload, bytes, mode);
        let sent = accepted.map(|accepted| match accepted {
            Accepted::Transmit {
                generation,
                payload,
            } => {
                self.0.transmit(generation, payload);
                Sent::Now
            }
            Accepted::Sent(sent) => sent,
        });
        self.0.after_command();
        sent
    }

    /// Reports as dropped a message that [`Driver::send`] returned because the connection is closing or closed, for
    /// an API whose `send` does not fail then.
    pub fn discard(&self, payload: P, bytes: usize) {
        self.0.connection.borrow_mut().discard(payload, bytes);
        self.0.after_command();
    }

    /// Delivers at once what a task would deliver soon, for an API that will be gone by then.
    pub fn tell_now(&self) {
        self.0.left.set(u32::MAX);
        self.0.tell();
    }

    /// Queries the core.
    pub fn ask<T>(&self, question: impl FnOnce(&Connection<P>) -> T) -> T {
        question(&self.0.connection.borrow())
    }

    /// The current counters.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.0.platform.now();
        self.ask(|connection| connection.snapshot(now))
    }

    /// Likewise, as numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let now = self.0.platform.now();
        self.ask(|connection| connection.counters(now))
    }

    /// Queries the current connection's socket, if any.
    pub fn ask_socket<T>(&self, question: impl FnOnce(&L::Socket) -> T) -> Option<T> {
        let generation = self.0.connection.borrow().generation();
        self.0
            .socket_of(generation)
            .map(|socket| question(&*socket))
    }

    /// The URL of the last attempt, as passed to the socket.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.0
            .target
            .borrow()
            .as_ref()
            .map(|target| target.url.clone())
    }

    /// Why the platform last refused to make a socket ([`Cause::Refused`]) or to send ([`Cause::SendFailed`]). For
    /// the browser, this is the name of the exception without its message, which quotes the URL.
    #[must_use]
    pub fn last_refusal(&self) -> Option<Refused> {
        self.0.refusal.borrow().clone()
    }

    /// How binary messages arrive, on this connection and later ones.
    #[must_use]
    pub fn binary_type(&self) -> BinaryType {
        self.0.settings.get().binary_type
    }

    /// Changes how binary messages arrive, on this connection and later ones.
    pub fn set_binary_type(&self, binary_type: BinaryType) {
        let settings = self.0.settings.get();
        self.0.settings.set(SocketSettings {
            binary_type,
            ..settings
        });
        self.ask_socket(|socket| socket.set_binary_type(binary_type));
    }

    /// A handle that does not keep the connection alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakDriver<P, L, A> {
        WeakDriver(Rc::downgrade(&self.0))
    }
}

/// A handle that does not keep the connection alive.
pub struct WeakDriver<
    P: 'static,
    L: Platform<P> + ?Sized + 'static,
    A: Application<P> + ?Sized + 'static,
>(Weak<Inner<P, L, A>>);

impl<P, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> Clone for WeakDriver<P, L, A> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl<P, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> core::fmt::Debug
    for WeakDriver<P, L, A>
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WeakDriver").finish_non_exhaustive()
    }
}

impl<P: 'static, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> WeakDriver<P, L, A> {
    /// The driver, if the connection is still alive.
    #[must_use]
    pub fn upgrade(&self) -> Option<Driver<P, L, A>> {
        self.0.upgrade().map(Driver)
    }
}

impl<P: 'static, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> Inner<P, L, A> {
    // ----- inputs

    /// Passes an input to the core.
    #[inline(never)]
    fn tell_core(&self, input: Input<P>) {
        let heeded = self.connection.borrow().heeds_time(&input);
        let context = Context {
            now: self.moment(heeded),
            chance: match input.draws() {
                true => self.platform.chance(),
                false => 0.0,
            },
        };
        self.connection.borrow_mut().handle(context, input);
    }

    /// The current time, or the last reading if the core does not heed it: reading the clock takes a browser longer
    /// (0.1 to 0.2 µs) than the core takes for a message.
    fn moment(&self, heeded: bool) -> Time {
        if heeded {
            self.read_at.set(self.platform.now());
        }
        self.read_at.get()
    }

    /// Processes an outside event.
    #[inline(never)]
    fn happened(self: &Rc<Self>, input: Input<P>) {
        self.tell_core(input);
        self.tell();
    }

    /// Processes a command of the application.
    fn after_command(self: &Rc<Self>) {
        self.carry_out();
        if self.telling.get() {
            // The loop further up the stack continues when the handler returns.
            return;
        }
        self.arm();
        if !self.connection.borrow().has_other_output() {
            // Nothing else to deliver, but the queue may have room now.
            self.application.settled();
        }
        if self.connection.borrow().has_output() && !self.tell_soon.replace(true) {
            self.platform.defer(self.later(Job::Tell));
        }
    }

    /// A function that does a job, if the connection is still kept then.
    #[inline(never)]
    fn later(self: &Rc<Self>, job: Job) -> Box<dyn FnOnce()> {
        let weak = Rc::downgrade(self);
        Box::new(move || {
            if let Some(inner) = weak.upgrade() {
                inner.run(job);
            }
        })
    }

    fn run(self: &Rc<Self>, job: Job) {
        match job {
            Job::Tell => {
                self.tell_soon.set(false);
                self.tell();
            }
            Job::Arm => self.arm(),
            Job::Turned { generation, turn } => {
                self.begin_turn();
                self.look_at_clocks();
                self.happened(Report::Turned(turn).of(generation));
            }
            Job::Timer(slot) => self.timer_went_off(slot),
        }
    }

    fn socket_reports(self: &Rc<Self>, generation: Generation, event: SocketEvent<P>) {
        self.begin_turn();
        let report = match event {
            SocketEvent::Opened => return self.opened(generation),
            SocketEvent::Message { payload, bytes } => {
                return self.received(generation, payload, bytes);
            }
            SocketEvent::TooBig => return self.too_big(generation),
            SocketEvent::Error(error) => Report::Error(error),
            SocketEvent::Closed(close) => {
                self.look_at_clocks();
                // Kept until the core has processed it: dropping it here would free the running closure.
                let socket = self.socket_of(generation);
                self.happened(Report::Closed(close).of(generation));
                if socket.is_some() {
                    self.forget_socket(generation);
                }
                return;
            }
        };
        self.happened(report.of(generation));
    }

    #[inline(never)]
    fn too_big(self: &Rc<Self>, generation: Generation) {
        self.close_socket(self.socket_of(generation), Some(TOO_BIG), "message too big");
        self.happened(Report::TooBig.of(generation));
    }

    /// A message arrived. Usually there is nothing else to deliver, and it goes straight to the application.
    fn received(self: &Rc<Self>, generation: Generation, payload: P, mut bytes: usize) {
        let Some(payload) = self.for_the_application(generation, payload, &mut bytes) else {
            return self.happened(Report::Alive.of(generation));
        };
        if bytes > self.most_bytes {
            return self.too_big(generation);
        }
        if self.telling.get() {
            // Behind what is being delivered.
            return self.happened(Report::Message { payload, bytes }.of(generation));
        }
        let is_timed = self.connection.borrow().messages_are_timed();
        let now = self.moment(is_timed);
        let received = self
            .connection
            .borrow_mut()
            .receive(now, generation, payload, bytes);
        if let Some(payload) = received {
            self.telling.set(true);
            self.application.message(payload);
            self.telling.set(false);
            let is_done = {
                let connection = self.connection.borrow();
                connection.is_settled() && !connection.has_output()
            };
            if is_done {
                return self.told();
            }
        }
        self.tell();
    }

    fn opened(self: &Rc<Self>, generation: Generation) {
        let socket = self.socket_of(generation);
        let controls = self.speaks_control
            && socket.is_some_and(|socket| socket.protocol().ends_with(control::SUFFIX));
        self.controls.set(controls);
        self.tell_core(Report::Opened.of(generation));
        if controls || self.application.pings() {
            self.tell_core(Report::AnswersPings.of(generation));
        }
        self.tell();
    }

    /// Processes a message between the two ends; returns one for the application, unescaped, whose size does not
    /// count the escape either.
    fn for_the_application(
        &self,
        generation: Generation,
        mut payload: P,
        bytes: &mut usize,
    ) -> Option<P> {
        if self.controls.get()
            && let Some(text) = self.platform.text_marked(&payload, control::MARK)
        {
            match control::heard(&text) {
                Heard::Application(_) => {
                    payload = self.platform.without_mark(payload);
                    *bytes = bytes.saturating_sub(1);
                }
                Heard::Control(control) => {
                    self.controlled(generation, control);
                    return None;
                }
                Heard::Unknown => return None,
            }
        }
        if !self.application.is_pong(&payload) {
            return Some(payload);
        }
        if !self.controls.get() {
            self.tell_core(Report::Answered(None).of(generation));
        }
        None
    }

    /// The server has sent a control message.
    fn controlled(&self, generation: Generation, control: Control) {
        let report = match control {
            Control::Beat { interval_ms } => Report::Beats(interval_ms),
            Control::Pong { number } => Report::Answered(Some(number)),
            Control::Reconnect(window) => Report::Window(window),
            // From a later version, or not meant for a client.
            _ => return,
        };
        self.tell_core(report.of(generation));
    }

    fn timer_went_off(self: &Rc<Self>, slot: Slot) {
        let TimerSlot { timer, depth } = self.slot(slot);
        let over = timer.borrow_mut().take();
        drop(over);
        self.in_chain.set(depth.get().saturating_add(1));
        self.begin_turn();
        self.look_at_clocks();
        self.happened(Input::Timer);
        if self.in_chain.replace(0) >= DEEP {
            // What is armed outside timers begins a new chain.
            self.platform.turn(self.later(Job::Arm));
        }
    }

    /// Something outside may have changed.
    fn hinted(self: &Rc<Self>, hint: Hint) {
        self.begin_turn();
        self.look_at_clocks();
        self.happened(Input::Hint(hint));
    }

    /// Informs the core of a sleep of the machine before anything that its deadlines would judge.
    fn look_at_clocks(self: &Rc<Self>) {
        let now = Clocks::read(&*self.platform);
        if let Some(millis) = self.clocks.replace(now).slept(now) {
            self.happened(Input::Hint(Hint::Slept { millis }));
        }
    }

    // ----- effects

    fn carry_out(self: &Rc<Self>) {
        loop {
            let effect = self.connection.borrow_mut().poll_effect();
            match effect {
                None => return,
                Some(Effect::Resolve { generation }) => self.resolve(generation),
                Some(Effect::CancelResolve { .. }) => {
                    // Dropped outside the borrow: the user's future may call back when dropped.
                    let search = self.search.borrow_mut().take();
                    drop(search);
                }
                Some(Effect::Open { generation }) => self.open(generation),
                Some(Effect::Transmit {
                    generation,
                    payload,
                }) => self.transmit(generation, payload),
                Some(Effect::Ping { generation }) => self.ping(generation, false),
                Some(Effect::KeepAlive { generation }) => self.ping(generation, true),
                Some(Effect::Turn { generation, turn }) => self.turn(generation, turn),
                Some(Effect::Measure { generation }) => self.measure(generation),
                Some(Effect::Judge { generation }) => self.judge(generation),
                Some(Effect::Close {
                    generation,
                    code,
                    reason,
                }) => self.close_socket(self.socket_of(generation), code, &reason),
                Some(Effect::Abandon {
                    generation,
                    code,
                    reason,
                }) => {
                    if let Some(socket) = self.forget_socket(generation) {
                        socket.detach();
                        socket.close(code, &reason);
                    }
                }
            }
        }
    }

    /// Sends a ping of the control messages, or the application's own.
    fn ping(&self, generation: Generation, is_keepalive: bool) {
        let controls = self.controls.get();
        let number = self.connection.borrow().question();
        let own = match is_keepalive && !controls {
            true => self.application.keepalive(),
            false => None,
        };
        // An application's keepalive message need not be answered.
        let is_answered = number.is_some() || (!controls && own.is_none());
        let ping = match controls {
            true => Some(self.platform.message(&Control::ping(number))),
            false => own.or_else(|| self.application.ping()),
        };
        if let (Some(socket), Some(ping)) = (self.socket_of(generation), ping) {
            // If the socket refuses it, the missing answer reveals that the socket is dead. Without a number, an
            // answer to a control message could not be distinguished from what the server sends unasked.
            if socket.send(&ping).is_ok() && is_answered {
                self.tell_core(Report::Pinged.of(generation));
            }
        }
    }

    /// Lets the events waiting in the event loop arrive before something is given up.
    fn turn(self: &Rc<Self>, generation: Generation, turn: u32) {
        let job = Job::Turned { generation, turn };
        if !self.platform.turn(self.later(job)) {
            self.tell_core(Report::Turned(turn).of(generation));
        }
    }

    /// Calls the application's predicate with the loss of an attempt.
    fn judge(&self, generation: Generation) {
        let loss = self.connection.borrow().lost().cloned();
        if let Some(loss) = loss {
            let verdict = self.application.verdict(&loss);
            self.tell_core(Report::Verdict(verdict).of(generation));
        }
    }

    /// Passes a message to the browser and reports the outcome to the core.
    fn transmit(&self, generation: Generation, payload: P) {
        let sent = self
            .socket_of(generation)
            .map(|socket| self.send_on(&*socket, &payload));
        if let Some(Ok(())) = sent {
            let heeded = self.connection.borrow().transmissions_are_timed();
            let now = self.moment(heeded);
            self.connection.borrow_mut().transmitted(now, generation);
        } else {
            let error = sent.and_then(Result::err).and_then(|it| self.note(it));
            self.tell_core(Input::TransmitFailed {
                generation,
                payload,
                error,
            });
        }
    }

    /// Passes a message to a socket, escaped if necessary. The message itself stays unchanged.
    fn send_on(&self, socket: &L::Socket, payload: &P) -> Result<(), Refused> {
        match self.escaped(payload) {
            Some(escaped) => socket.send(&escaped),
            None => socket.send(payload),
        }
    }

    /// The escaped form of an application's text that would look like a control message.
    fn escaped(&self, payload: &P) -> Option<P> {
        if !self.controls.get() {
            return None;
        }
        let text = self.platform.text_marked(payload, control::MARK)?;
        Some(self.platform.message(&control::escaped(&text)))
    }

    /// Reports to the core what the browser holds.
    fn measure(&self, generation: Generation) {
        let socket = self.socket_of(generation);
        let bytes = socket.map_or(0, |socket| socket.buffered_amount());
        self.tell_core(Report::Buffered(bytes).of(generation));
    }

    fn resolve(self: &Rc<Self>, generation: Generation) {
        let attempt = {
            let connection = self.connection.borrow();
            Attempt {
                number: connection.attempt(),
                last_loss: connection.last_loss().cloned(),
            }
        };
        let weak = Rc::downgrade(self);
        let answer = Box::new(move |target| {
            if let Some(inner) = weak.upgrade() {
                inner.found(generation, target);
            }
        });
        match self.application.resolve(&attempt, answer) {
            Resolution::Ready(target) => self.resolved(generation, target),
            // Unless the function itself has closed the connection or requested another attempt.
            Resolution::Pending(search) => {
                if self.connection.borrow().wants_target(generation) {
                    *self.search.borrow_mut() = Some(search);
                }
            }
        }
    }

    /// The search for a target has ended.
    fn found(self: &Rc<Self>, generation: Generation, target: Result<Target, Refused>) {
        if !self.connection.borrow().wants_target(generation) {
            return;
        }
        let search = self.search.borrow_mut().take();
        drop(search);
        self.resolved(generation, target);
        self.tell();
    }

    fn resolved(&self, generation: Generation, target: Result<Target, Refused>) {
        if !self.connection.borrow().wants_target(generation) {
            return;
        }
        let report = match target {
            Ok(target) => {
                *self.target.borrow_mut() = Some(Rc::new(target));
                Report::Resolved
            }
            Err(refusal) => Report::ResolveFailed(refusal.in_words()),
        };
        self.tell_core(report.of(generation));
    }

    fn open(self: &Rc<Self>, generation: Generation) {
        let target = self.target.borrow().clone();
        if !self.connection.borrow().wants_socket(generation) {
            return;
        }
        let weak = Rc::downgrade(self);
        let made = target
            .ok_or_else(|| Refused(String::new()))
            .and_then(|target| {
                self.platform.connect(
                    &target,
                    self.settings.get(),
                    Rc::new(move |event| {
                        if let Some(inner) = weak.upgrade() {
                            inner.socket_reports(generation, event);
                        }
                    }),
                )
            });
        match made {
            Ok(socket) if self.connection.borrow().wants_socket(generation) => {
                *self.socket.borrow_mut() = Some(Wire { generation, socket });
            }
            // The constructor, which may be the application's, has closed the connection or requested another.
            Ok(socket) => {
                socket.detach();
                self.close_socket(Some(socket), None, "");
            }
            Err(refusal) => {
                let error = self.note(refusal);
                self.tell_core(Report::OpenFailed(error).of(generation));
            }
        }
    }

    /// Stores a refusal, and returns its text.
    #[inline(never)]
    fn note(&self, refusal: Refused) -> Option<String> {
        let words = refusal.clone().in_words();
        *self.refusal.borrow_mut() = Some(refusal);
        words
    }

    #[inline(never)]
    fn socket_of(&self, generation: Generation) -> Option<Rc<L::Socket>> {
        let wire = self.socket.borrow();
        wire.as_ref()
            .filter(|wire| wire.generation == generation)
            .map(|wire| Rc::clone(&wire.socket))
    }

    #[inline(never)]
    fn close_socket(&self, socket: Option<Rc<L::Socket>>, code: Option<u16>, reason: &str) {
        if let Some(socket) = socket {
            socket.close(code, reason);
        }
    }

    #[inline(never)]
    fn forget_socket(&self, generation: Generation) -> Option<Rc<L::Socket>> {
        let mut wire = self.socket.borrow_mut();
        wire.take_if(|wire| wire.generation == generation)
            .map(|wire| wire.socket)
    }

    // ----- events and the timer

    /// Carries out what there is to do, and hands out what there is to tell.
    #[inline(never)]
    fn tell(self: &Rc<Self>) {
        self.carry_out();
        if self.telling.replace(true) {
            return;
        }
        loop {
            // If `open` was the last one, its handler has not returned before the next is polled.
            if self.left.get() == 0 && !self.connection.borrow().is_opening() {
                break;
            }
            let heeded = self.connection.borrow().messages_expire();
            let now = self.moment(heeded);
            let output = self.connection.borrow_mut().poll_output(now);
            self.carry_out();
            self.left.set(self.left.get().saturating_sub(1));
            match output {
                // The effects of the last one may have produced more: a send that threw.
                None if self.connection.borrow().has_output() => continue,
                None => break,
                Some(Output::Message(payload)) => self.application.message(payload),
                Some(Output::Event(event)) => {
                    #[cfg(feature = "log")]
                    if !matches!(event, Event::QueueChanged(_)) {
                        log::debug!(target: "steady_socket", "{event}");
                    }
                    self.application.event(event);
                }
            }
            self.carry_out();
        }
        self.telling.set(false);
        self.told();
    }

    /// The platform has begun a task, unless a handler caused this.
    fn begin_turn(&self) {
        if !self.telling.get() {
            self.left.set(TURN);
        }
    }

    /// Everything has been delivered, or everything that this task may deliver.
    fn told(self: &Rc<Self>) {
        self.arm();
        self.application.settled();
    }

    /// Arms the timers for the core's next deadlines, and watches the page while that may matter.
    ///
    /// The frequent measurements of the browser's buffer have their own timer, never that of the deadlines, even if a
    /// deadline comes before the next measurement: in a hidden page, browsers slow a chain of timers that arm each
    /// other down to one a minute.
    fn arm(self: &Rc<Self>) {
        self.watch_page();
        let Timers { look, deadline, .. } = self.connection.borrow().next_timers();
        // Already half-way, so that a program in whose own tasks events are delivered one by one never reaches the
        // limit of a task.
        let deadline = match self.left.get() > TURN / 2 {
            true => deadline,
            false => Some(self.moment(true)),
        };
        self.arm_slot(Slot::Look, look);
        self.arm_slot(Slot::Deadline, deadline);
    }

    const fn slot(&self, slot: Slot) -> &TimerSlot<L::Timer> {
        let [look, deadline] = &self.timers;
        match slot {
            Slot::Look => look,
            Slot::Deadline => deadline,
        }
    }

    /// Arms or cancels one timer.
    ///
    /// One that fires earlier stays armed: that is harmless, and messages then need not touch it. But one that is
    /// deeper in a chain than it would be now is rearmed, so that it is not delayed with the chain.
    fn arm_slot(self: &Rc<Self>, slot: Slot, at: Option<Time>) {
        let TimerSlot { timer, depth } = self.slot(slot);
        let stays = match (&*timer.borrow(), at) {
            (None, None) => true,
            (Some(timer), Some(at)) => timer.at <= at && depth.get() <= self.in_chain.get(),
            _ => false,
        };
        if !stays {
            self.rearm_slot(slot, at);
        }
    }

    /// Like [`arm_slot`](Self::arm_slot), if there is something to do. Never inlined: both timers share it.
    #[inline(never)]
    fn rearm_slot(self: &Rc<Self>, slot: Slot, at: Option<Time>) {
        let TimerSlot { timer, depth } = self.slot(slot);
        let earlier = timer.borrow_mut().take();
        drop(earlier);
        let Some(at) = at else {
            return;
        };
        depth.set(self.in_chain.get());
        let fire = self.later(Job::Timer(slot));
        let handle = self.platform.set_timer(at.since(self.platform.now()), fire);
        *timer.borrow_mut() = Some(Timer {
            at,
            _handle: handle,
        });
    }

    /// Watches the page and the network exactly while the connection is wanted.
    fn watch_page(self: &Rc<Self>) {
        let wanted = !matches!(
            self.connection.borrow().phase(),
            Phase::Idle | Phase::Closed | Phase::Suspended
        );
        if wanted == self.watch.borrow().is_some() {
            return;
        }
        let watch = wanted.then(|| {
            let weak = Rc::downgrade(self);
            self.platform.watch(Rc::new(move |hint| {
                if let Some(inner) = weak.upgrade() {
                    inner.hinted(hint);
                }
            }))
        });
        let earlier = core::mem::replace(&mut *self.watch.borrow_mut(), watch);
        drop(earlier);
    }
}

impl<P, L: Platform<P> + ?Sized, A: Application<P> + ?Sized> Drop for Inner<P, L, A> {
    /// Hands the queue to the browser, closes, and releases everything. Nobody is left to be notified.
    fn drop(&mut self) {
        let context = Context {
            now: self.platform.now(),
            chance: 0.0,
        };
        self.connection.get_mut().handle(
            context,
            Input::Close {
                code: None,
                reason: String::new(),
            },
        );
        if let Some(Wire {
            generation: current,
            socket,
        }) = self.socket.get_mut().take()
        {
            socket.detach();
            while let Some(effect) = self.connection.get_mut().poll_effect() {
                match effect {
                    Effect::Transmit {
                        generation,
                        payload,
                    } if generation == current => {
                        if self.send_on(&*socket, &payload).is_err() {
                            break;
                        }
                        self.connection
                            .get_mut()
                            .transmitted(context.now, generation);
                    }
                    Effect::Close { .. } | Effect::Abandon { .. } => break,
                    _ => {}
                }
            }
            // Always: an open socket must not outlive its owner.
            socket.close(None, "");
        }
    }
}
