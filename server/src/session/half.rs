//! One session: the server's half of the protocol, shared by its connections, its handler, and whoever sends.

mod logs;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use steady_socket_protocol::session::frame::{
    Answer, Credential, Frame, Key, Refusal, Style, Why, write,
};
use steady_socket_protocol::session::store::{Identity, Question, Reply, Store as _, Ticket};
use steady_socket_protocol::session::{
    Arrival, Ask, AskEnd, Connection, Delivery, End, NotHandled, Opened, Output, SendMode, Server,
    ServerEffect, Time, Token, close,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use self::logs::Append;
use super::line::Line;
use super::{Sessions, lock};
use crate::body::Body;
use crate::errors::SendError;
use crate::observe;
use crate::store::Store;
use crate::wire::Allowance;

/// What the session's task has to do for the program.
#[derive(Debug)]
pub(crate) enum Job {
    /// A session begins, which is this life of the half.
    Begin(Life),
    /// A request of the client's. `withdrawn` resolves when the client no longer wants the answer, or the session is over.
    Answer {
        life: Life,
        token: Token,
        body: Body,
        withdrawn: oneshot::Receiver<()>,
    },
    /// A fresh credential of the client's.
    Check(Credential),
}

/// One session of a half: when it is lost or ended, another one may follow for the same client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Life(pub(crate) u64);

/// How a message ended that was not handled.
pub(crate) type Finished = Option<End<Body>>;

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    /// For what the store answers later.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "memory answers at once")
    )]
    own: Weak<Self>,
    sessions: Arc<Sessions>,
    key: Key,
    subprotocol: &'static str,
    style: Style,
    /// Where it began, if sessions are counted by address.
    address: Option<IpAddr>,
    /// What all its connections together may send.
    allowance: Option<Arc<Allowance>>,
    state: Mutex<State>,
    /// For the handler: there is a message, or the end.
    arrived: Notify,
    /// For those who wait for room.
    room: Notify,
    /// For the session's task: the timer is earlier, the turn is to be ended, or there is a job.
    work: Notify,
}

#[derive(Debug)]
struct State {
    half: Server<Body>,
    lines: Vec<(Connection, Line)>,
    identity: Option<Identity>,
    life: Life,
    phase: Phase,
    deliveries: HashMap<Delivery, oneshot::Sender<Finished>>,
    asks: HashMap<Ask, oneshot::Sender<AskEnd<Body>>>,
    jobs: VecDeque<Job>,
    asked: HashMap<Token, oneshot::Sender<()>>,
    /// The entries of logs among what was sent, by their delivery, until the store has numbered them.
    entries: VecDeque<(Delivery, Arc<str>, u64)>,
    /// What messages have led to, until the store has it.
    appends: VecDeque<Append>,
    /// The logs that this life has joined.
    joined: HashSet<Arc<str>>,
    /// Call `gathered` at the end of this turn.
    gathers: bool,
    /// For when the session's task sleeps.
    armed: Option<Time>,
    /// How many wait for room.
    waiting: usize,
    /// What waited in the queue at last: messages and bytes.
    queued: (usize, usize),
    /// Nothing follows: the session's task has ended.
    over: bool,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its handler runs.
    Open,
    /// Its handler has returned. It ends when everything is acknowledged, or at this time.
    Draining(Time),
    /// It has ended, or none has begun.
    Ended,
}

impl State {
    /// Whether the program can still send in this life.
    fn takes(&self, life: Life) -> bool {
        self.life == life && self.phase == Phase::Open && !self.over
    }
}

impl Session {
    pub(super) fn new(
        own: Weak<Self>,
        sessions: Arc<Sessions>,
        key: Key,
        subprotocol: &'static str,
        style: Style,
        address: Option<IpAddr>,
    ) -> Self {
        let half = Server::new(key, Arc::clone(&sessions.options));
        let allowance = Allowance::of_client(&sessions.whole);
        Self {
            own,
            sessions,
            key,
            subprotocol,
            style,
            address,
            allowance,
            state: Mutex::new(State {
                half,
                lines: Vec::new(),
                identity: None,
                life: Life(0),
                phase: Phase::Ended,
                deliveries: HashMap::new(),
                asks: HashMap::new(),
                jobs: VecDeque::new(),
                asked: HashMap::new(),
                entries: VecDeque::new(),
                appends: VecDeque::new(),
                joined: HashSet::new(),
                gathers: false,
                armed: None,
                waiting: 0,
                queued: (0, 0),
                over: false,
            }),
            arrived: Notify::new(),
            room: Notify::new(),
            work: Notify::new(),
        }
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }

    pub(super) const fn subprotocol(&self) -> &'static str {
        self.subprotocol
    }

    pub(super) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(super) fn allowance(&self) -> Option<Arc<Allowance>> {
        self.allowance.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Does something with the half, and what follows from it.
    fn with<T>(&self, act: impl FnOnce(&mut State, Time) -> T) -> T {
        let now = self.sessions.now();
        let mut state = self.lock();
        let result = act(&mut state, now);
        self.settle(&mut state, now);
        result
    }

    // ----- from connections

    /// A client was let in. If the session is over, what was given comes back.
    pub(super) fn attach(
        &self,
        connection: Connection,
        arrival: Arrival<Body>,
        identity: Identity,
        new_epoch: u64,
        line: Line,
    ) -> Result<(), Box<(Arrival<Body>, Identity)>> {
        if self.lock().over {
            return Err(Box::new((arrival, identity)));
        }
        self.with(|state, now| {
            state.lines.push((connection, line));
            // The store refuses another.
            state.identity.get_or_insert_with(|| identity.clone());
            state
                .half
                .attach(now, connection, arrival, identity, true, new_epoch);
        });
        Ok(())
    }

    pub(super) fn receive(&self, connection: Connection, frame: Frame<Body>) {
        self.with(|state, now| state.half.receive(now, connection, frame));
    }

    pub(super) fn receive_malformed(&self, connection: Connection) {
        self.with(|state, now| state.half.receive_malformed(now, connection));
    }

    pub(super) fn writable(&self, connection: Connection) {
        self.with(|state, now| state.half.set_writable(now, connection, true));
    }

    pub(super) fn closed(&self, connection: Connection, code: u16) {
        self.with(|state, now| {
            state.lines.retain(|(other, _)| *other != connection);
            state.half.closed(now, connection, code);
        });
    }

    /// A beat is about to be sent.
    pub(super) fn flush(&self) {
        self.with(|state, now| state.half.flush(now));
    }

    // ----- from the program

    /// The next message of a life; the one before is handled.
    pub(crate) async fn next(&self, life: Life, handled: &mut Option<Token>) -> Option<Body> {
        if let Some(token) = handled.take() {
            self.with(|state, now| state.half.handled(now, token));
        }
        loop {
            {
                let now = self.sessions.now();
                let mut state = self.lock();
                if !state.takes(life) {
                    return None;
                }
                let output = state.half.poll_message(now);
                self.settle(&mut state, now);
                match output {
                    Some(Output::Message { token, payload }) => {
                        *handled = Some(token);
                        return Some(payload);
                    }
                    Some(Output::Volatile(payload)) => return Some(payload),
                    _ => {}
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Does something with the half, if this life still takes it.
    fn with_life<T>(
        &self,
        life: Life,
        act: impl FnOnce(&mut State, Time) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        self.with(|state, now| match state.takes(life) {
            true => act(state, now),
            false => Err(SendError::Closed),
        })
    }

    pub(crate) fn try_send(&self, life: Life, body: Body) -> Result<(), SendError> {
        self.with_life(life, |state, now| {
            let sent = state.half.send(now, body, SendMode::default());
            sent.map(|_| ()).map_err(|rejected| rejected.why.into())
        })
    }

    /// Sends a message whose end is told.
    pub(crate) fn deliver(
        &self,
        life: Life,
        body: Body,
    ) -> Result<oneshot::Receiver<Finished>, SendError> {
        let mode = SendMode {
            awaited: true,
            ..SendMode::default()
        };
        self.with_life(life, |state, now| {
            let sent = state.half.send(now, body, mode);
            let delivery = sent.map_err(|rejected| rejected.why)?;
            let (sender, receiver) = oneshot::channel();
            state.deliveries.insert(delivery, sender);
            Ok(receiver)
        })
    }

    /// Returns whether it went.
    pub(crate) fn send_volatile(&self, life: Life, body: Body) -> bool {
        let sent = self.with_life(life, |state, now| Ok(state.half.send_volatile(now, body)));
        sent.unwrap_or(false)
    }

    pub(crate) fn ask(
        &self,
        life: Life,
        body: Body,
        within: Option<Duration>,
    ) -> Result<(Ask, oneshot::Receiver<AskEnd<Body>>), SendError> {
        self.with_life(life, |state, now| {
            let deadline = within.map(|time| now.after(millis(time)));
            let asked = state.half.ask(now, body, deadline);
            let ask = asked.map_err(|rejected| rejected.why)?;
            let (sender, receiver) = oneshot::channel();
            state.asks.insert(ask, sender);
            Ok((ask, receiver))
        })
    }

    pub(crate) fn cancel(&self, ask: Ask) {
        self.with(|state, now| {
            if state.asks.remove(&ask).is_some() {
                state.half.cancel(now, ask);
            }
        });
    }

    pub(crate) fn answer(&self, token: Token, answer: Answer<Body>) {
        self.with(|state, now| {
            state.asked.remove(&token);
            // One that is too large for the client is refused instead, which fits always.
            if state.half.answer(now, token, answer).is_err() {
                let refused = Answer::Refused(Refusal::Failed);
                let _ = state.half.answer(now, token, refused);
            }
        });
    }

    /// The handler has returned, or the program has closed the session: it ends when everything that was sent is
    /// acknowledged, or after `wait`. `handled` is the message that the program is done with.
    pub(crate) fn finish(&self, life: Life, handled: Option<Token>, wait: Duration) {
        self.with(|state, now| {
            if let Some(token) = handled {
                state.half.handled(now, token);
            }
            if state.takes(life) {
                state.phase = Phase::Draining(now.after(millis(wait)));
            }
        });
        self.arrived.notify_one();
        self.room.notify_waiters();
        self.work.notify_one();
    }

    /// Something that the session must not miss cannot be given to it, or more waits for the client than the program wants to
    /// keep: it is lost, and the client learns why.
    pub(crate) fn lose(&self, life: Life, why: Why) {
        let _ = self.with_life(life, |state, now| {
            if why == Why::Full {
                observe::full();
            }
            state.half.lose(now, why);
            Ok(())
        });
    }

    /// Tries again whenever there is more room.
    pub(crate) async fn with_room<T>(
        &self,
        send: impl Fn() -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        match send() {
            Err(SendError::Full) => {}
            sent => return sent,
        }
        let _waiting = WaitingForRoom::new(self);
        loop {
            // Before it is tried, so that no wake-up is missed.
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            match send() {
                Err(SendError::Full) => room.await,
                sent => return sent,
            }
        }
    }

    /// The client is not who it was: it is disconnected, and the session stays for who comes back with a good credential.
    pub(crate) fn refuse(&self) {
        let state = self.lock();
        for (_, line) in &state.lines {
            line.close(close::REFUSED);
        }
    }

    pub(crate) const fn room(&self) -> &Notify {
        &self.room
    }

    /// Somebody begins to wait for room, or has stopped.
    pub(crate) fn wait_for_room(&self, begins: bool) {
        let mut state = self.lock();
        match begins {
            true => state.waiting += 1,
            false => state.waiting = state.waiting.saturating_sub(1),
        }
    }

    pub(crate) fn takes(&self, life: Life) -> bool {
        self.lock().takes(life)
    }

    pub(crate) fn is_connected(&self, life: Life) -> bool {
        let state = self.lock();
        state.takes(life) && state.half.is_connected()
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.lock().identity.clone()
    }

    // ----- its task

    /// The session's timer and turns, and its handlers, until it is over. `job` makes a future of what the program is to
    /// do; all of them run in this task, so that what they send in one turn travels together.
    pub(crate) async fn run<F>(self: &Arc<Self>, job: impl Fn(Job) -> F)
    where
        F: Future<Output = ()>,
    {
        let mut jobs = FuturesUnordered::new();
        // Setting a timer may wake another thread, so one that suits stays.
        let mut alarm = pin!(None);
        let mut alarm_at = None;
        loop {
            let at = {
                let mut state = self.lock();
                if state.half.is_over() && !state.half.has_output() && state.jobs.is_empty() {
                    break;
                }
                state.armed = state.next_timer();
                state.armed
            };
            if std::mem::replace(&mut alarm_at, at) != at {
                alarm.set(at.map(|at| sleep_until(self.sessions.instant(at))));
            }
            tokio::select! {
                biased;
                Some(()) = jobs.next() => {}
                () = self.work.notified() => {}
                () = elapsed(alarm.as_mut()) => {
                    alarm_at = None;
                    self.with(|state, now| state.half.timer(now));
                }
            }
            let new = self.with(|state, now| {
                if std::mem::take(&mut state.gathers) {
                    state.half.gathered(now);
                }
                state.end_if_drained(now);
                std::mem::take(&mut state.jobs)
            });
            jobs.extend(new.into_iter().map(&job));
        }
        self.sessions.remove(self);
        {
            let mut state = self.lock();
            state.over = true;
            for (_, line) in std::mem::take(&mut state.lines) {
                line.close(close::NO_ROOM);
            }
            // All have ended already, but for what was asked in the meantime.
            state.deliveries.clear();
            state.asks.clear();
            state.asked.clear();
        }
        self.arrived.notify_waiters();
        self.room.notify_waiters();
        // They learn that the session is over, and return when they like.
        while jobs.next().await.is_some() {}
    }

    /// Carries out effects, hands out notices, and wakes who waits for what there is.
    fn settle(&self, state: &mut State, now: Time) {
        loop {
            while let Some(effect) = state.half.poll_effect() {
                self.carry_out(state, now, effect);
            }
            match state.half.poll_notice() {
                Some(output) => self.notice(state, output),
                None => break,
            }
        }
        if state.half.has_output() {
            self.arrived.notify_one();
        }
        if state.has_work() {
            self.work.notify_one();
        }
        // Whoever waits tries again, which comes here, too: without more room than before it would try for ever.
        let queued = state.half.queued();
        let before = std::mem::replace(&mut state.queued, queued);
        if state.waiting > 0 && (queued.0 < before.0 || queued.1 < before.1) {
            self.room.notify_waiters();
        }
    }

    fn carry_out(&self, state: &mut State, now: Time, effect: ServerEffect<Body>) {
        match effect {
            ServerEffect::Transmit(connection, frame) => {
                self.transmit(state, now, connection, frame)
            }
            ServerEffect::Close(connection, code) => {
                if let Some(at) = state.lines.iter().position(|(line, _)| *line == connection) {
                    let (_, line) = state.lines.swap_remove(at);
                    line.close(code);
                }
            }
            ServerEffect::Ask(ticket, question) => self.ask_store(state, now, ticket, *question),
            ServerEffect::Gather => state.gathers = true,
            _ => {}
        }
    }

    fn ask_store(&self, state: &mut State, now: Time, ticket: Ticket, question: Question<Body>) {
        let (step, with) = state.step_logs(&question);
        match &self.sessions.store {
            Store::Memory(store) => {
                let reply = {
                    let mut store = lock(store);
                    store.ask(now, ticket, question);
                    store.poll()
                };
                if let Some((ticket, reply)) = reply {
                    if matches!(reply, Reply::Stepped { .. }) {
                        for (log, entry) in with.appends {
                            self.sessions.logs.append_in_memory(&log, entry);
                        }
                    }
                    self.stepped(state, step, &reply);
                    state.half.answered(now, ticket, reply);
                }
            }
            #[cfg(feature = "redis")]
            Store::Redis(store) => {
                let own = self.own.clone();
                store.ask_in_background(now, ticket, question, with, move |reply| {
                    if let Some(session) = own.upgrade() {
                        session.with(|state, now| {
                            session.stepped(state, step, &reply);
                            state.half.answered(now, ticket, reply);
                        });
                    }
                });
            }
        }
    }

    fn transmit(&self, state: &mut State, now: Time, connection: Connection, frame: Frame<Body>) {
        let line = state.lines.iter().find(|(line, _)| *line == connection);
        let Some((_, line)) = line else {
            return;
        };
        // The one copy that the socket needs anyway.
        match write(frame.map(Body::into_data), self.style) {
            Ok(data) => {
                if line.send(data) {
                    state.half.set_writable(now, connection, false);
                }
            }
            // The half writes no frame that cannot be written; if it did, the client must not go on with a gap.
            Err(_) => line.close(1011),
        }
    }

    fn job(&self, state: &mut State, job: Job) {
        state.jobs.push_back(job);
        self.work.notify_one();
    }

    fn notice(&self, state: &mut State, output: Output<Body>) {
        match output {
            // Most messages are sent without anybody who waits.
            Output::Handled(_) if state.deliveries.is_empty() => {}
            Output::Handled(run) => {
                for delivery in run {
                    settle_delivery(state, delivery, None);
                }
            }
            Output::Settled(delivery, end) => {
                let is_too_large = matches!(
                    end,
                    End::NotHandled {
                        why: NotHandled::TooLarge,
                        ..
                    }
                );
                // Its client takes less than it said before.
                if is_too_large && state.entries.iter().any(|entry| entry.0 == delivery) {
                    state.half.lose(self.sessions.now(), Why::Full);
                }
                settle_delivery(state, delivery, Some(end));
            }
            Output::Answered(ask, end) => {
                if let Some(sender) = state.asks.remove(&ask) {
                    // Who does not wait any more does not listen.
                    let _ = sender.send(end);
                }
            }
            Output::Request { token, payload } => {
                let (sender, withdrawn) = oneshot::channel();
                state.asked.insert(token, sender);
                let life = state.life;
                self.job(
                    state,
                    Job::Answer {
                        life,
                        token,
                        body: payload,
                        withdrawn,
                    },
                );
            }
            Output::Withdrawn(token) => {
                if let Some(withdrawn) = state.asked.remove(&token) {
                    let _ = withdrawn.send(());
                }
            }
            Output::Credential(credential) => self.job(state, Job::Check(credential)),
            // A session that another process has begun goes on here, with a handler of its own.
            Output::Open(opened)
                if matches!(opened, Opened::Fresh | Opened::Anew)
                    || state.phase == Phase::Ended =>
            {
                state.forget_logs();
                state.life = Life(self.sessions.next_id());
                state.phase = Phase::Open;
                let life = state.life;
                self.job(state, Job::Begin(life));
                observe::session_began(opened == Opened::Anew);
            }
            Output::Ended(why) => {
                state.phase = Phase::Ended;
                state.forget_logs();
                state.asked.clear();
                observe::session_ended(why);
                self.arrived.notify_waiters();
                self.room.notify_waiters();
            }
            Output::StalledHere(token) => {
                observe::stalled(token.number());
            }
            _ => {}
        }
    }
}

impl State {
    /// When the session's task has something to do at the latest.
    fn next_timer(&self) -> Option<Time> {
        let drained = match self.phase {
            Phase::Draining(at) => Some(at),
            Phase::Open | Phase::Ended => None,
        };
        Time::earliest(self.half.next_timer(), drained)
    }

    /// Whether the session's task has something to do, besides its handlers.
    fn has_work(&self) -> bool {
        let is_drained = matches!(self.phase, Phase::Draining(_)) && self.is_drained();
        let is_earlier = match (self.next_timer(), self.armed) {
            (Some(timer), Some(armed)) => timer < armed,
            (timer, None) => timer.is_some(),
            (None, Some(_)) => false,
        };
        // As long as there is something to read, the session's task stays.
        let is_over = self.half.is_over() && !self.half.has_output();
        self.gathers || is_earlier || is_drained || is_over || !self.jobs.is_empty()
    }

    /// Whether everything that was sent is acknowledged, and the store has all that was committed.
    fn is_drained(&self) -> bool {
        self.appends.is_empty() && self.half.is_drained()
    }

    fn end_if_drained(&mut self, now: Time) {
        if let Phase::Draining(until) = self.phase
            && (until <= now || self.is_drained())
        {
            self.phase = Phase::Ended;
            self.half.end_session(now);
        }
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Somebody waits for room.
pub(crate) struct WaitingForRoom<'a>(&'a Session);

impl<'a> WaitingForRoom<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        session.wait_for_room(true);
        Self(session)
    }
}

impl Drop for WaitingForRoom<'_> {
    fn drop(&mut self) {
        self.0.wait_for_room(false);
    }
}

fn settle_delivery(state: &mut State, delivery: Delivery, end: Finished) {
    if let Some(sender) = state.deliveries.remove(&delivery) {
        // Who does not wait any more does not listen.
        let _ = sender.send(end);
    }
}

/// Waits for a timer, or forever.
async fn elapsed(timer: Pin<&mut Option<Sleep>>) {
    match timer.as_pin_mut() {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// Waits for a moment, or forever.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
