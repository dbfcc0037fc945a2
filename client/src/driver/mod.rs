//! Drives the pure core on a platform: carries out its effects, delivers its outputs, arms its timer.
//!
//! No `RefCell` borrow is held while the application's or the platform's code runs, so that either may call the
//! driver at any moment.

mod alarm;
mod delivery;
mod effects;
mod reports;

use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use core::any::Any;
use core::cell::Cell;

use crate::application::Application;
use crate::cell::RefCell;
#[cfg(doc)]
use crate::connection::Cause;
use crate::connection::{
    Accepted, Connection, Context, Counters, Effect, Generation, Input, SendMode, SendRejected,
    Sent, Snapshot, Time,
};
use crate::limits::{TURN, VERDICTS};
use crate::options::Options;
use crate::platform::{Platform, RawSocket as _};
use crate::sleep::Clocks;

use alarm::{Alarm, Which};

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
    /// Where the current attempt connects to, until its socket is made.
    target: RefCell<Option<L::Target>>,
    /// The search for a target in progress.
    search: RefCell<Option<Box<dyn Any>>>,
    alarms: [Alarm<L::Timer>; 2],
    /// Watches the page and the network while the connection is wanted.
    watch: RefCell<Option<L::Watch>>,
    clocks: Cell<Clocks>,
    /// When the monotonic clock was last read.
    read_at: Cell<Time>,
    /// The depth of the timer chain that is firing, further up the stack; 0 outside timers.
    chain: Cell<u32>,
    /// Events are being delivered, further up the stack.
    delivering: Cell<bool>,
    /// A task that will deliver events is scheduled.
    delivery_is_due: Cell<bool>,
    /// How many more events may be delivered in this task of the platform.
    deliveries_left: Cell<u32>,
    /// How many more verdicts may be asked for in it; 0 also while one is asked for. At 0, no effect is carried out.
    verdicts_left: Cell<u32>,
}

/// The current attempt's socket.
struct Wire<S: ?Sized> {
    generation: Generation,
    socket: Rc<S>,
}

/// What the driver does in a later task: all through one closure type, since each type has its own code.
#[derive(Clone, Copy)]
enum Job {
    Deliver,
    Arm,
    Turned { generation: Generation, turn: u32 },
    Timer(Which),
}

impl<P: 'static, L, A> Driver<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    /// A connection for `application` on `platform`. It does nothing before [`Driver::command`] gets [`Input::Start`]
    /// or [`Input::Reconnect`]. The options have passed [`Options::check`].
    pub fn new(options: Options, platform: Rc<L>, application: Box<A>) -> Self {
        let clocks = clocks_of(&*platform);
        Self(Rc::new(Inner {
            connection: RefCell::new(Connection::new(options)),
            platform,
            application,
            socket: RefCell::new(None),
            target: RefCell::new(None),
            search: RefCell::new(None),
            alarms: [Alarm::NEW; 2],
            watch: RefCell::new(None),
            clocks: Cell::new(clocks),
            read_at: Cell::new(clocks.monotonic),
            chain: Cell::new(0),
            delivering: Cell::new(false),
            delivery_is_due: Cell::new(false),
            deliveries_left: Cell::new(TURN),
            verdicts_left: Cell::new(VERDICTS),
        }))
    }

    /// See [`Connection::go_on_from`].
    pub fn go_on_from(&self, earlier: &dyn Fn(usize) -> u64) {
        self.0.connection.borrow_mut().go_on_from(earlier);
    }

    /// Passes a command of the application to the core. It takes effect at once; the resulting events come after the
    /// running handler, or in their own task.
    pub fn command(&self, input: Input<P>) {
        self.0.handle(input);
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
        let sent = accepted.map(|accepted| self.0.pass_on(accepted));
        self.0.after_command();
        sent
    }

    /// Sends a frame of a session. Does nothing if no connection is open. See [`Connection::send_frame`].
    pub fn send_frame(&self, payload: P, bytes: usize) {
        let accepted = self.0.connection.borrow_mut().send_frame(payload, bytes);
        if let Some(accepted) = accepted {
            self.0.pass_on(accepted);
            self.0.after_command();
        }
    }

    /// See [`Connection::forget_frames`].
    pub fn forget_frames(&self) {
        self.0.connection.borrow_mut().forget_frames();
    }

    /// See [`Connection::forget_failures`].
    pub fn forget_failures(&self) {
        self.0.connection.borrow_mut().forget_failures();
    }

    /// See [`Connection::fail`].
    pub fn fail(&self, code: u16) {
        let now = self.0.moment(true);
        self.0.connection.borrow_mut().fail(now, code);
        self.0.after_command();
    }

    /// Reports as dropped a message that [`Driver::send`] returned because the connection is closing or closed, for
    /// an API whose `send` does not fail then.
    pub fn discard(&self, payload: P, bytes: usize) {
        self.0.connection.borrow_mut().discard(payload, bytes);
        self.0.after_command();
    }

    /// Delivers at once what a task would deliver soon, for an API that will be gone by then.
    pub fn deliver_now(&self) {
        self.0.deliveries_left.set(u32::MAX);
        self.0.deliver();
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

impl<P: 'static, L, A> WeakDriver<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    /// The driver, if the connection is still alive.
    #[must_use]
    pub fn upgrade(&self) -> Option<Driver<P, L, A>> {
        self.0.upgrade().map(Driver)
    }
}

impl<P: 'static, L, A> Inner<P, L, A>
where
    L: Platform<P> + ?Sized,
    A: Application<P, Target = L::Target> + ?Sized,
{
    /// Passes an input to the core.
    #[inline(never)]
    fn handle(&self, input: Input<P>) {
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

    /// Passes a message to the socket that the core accepted, if that is its turn.
    fn pass_on(&self, accepted: Accepted<P>) -> Sent {
        match accepted {
            Accepted::Transmit {
                generation,
                payload,
            } => {
                self.transmit(generation, payload);
                Sent::Now
            }
            Accepted::Sent(sent) => sent,
        }
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
        self.handle(input);
        self.deliver();
    }

    /// Processes a command of the application.
    fn after_command(self: &Rc<Self>) {
        self.carry_out();
        if self.delivering.get() {
            // The loop further up the stack continues when the handler returns.
            return;
        }
        let next = self.arm();
        if !next.has_events {
            // Nothing else to deliver, but the queue may have room now.
            self.application.settled();
        }
        if next.has_output() && !self.delivery_is_due.replace(true) {
            self.platform.defer(self.later(Job::Deliver));
        }
    }

    /// A function that does a job, if the connection is still kept then.
    #[inline(never)]
    fn later(self: &Rc<Self>, job: Job) -> Box<dyn FnOnce()> {
        let weak = Rc::downgrade(self);
        Box::new(move || {
            let Some(inner) = weak.upgrade() else {
                return;
            };
            match job {
                Job::Deliver => {
                    inner.delivery_is_due.set(false);
                    inner.deliver();
                }
                Job::Arm => drop(inner.arm()),
                Job::Turned { generation, turn } => inner.turned(generation, turn),
                Job::Timer(which) => inner.timer_went_off(which),
            }
        })
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

fn clocks_of<P, L: Platform<P> + ?Sized>(platform: &L) -> Clocks {
    Clocks {
        monotonic: platform.now(),
        wall: platform.wall_clock(),
    }
}
