//! Two servers, and sessions that count.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use steady_socket::protocol::session::End;
use steady_socket::{
    Delivering, Event, Handle, Options, Phase, PlainText, Session, SessionEvent, Socket,
};
use test_server::{Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
pub(crate) use tokio::time::sleep;
use tokio::time::timeout;

use crate::Result;
use crate::proxy::Kind;

const SESSIONS: usize = 24;

/// How often each session sends.
const SENDS_EVERY: Duration = Duration::from_millis(20);

/// How long to wait for what has to come. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two servers in threads of this program, each with sessions of its own.
pub(crate) struct Servers {
    pub(crate) ports: [u16; 2],
}

impl Servers {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            ports: [start_one()?, start_one()?],
        })
    }
}

/// Starts a server, which runs as long as this program.
fn start_one() -> Result<u16> {
    let (tell, port) = mpsc::channel();
    let serve = async move || {
        let server = Server::bind(Config {
            port: 0,
            www: "does/not/exist".into(),
            demo_control: true,
            ping_interval: Duration::from_secs(1),
            ..Config::default()
        })
        .await
        .map_err(|error| error.to_string());
        let _ = tell.send(
            server
                .as_ref()
                .map(|server| server.local_addr().port())
                .map_err(Clone::clone),
        );
        if let Ok(server) = server {
            server.run(core::future::pending()).await;
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.map(|runtime| runtime.block_on(serve()))
    });
    Ok(port.recv()??)
}

/// Ends the connections of this client at a server. Returns how many there were.
async fn cut(port: u16, number: usize) -> Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "POST /control/cut?id={} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        id(number)
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let count = answer
        .rsplit_once("{\"connections\":")
        .and_then(|(_, rest)| rest.trim_end().strip_suffix('}')?.parse().ok());
    count.ok_or_else(|| format!("the control answered {answer}").into())
}

fn id(number: usize) -> String {
    format!("behind-a-proxy-{number}")
}

/// Sessions that send numbers, each of which the server sends back.
pub(crate) struct Crowd {
    clients: Vec<Client>,
    resumed: Rc<Cell<u64>>,
}

struct Client {
    /// Dropping it closes the session.
    _socket: Socket<String, String, PlainText>,
    handle: Handle<String, PlainText>,
    sent: RefCell<Vec<Delivering<String>>>,
    seen: Rc<Seen>,
}

impl Client {
    fn sent(&self) -> u64 {
        self.sent.borrow().len() as u64
    }
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    /// The number that should come next; a session that is lost goes on with any other.
    next: Cell<u64>,
    came: Cell<u64>,
    /// What came was not the next number.
    wrong: Cell<u64>,
    lost: Cell<u64>,
}

fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

impl Seen {
    fn came(&self, number: Option<u64>) {
        let next = self.next.get();
        // Behind a loss, numbers may be missing, but none comes again.
        let fits =
            number.is_some_and(|number| number == next || (self.lost.get() > 0 && number > next));
        add(&self.wrong, u64::from(!fits));
        add(&self.came, 1);
        self.next.set(number.map_or(next, |number| number + 1));
    }
}

/// What became of a crowd.
pub(crate) struct Report {
    pub(crate) resumed: u64,
    pub(crate) lost: u64,
    pub(crate) sent: u64,
    pub(crate) came: u64,
    wrong: u64,
    /// How many messages were handled, not handled, and how many of which nobody knows.
    ends: [u64; 3],
}

impl Report {
    /// Everything came once and in order, and no session was lost.
    pub(crate) fn must_be_whole(&self, kind: Kind) -> Result<()> {
        match (self.lost, self.wrong, self.sent == self.came, self.ends) {
            (0, 0, true, [_, 0, 0]) => Ok(()),
            _ => Err(format!(
                "{kind}: {} sessions lost, {} numbers out of order, {} of {} messages came",
                self.lost, self.wrong, self.came, self.sent
            )
            .into()),
        }
    }

    /// Nothing came twice or out of order, and what did not come may have been lost: each message has its end.
    pub(crate) fn must_be_accounted_for(&self, kind: Kind) -> Result<()> {
        let [handled, not_handled, unknown] = self.ends;
        let fits = handled + not_handled + unknown == self.sent && self.came <= handled + unknown;
        match self.wrong {
            0 if fits => Ok(()),
            wrong => Err(format!(
                "{kind}: {wrong} numbers came again; of {} messages {}, and {} came back",
                self.sent,
                self.ends(),
                self.came
            )
            .into()),
        }
    }

    /// What became of the messages.
    pub(crate) fn ends(&self) -> String {
        let [handled, not_handled, unknown] = self.ends;
        format!("{handled} were handled, {not_handled} not, {unknown} perhaps")
    }
}

impl Crowd {
    /// Connects all clients, and waits until each has a session.
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let resumed = Rc::default();
        let clients = (0..SESSIONS).map(|number| connect(address, number, &resumed));
        let crowd = Self {
            clients: clients.collect::<Result<_>>()?,
            resumed,
        };
        crowd
            .wait("for all sessions to begin", |client| {
                client.handle.phase() == Phase::Open
            })
            .await?;
        Ok(crowd)
    }

    /// Has all clients send for this long.
    pub(crate) async fn talk_for(&self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            for client in &self.clients {
                // One that is away for long has a full queue.
                if let Ok(sent) = client.handle.deliver(client.sent().to_string()) {
                    client.sent.borrow_mut().push(sent);
                }
            }
            sleep(SENDS_EVERY).await;
        }
    }

    /// Cuts every client's connection at its server. Returns how many connections each server had.
    pub(crate) async fn cut_all(&self, servers: &Servers) -> Result<[u64; 2]> {
        let mut shares = [0; 2];
        for number in 0..self.clients.len() {
            for (share, port) in shares.iter_mut().zip(servers.ports) {
                *share += cut(port, number).await?;
            }
        }
        Ok(shares)
    }

    /// How many sessions were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.seen.lost.get())
            .sum()
    }

    /// Waits for the ends of all messages, and closes all sessions.
    pub(crate) async fn end(self) -> Result<Report> {
        self.wait("for the last numbers", |client| {
            // If a session was lost, some may never come.
            client.seen.lost.get() > 0 || client.seen.came.get() >= client.sent()
        })
        .await?;
        let sum = |of: fn(&Client) -> u64| self.clients.iter().map(of).sum();
        let [resumed, sent] = [self.resumed.get(), sum(Client::sent)];
        let mut ends = [0; 3];
        for client in &self.clients {
            for sent in client.sent.take() {
                let end = timeout(PATIENCE, sent)
                    .await
                    .map_err(|_| "a message has no end")?;
                ends[match end {
                    Ok(()) => 0,
                    Err(End::NotHandled { .. }) => 1,
                    Err(_) => 2,
                }] += 1;
            }
        }
        Ok(Report {
            resumed,
            sent,
            ends,
            lost: self.lost(),
            came: sum(|client| client.seen.came.get()),
            wrong: sum(|client| client.seen.wrong.get()),
        })
    }

    async fn wait(&self, what: &str, done: impl Fn(&Client) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.clients.iter().all(&done) {
            if Instant::now() > until {
                return Err(format!("waited {} s {what}", PATIENCE.as_secs()).into());
            }
            sleep(SENDS_EVERY).await;
        }
        Ok(())
    }
}

fn connect(address: &str, number: usize, resumed: &Rc<Cell<u64>>) -> Result<Client> {
    // The one name is for the server's control, the other for the proxy, which sends a client to the same process again.
    let url = format!("{address}/session/echo?id={0}&client={0}", id(number));
    let seen = Rc::new(Seen::default());
    let (reads, told, resumed) = (Rc::clone(&seen), Rc::clone(&seen), Rc::clone(resumed));
    let socket = Socket::<String, String, PlainText>::builder(url)
        .options(Options::default())
        .session(Session::required())
        .on_message(move |_, message| {
            reads.came(message.ok().and_then(|text| text.parse().ok()));
        })
        .on_event(move |event| {
            if let Event::Session(event) = event {
                match &**event {
                    SessionEvent::Resumed { .. } => add(&resumed, 1),
                    SessionEvent::Lost(_) | SessionEvent::Ended(_) => add(&told.lost, 1),
                    _ => {}
                }
            }
        })
        .connect()?;
    Ok(Client {
        handle: socket.handle(),
        _socket: socket,
        sent: RefCell::default(),
        seen,
    })
}
