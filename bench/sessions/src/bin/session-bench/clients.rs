//! Native clients of the echo server, with sessions or without, all in one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use load::Result;
use session_load::{Echo, FIRST, Note};
use steady_socket::{Event, Handle, Json, Phase, Session, SessionEvent, Socket, endpoint};
use tokio::time::sleep;

/// How many clients connect in a turn: more would only wait in the kernel's queue.
const AT_ONCE: usize = 100;

/// How long a turn of the program is.
const TURN: Duration = Duration::from_millis(20);

/// How long to wait for what has to come. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all clients have in common.
#[derive(Debug, Default)]
struct Shared {
    /// Whether whoever has everything back sends again.
    goes_on: Cell<bool>,
    /// How many messages came back.
    came: Cell<u64>,
    /// What went wrong first.
    wrong: RefCell<Option<String>>,
}

impl Shared {
    fn wrong(&self, what: impl Into<String>) {
        self.wrong.borrow_mut().get_or_insert_with(|| what.into());
    }
}

/// One client's count.
#[derive(Debug, Default)]
struct Own {
    sent: Cell<u64>,
    came: Cell<u64>,
}

impl Own {
    /// Sends so many messages.
    fn send(&self, handle: &Handle<Note, Json>, burst: u64, shared: &Shared) {
        for _ in 0..burst {
            let number = self.sent.get();
            if let Err(error) = handle.try_send(Note::new(FIRST + number)) {
                return shared.wrong(format!("message {number} was not taken: {error}"));
            }
            self.sent.set(number + 1);
        }
    }
}

/// One client. Dropping it closes its connection and its session.
struct Client {
    _socket: Socket<Note, Note, Json>,
    handle: Handle<Note, Json>,
    own: Rc<Own>,
}

/// Connected clients.
pub(crate) struct Clients {
    all: Vec<Client>,
    shared: Rc<Shared>,
    burst: u64,
}

impl Clients {
    /// So many clients of the server at `address`, which is a host and a port. Each has had one message back.
    pub(crate) async fn connect(
        address: &str,
        count: usize,
        with_session: bool,
        burst: u64,
    ) -> Result<Self> {
        let mut clients = Self {
            all: Vec::with_capacity(count),
            shared: Rc::default(),
            burst,
        };
        while clients.all.len() < count {
            let client = clients.one(&format!("ws://{address}"), with_session)?;
            clients.all.push(client);
            if clients.all.len().is_multiple_of(AT_ONCE) {
                clients
                    .until_all(|client| client.handle.phase() == Phase::Open)
                    .await?;
            }
        }
        clients
            .until_all(|client| client.handle.phase() == Phase::Open)
            .await?;
        for client in &clients.all {
            client.own.send(&client.handle, 1, &clients.shared);
        }
        clients.until_all_is_back().await?;
        Ok(clients)
    }

    fn one(&self, url: &str, with_session: bool) -> Result<Client> {
        let (own, burst) = (Rc::new(Own::default()), self.burst);
        let (count, shared) = (Rc::clone(&own), Rc::clone(&self.shared));
        let told = Rc::clone(&self.shared);
        let mut builder = endpoint::<Echo, Json>(url)
            .on_message(move |handle, note| {
                let came = count.came.get();
                match note {
                    Ok(note) if note == Note::new(FIRST + came) => {}
                    other => shared.wrong(format!("{other:?} came for message {came}")),
                }
                count.came.set(came + 1);
                shared.came.set(shared.came.get() + 1);
                if shared.goes_on.get() && count.sent.get() == came + 1 {
                    count.send(handle, burst, &shared);
                }
            })
            .on_event(move |event| match event {
                Event::Closed(_) => told.wrong("a connection has ended"),
                Event::Session(event) => {
                    if let SessionEvent::Lost(_) | SessionEvent::Ended(_) = **event {
                        told.wrong("a session is over");
                    }
                }
                _ => {}
            });
        if with_session {
            builder = builder.session(Session::required());
        }
        let socket = builder.connect()?;
        Ok(Client {
            handle: socket.handle(),
            _socket: socket,
            own,
        })
    }

    /// Has every client send a burst as soon as it has the one before back, for this long after a quarter of it as a warm-up.
    /// `look` is called at the beginning and the end of that time. Returns how many messages came back in it, and how long
    /// it was.
    pub(crate) async fn saturate(
        &self,
        time: Duration,
        mut look: impl FnMut() -> Result<()>,
    ) -> Result<(u64, Duration)> {
        self.shared.goes_on.set(true);
        for client in &self.all {
            client.own.send(&client.handle, self.burst, &self.shared);
        }
        sleep(time / 4).await;
        look()?;
        let (start, before) = (Instant::now(), self.shared.came.get());
        sleep(time).await;
        let came = self.shared.came.get() - before;
        let took = start.elapsed();
        look()?;
        self.shared.goes_on.set(false);
        self.until_all_is_back().await?;
        Ok((came, took))
    }

    async fn until_all_is_back(&self) -> Result<()> {
        self.until_all(|client| client.own.came == client.own.sent)
            .await
    }

    async fn until_all(&self, is_so: impl Fn(&Client) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            if let Some(wrong) = self.shared.wrong.take() {
                return Err(wrong.into());
            }
            if self.all.iter().all(&is_so) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("waited {} s for a client", PATIENCE.as_secs()).into());
            }
            sleep(TURN).await;
        }
    }
}
