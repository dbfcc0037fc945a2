//! What a [`SessionServer`](super::SessionServer) does, without the world that it is in: the test kit for JavaScript has the
//! same.

use std::collections::{BTreeMap, VecDeque};

use steady_socket_protocol::Message;
use steady_socket_protocol::session::frame::{
    Answer, Counts, Data, Frame, Key, Refusal, Style, Why, read, write,
};
use steady_socket_protocol::session::store::{Identity, Store};
use steady_socket_protocol::session::{
    Arrival, Ask, AskEnd, Connection, Delivery, End, Ended, MAX_NUMBER, MemoryOptions, MemoryStore,
    Output, Rejection, SendMode, Server, ServerEffect, ServerOptions, Time, Token, close,
};

/// The real half of the server, with an application that a test plays. Its caller carries out the
/// [steps](Self::poll) after each call, and calls [`timer`](Self::timer) at the time of [`next_timer`](Self::next_timer).
#[derive(Debug)]
pub struct Play {
    style: Style,
    options: ServerOptions,
    store: MemoryStore<Message>,
    half: Option<(Key, Server<Message>)>,
    /// What has not said hello yet; `None` for what has.
    lines: BTreeMap<Connection, Option<Arrival<Message>>>,
    steps: VecDeque<Step>,
    epochs: u64,
    refuses: Option<u16>,
    may_not_resume: bool,
    holds: bool,
    held: Vec<Token>,
    gathers: bool,
    /// Every message that the application was given.
    pub received: Vec<Message>,
    /// How every message ended that was sent; `None` if it was handled.
    pub ends: Vec<(Delivery, Option<End<Message>>)>,
    /// How every request ended that was made.
    pub answers: Vec<(Ask, AskEnd<Message>)>,
    /// The client's requests that are not answered.
    pub requests: Vec<(Token, Message)>,
    /// The credential of every hello.
    pub credentials: Vec<Option<String>>,
    /// How the session ended at this end, if it has.
    pub ended: Option<Ended>,
}

/// What the caller of a [`Play`] has to do.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Send(Connection, Message),
    /// Close this connection with this code.
    Close(Connection, u16),
    /// End this connection without a Close.
    Cut(Connection),
}

impl Play {
    /// A server without a session.
    #[must_use]
    pub fn new(style: Style, options: ServerOptions) -> Self {
        Self {
            style,
            options,
            // As if it had been running for an hour: it knows every client that was here.
            store: MemoryStore::new(Time::default(), MemoryOptions::default()),
            half: None,
            lines: BTreeMap::new(),
            steps: VecDeque::new(),
            epochs: 0,
            refuses: None,
            may_not_resume: false,
            holds: false,
            held: Vec::new(),
            gathers: false,
            received: Vec::new(),
            ends: Vec::new(),
            answers: Vec::new(),
            requests: Vec::new(),
            credentials: Vec::new(),
            ended: None,
        }
    }

    /// Whether there is a session.
    #[must_use]
    pub const fn has_session(&self) -> bool {
        self.half.is_some() && self.ended.is_none()
    }

    /// Whether this connection is known and has not ended.
    #[must_use]
    pub fn knows(&self, id: Connection) -> bool {
        self.lines.contains_key(&id)
    }

    // ----- the connections

    /// A message has arrived.
    pub fn arrived(&mut self, now: Time, id: Connection, message: Message) {
        let now = of_store(now);
        let frame = read(Data::from(message)).map(|frame| frame.map(Message::from));
        let options = &self.options.both;
        let line = self
            .lines
            .entry(id)
            .or_insert_with(|| Some(Arrival::new(now, options)));
        let Some(arrival) = line else {
            self.with(|half| match frame {
                Ok(frame) => half.receive(now, id, frame),
                Err(_) => half.receive_malformed(now, id),
            });
            self.settle(now);
            return;
        };
        let verdict = match frame {
            Ok(frame) => arrival.receive(frame),
            Err(_) => Err(close::MALFORMED),
        };
        match verdict {
            Ok(false) => {}
            Ok(true) => {
                if let Some(arrival) = line.take() {
                    self.let_in(now, id, arrival);
                }
            }
            Err(code) => self.shut(id, code),
        }
    }

    fn let_in(&mut self, now: Time, id: Connection, arrival: Arrival<Message>) {
        let Some(hello) = arrival.hello() else { return };
        let credential = hello.credential.as_ref();
        self.credentials
            .push(credential.map(|credential| credential.as_str().to_owned()));
        if let Some(code) = self.refuses {
            self.shut(id, code);
            return;
        }
        let key = hello.secret.key();
        self.epochs += 1;
        let epoch = self.epochs;
        if self.half.as_ref().is_none_or(|(known, _)| *known != key) {
            self.half = Some((key, Server::new(key, self.options.clone())));
            self.ended = None;
            // Of the session before: its tokens mean nothing in this one.
            self.held.clear();
            self.requests.clear();
        }
        let may_resume = !core::mem::take(&mut self.may_not_resume);
        let identity = Identity(String::new());
        self.with(|half| half.attach(now, id, arrival, identity, may_resume, epoch));
        self.settle(now);
    }

    /// A connection has ended with the code of the client's Close, if there was one.
    pub fn closed(&mut self, now: Time, id: Connection, code: Option<u16>) {
        let now = of_store(now);
        if self.lines.remove(&id).is_some() {
            self.with(|half| half.closed(now, id, code.unwrap_or(1006)));
            self.settle(now);
        }
    }

    fn shut(&mut self, id: Connection, code: u16) {
        self.lines.remove(&id);
        self.steps.push_back(Step::Close(id, code));
    }

    fn cut_all(&mut self, now: Time) {
        for (id, _) in core::mem::take(&mut self.lines) {
            self.steps.push_back(Step::Cut(id));
            self.with(|half| half.closed(now, id, 1006));
        }
    }

    // ----- what the test does

    /// Sends a message.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn send(&mut self, now: Time, message: Message) -> Result<Delivery, String> {
        let now = of_store(now);
        let sent = self.with(|half| half.send(now, message, SendMode::default()));
        self.settle(now);
        accepted(sent.map(|sent| sent.map_err(|rejected| rejected.why)))
    }

    /// Asks the client.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn ask(&mut self, now: Time, request: Message) -> Result<Ask, String> {
        let now = of_store(now);
        let asked = self.with(|half| half.ask(now, request, None));
        self.settle(now);
        accepted(asked.map(|asked| asked.map_err(|rejected| rejected.why)))
    }

    /// Cancels such a request.
    pub fn cancel(&mut self, now: Time, ask: Ask) {
        let now = of_store(now);
        self.with(|half| half.cancel(now, ask));
        self.settle(now);
    }

    /// Answers a request of the client's.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn answer(
        &mut self,
        now: Time,
        token: Token,
        answer: Answer<Message>,
    ) -> Result<(), String> {
        let now = of_store(now);
        self.requests.retain(|(asked, _)| *asked != token);
        let answered = self.with(|half| half.answer(now, token, answer));
        self.settle(now);
        match answered {
            Some(Err(rejected)) => Err(rejected.why.to_string()),
            _ => Ok(()),
        }
    }

    /// Whether the application keeps messages from now on without having handled them.
    pub fn hold(&mut self, now: Time, holds: bool) {
        self.holds = holds;
        if !holds {
            let now = of_store(now);
            for token in core::mem::take(&mut self.held) {
                self.with(|half| half.handled(now, token));
            }
            self.settle(now);
        }
    }

    /// The code with which hellos are answered from now on, if they are refused.
    pub const fn refuse(&mut self, code: Option<u16>) {
        self.refuses = code;
    }

    /// The server is restarted without its memory.
    pub fn forget(&mut self, now: Time) {
        self.half = None;
        self.cut_all(now);
        self.store = MemoryStore::new(of_store(now), MemoryOptions::default());
        self.held.clear();
        self.requests.clear();
    }

    /// The server's application ends the session.
    pub fn end(&mut self, now: Time) {
        let now = of_store(now);
        self.with(|half| half.end_session(now));
        self.settle(now);
    }

    /// The session is lost for this reason.
    ///
    /// # Errors
    /// Why that cannot be, in words.
    pub fn lose(&mut self, now: Time, why: Why) -> Result<(), String> {
        if !self.has_session() {
            return Err(NO_SESSION.to_owned());
        }
        match why {
            Why::Full => {
                let now = of_store(now);
                self.with(|half| half.lose(now, Why::Full));
                self.settle(now);
            }
            Why::Unknown => self.forget(now),
            Why::Expired => {
                let now = of_store(now);
                let over = now.after(self.options.window_ms);
                self.cut_all(now);
                self.with(|half| half.timer(over));
                self.settle(now);
            }
            Why::Refused => {
                self.may_not_resume = true;
                let now = of_store(now);
                self.cut_all(now);
                self.settle(now);
            }
            Why::OutOfStep => {
                let now = of_store(now);
                let line = self.lines.iter().find(|(_, arrival)| arrival.is_none());
                let Some((&id, _)) = line else {
                    return Err(
                        "the client is not connected, and only what it sends shows it".to_owned(),
                    );
                };
                // As if it acknowledged more than was ever sent.
                let ack = Frame::Ack(Counts {
                    handled: MAX_NUMBER,
                    sent: MAX_NUMBER,
                });
                self.with(|half| half.receive(now, id, ack));
                self.settle(now);
            }
            Why::Other => {
                return Err("a server of this version has no such reason".to_owned());
            }
        }
        Ok(())
    }

    /// What the caller has to do next.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When [`timer`](Self::timer) is to be called, in milliseconds from now.
    #[must_use]
    pub fn next_timer(&self, now: Time) -> Option<u64> {
        let (_, half) = self.half.as_ref()?;
        half.next_timer().map(|at| at.since(of_store(now)))
    }

    /// The time has come.
    pub fn timer(&mut self, now: Time) {
        let now = of_store(now);
        self.with(|half| half.timer(now));
        self.settle(now);
    }

    // ----- inside

    fn with<T>(&mut self, act: impl FnOnce(&mut Server<Message>) -> T) -> Option<T> {
        self.half.as_mut().map(|(_, half)| act(half))
    }

    fn settle(&mut self, now: Time) {
        loop {
            self.carry_out(now);
            let output = self.with(|half| half.poll_output(now)).flatten();
            if let Some(output) = output {
                self.give(now, output);
            } else if core::mem::take(&mut self.gathers) {
                self.with(|half| half.gathered(now));
            } else {
                break;
            }
        }
    }

    fn carry_out(&mut self, now: Time) {
        while let Some(effect) = self.with(Server::poll_effect).flatten() {
            match effect {
                ServerEffect::Transmit(id, frame) => {
                    if self.lines.contains_key(&id)
                        && let Ok(data) = write(frame.map(Data::from), self.style)
                    {
                        self.steps.push_back(Step::Send(id, Message::from(data)));
                    }
                }
                ServerEffect::Close(id, code) if self.lines.contains_key(&id) => {
                    self.shut(id, code);
                }
                ServerEffect::Ask(ticket, question) => {
                    self.store.ask(now, ticket, *question);
                    while let Some((ticket, reply)) = self.store.poll() {
                        self.with(|half| half.answered(now, ticket, reply));
                    }
                }
                ServerEffect::Gather => self.gathers = true,
                _ => {}
            }
        }
    }

    fn give(&mut self, now: Time, output: Output<Message>) {
        match output {
            Output::Message { token, payload } => {
                self.received.push(payload);
                if self.holds {
                    self.held.push(token);
                } else {
                    self.with(|half| half.handled(now, token));
                }
            }
            Output::Volatile(payload) => self.received.push(payload),
            Output::Request { token, payload } => self.requests.push((token, payload)),
            Output::Withdrawn(token) => {
                self.requests.retain(|(asked, _)| *asked != token);
                let refused = Answer::Refused(Refusal::Cancelled);
                self.with(|half| half.answer(now, token, refused));
            }
            Output::Handled(run) => {
                let handled = run.into_iter().map(|delivery| (delivery, None));
                self.ends.extend(handled);
            }
            Output::Settled(delivery, end) => self.ends.push((delivery, Some(end))),
            Output::Answered(ask, end) => self.answers.push((ask, end)),
            Output::Ended(why) => self.ended = Some(why),
            // Behind one that was lost, too, which has ended.
            Output::Open(_) => self.ended = None,
            _ => {}
        }
    }
}

/// The store counts from its own beginning, an hour before its caller's.
fn of_store(now: Time) -> Time {
    now.after(3_600_000)
}

const NO_SESSION: &str = "there is no session; the client has not said hello";

fn accepted<T>(result: Option<Result<T, Rejection>>) -> Result<T, String> {
    match result {
        Some(Ok(accepted)) => Ok(accepted),
        Some(Err(why)) => Err(why.to_string()),
        None => Err(NO_SESSION.to_owned()),
    }
}
