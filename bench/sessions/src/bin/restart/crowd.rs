//! The clients: half of them at each process.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use load::Result;
use steady_socket::protocol::Message;
use steady_socket::{Event, Handle, Options, Phase, PlainText, Session, SessionEvent, Socket};
use tokio::time::sleep;

use crate::ledger::{Ledger, Said};
use crate::server::{message, numbers};

/// A session sends once in this time, on average.
pub(super) const SENDS_EVERY: Duration = Duration::from_secs(2);

/// How long a turn of the program is.
const TURN: Duration = Duration::from_millis(20);

/// How many sessions connect in a turn: more would only wait in the kernel's queue.
const CONNECT_AT_ONCE: usize = 100;

/// How many addresses of this machine the clients connect to: each has ports of its own.
const ADDRESSES: usize = 8;

/// How long to wait for what has to come. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// When the connections of a client began and ended.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Attempts, those of the beginning included.
    pub(super) attempts: Vec<Instant>,
    pub(super) opened: Vec<Instant>,
    pub(super) closed: Vec<Instant>,
}

pub(super) struct Client {
    /// Dropping it closes the session.
    _socket: Socket<String, String, PlainText>,
    handle: Handle<String, PlainText>,
    /// Whether its process restarts.
    pub(super) moves: bool,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) connections: Rc<RefCell<Connections>>,
}

impl Client {
    fn connect(number: usize, port: u16, moves: bool) -> Result<Self> {
        let host = number % ADDRESSES + 1;
        let ledger = Rc::<RefCell<Ledger>>::default();
        let connections = Rc::<RefCell<Connections>>::default();
        let (told, heard) = (Rc::clone(&ledger), Rc::clone(&ledger));
        let noted = Rc::clone(&connections);
        let own = move |text: &str| {
            let (client, sent) = numbers(text)?;
            (client == number).then_some(sent)
        };
        let socket =
            Socket::<String, String, PlainText>::builder(format!("ws://127.0.0.{host}:{port}/"))
                .protocols(["echo.text"])
                .options(Options::default().connect_timeout(Duration::from_secs(60)))
                .session(Session::required())
                .on_message(move |_, text| {
                    heard
                        .borrow_mut()
                        .echoed(text.ok().and_then(|text| own(&text)));
                })
                .on_event(move |event| {
                    let now = Instant::now();
                    let mut noted = noted.borrow_mut();
                    match event {
                        Event::State(change) if change.phase == Phase::Connecting => {
                            noted.attempts.push(now)
                        }
                        Event::Open { .. } => noted.opened.push(now),
                        Event::Closed(_) => noted.closed.push(now),
                        Event::Session(event) => {
                            if let SessionEvent::Lost(loss) | SessionEvent::Ended(loss) = &**event {
                                let mut ledger = told.borrow_mut();
                                ledger.lost();
                                let each = |sent: &Message| match sent {
                                    Message::Text(text) => own(text),
                                    Message::Binary(_) => None,
                                };
                                loss.not_handled
                                    .iter()
                                    .for_each(|sent| ledger.said(each(sent), Said::NotHandled));
                                loss.unknown
                                    .iter()
                                    .for_each(|sent| ledger.said(each(sent), Said::Unknown));
                            }
                        }
                        _ => {}
                    }
                })
                .connect()?;
        Ok(Self {
            handle: socket.handle(),
            _socket: socket,
            moves,
            ledger,
            connections,
        })
    }
}

pub(super) struct Crowd {
    pub(super) clients: Vec<Client>,
    /// The next to send.
    sender: Cell<usize>,
    /// When the process was told to restart, and when its successor listened.
    pub(super) restart: Option<Instant>,
    pub(super) successor: Option<Instant>,
}

impl Crowd {
    /// Connects so many clients to two ports. Those at the first will have to move.
    pub(super) async fn connect(sessions: usize, ports: [u16; 2]) -> Result<Self> {
        let began = Instant::now();
        let mut clients = Vec::with_capacity(sessions);
        for number in 0..sessions {
            let moves = number % 2 == 0;
            let port = ports[usize::from(!moves)];
            clients.push(Client::connect(number, port, moves)?);
            if number % CONNECT_AT_ONCE == CONNECT_AT_ONCE - 1 {
                sleep(TURN).await;
            }
        }
        let crowd = Self {
            clients,
            sender: Cell::new(0),
            restart: None,
            successor: None,
        };
        let all_open = || {
            crowd
                .clients
                .iter()
                .all(|client| client.handle.phase() == Phase::Open)
        };
        wait(
            "for all sessions to begin",
            || async { sleep(TURN).await },
            all_open,
        )
        .await?;
        println!(
            "{sessions} sessions began in {:.1} s",
            began.elapsed().as_secs_f64()
        );
        Ok(crowd)
    }

    pub(super) fn restart_begins(&mut self) {
        self.restart = Some(Instant::now());
    }

    pub(super) fn successor_listens(&mut self) {
        self.successor = Some(Instant::now());
    }

    /// Sends for a turn.
    async fn turn(&self) {
        let began = Instant::now();
        sleep(TURN).await;
        let share = began.elapsed().as_secs_f64() / SENDS_EVERY.as_secs_f64();
        // At least one, so that small crowds talk, too.
        let messages = (self.clients.len() as f64 * share).ceil() as usize;
        for _ in 0..messages.min(self.clients.len()) {
            let number = self.sender.get();
            self.sender.set((number + 1) % self.clients.len());
            let client = &self.clients[number];
            let text = message(number, client.ledger.borrow().next_number());
            if client.handle.try_send(text).is_ok() {
                client.ledger.borrow_mut().sent();
            }
        }
    }

    /// All send for this long.
    pub(super) async fn talk_for(&self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            self.turn().await;
        }
    }

    /// All send until something has happened.
    pub(super) async fn talk_until<T>(&self, happens: impl Future<Output = T>) -> T {
        let mut happens = pin!(happens);
        loop {
            tokio::select! {
                happened = &mut happens => return happened,
                () = self.turn() => {}
            }
        }
    }

    /// All send until those that have to move are back, with another session.
    pub(super) async fn talk_until_back(&self) -> Result<()> {
        let is_back = |client: &Client| {
            client.handle.phase() == Phase::Open && client.ledger.borrow().losses > 0
        };
        let all_back = || {
            self.clients
                .iter()
                .filter(|client| client.moves)
                .all(is_back)
        };
        wait("for all clients to come back", || self.turn(), all_back).await
    }

    /// Nobody sends any more, and every message finds its end.
    pub(super) async fn wait_for_echoes(&self) -> Result<()> {
        let all_settled = || {
            self.clients
                .iter()
                .all(|client| client.ledger.borrow().is_settled())
        };
        wait(
            "for the last messages",
            || async { sleep(TURN).await },
            all_settled,
        )
        .await
    }
}

async fn wait<F: Future<Output = ()>>(
    what: &str,
    turn: impl Fn() -> F,
    is_so: impl Fn() -> bool,
) -> Result<()> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return Err(format!("waited {} s {what}", PATIENCE.as_secs()).into());
        }
        turn().await;
    }
    Ok(())
}
