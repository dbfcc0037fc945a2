//! A client with a session: the client's half of the protocol on tokio-tungstenite. It comes back at once whenever it loses
//! its connection.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use steady_socket_protocol::Json;
use steady_socket_protocol::session::frame::{Answer, Credential, Data, Style, read, write};
use steady_socket_protocol::session::{
    AskEnd, Client, ClientEffect, End, Ended, Opened, Options, Output, Phase, Rejection, SendMode,
    Time,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

type Body = Data<'static>;

/// What the client is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    Send(String),
    Ask(String),
    /// Answers the requests that follow like this.
    Answer(Answer<String>),
    SendCredential(&'static str),
    /// Drops the TCP connection, whatever is on its way, and stays away for this long.
    Cut(Duration),
}

/// What has happened.
#[derive(Debug, PartialEq)]
pub(crate) enum Happened {
    Opened(Opened),
    Given(String),
    Handled,
    Settled(End<String>),
    Answered(AskEnd<String>),
    Lost,
    Ended(Ended),
    Closed(u16),
}

#[derive(Debug)]
pub(crate) struct Caller {
    commands: mpsc::UnboundedSender<Command>,
    happened: mpsc::UnboundedReceiver<Happened>,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr, path: &str, offer: &str, secret: u8) -> Self {
        Self::with(address, path, offer, secret, None)
    }

    pub(crate) fn with(
        address: SocketAddr,
        path: &str,
        offer: &str,
        secret: u8,
        credential: Option<&str>,
    ) -> Self {
        let own = Ipv4Addr::LOCALHOST.into();
        Self::begin(own, address, path, offer, secret, credential)
    }

    /// Connects from this address.
    pub(crate) fn from(
        own: IpAddr,
        address: SocketAddr,
        path: &str,
        offer: &str,
        secret: u8,
    ) -> Self {
        Self::begin(own, address, path, offer, secret, None)
    }

    fn begin(
        own: IpAddr,
        address: SocketAddr,
        path: &str,
        offer: &str,
        secret: u8,
        credential: Option<&str>,
    ) -> Self {
        let (commands, told) = mpsc::unbounded_channel();
        let (sender, happened) = mpsc::unbounded_channel();
        let line = Line {
            url: format!("ws://{address}{path}"),
            own,
            address,
            offer: offer.to_owned(),
            credential: credential.and_then(Credential::parse),
            client: Client::new(Options::default(), [secret; 16]),
            unsent: VecDeque::new(),
            began: Instant::now(),
            happened: sender,
            answer: None,
        };
        tokio::spawn(line.run(told));
        Self { commands, happened }
    }

    pub(crate) fn tell(&self, command: Command) {
        self.commands.send(command).unwrap();
    }

    pub(crate) fn send(&self, text: impl Into<String>) {
        self.tell(Command::Send(text.into()));
    }

    pub(crate) async fn next(&mut self) -> Happened {
        within(self.happened.recv())
            .await
            .expect("the client is there")
    }

    /// The next, if there is one so soon.
    pub(crate) async fn next_within(&mut self, time: Duration) -> Option<Happened> {
        timeout(time, self.happened.recv()).await.ok().flatten()
    }

    /// The next of this kind; others are passed over.
    pub(crate) async fn find<T>(&mut self, wanted: impl Fn(Happened) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    pub(crate) async fn given(&mut self) -> String {
        self.find(|happened| match happened {
            Happened::Given(text) => Some(text),
            _ => None,
        })
        .await
    }

    pub(crate) async fn answered(&mut self) -> AskEnd<String> {
        self.find(|happened| match happened {
            Happened::Answered(end) => Some(end),
            _ => None,
        })
        .await
    }
}

/// Generous: a busy machine may take long.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future)
        .await
        .expect("it takes too long")
}

struct Line {
    url: String,
    own: IpAddr,
    address: SocketAddr,
    offer: String,
    credential: Option<Credential>,
    client: Client<Body>,
    unsent: VecDeque<Body>,
    began: Instant,
    happened: mpsc::UnboundedSender<Happened>,
    answer: Option<Answer<String>>,
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

impl Line {
    fn now(&self) -> Time {
        Time::from_millis(self.began.elapsed().as_millis() as u64)
    }

    async fn run(mut self, mut told: mpsc::UnboundedReceiver<Command>) {
        loop {
            let Some(mut socket) = self.connect().await else {
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            let secret = self.now().as_millis().to_le_bytes();
            let mut random = [0; 16];
            random[..8].copy_from_slice(&secret);
            self.client
                .opened(self.now(), random, self.credential.clone());
            let mut code = 1006;
            let mut goes_on = self.settle(Some(&mut socket)).await;
            while goes_on {
                let at = self
                    .client
                    .next_timer()
                    .map(|at| self.began + Duration::from_millis(at.as_millis()));
                let timer = async {
                    match at {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = timer => self.client.timer(self.now()),
                    command = told.recv() => match command {
                        None => return,
                        Some(Command::Cut(away)) => {
                            drop(socket);
                            sleep(away).await;
                            break;
                        }
                        Some(command) => self.carry_out(command),
                    },
                    message = socket.next() => {
                        let data = match message {
                            Some(Ok(Message::Text(text))) => Data::Text(text.as_str().to_owned().into()),
                            Some(Ok(Message::Binary(bytes))) => Data::Binary(Vec::from(bytes).into()),
                            Some(Ok(Message::Close(frame))) => {
                                code = frame.map_or(1005, |frame| frame.code.into());
                                let _ = self.happened.send(Happened::Closed(code));
                                continue;
                            }
                            Some(Ok(_)) => continue,
                            Some(Err(_)) | None => break,
                        };
                        let frame = read(data).unwrap().map(Data::into_owned);
                        self.client.receive(self.now(), frame);
                        self.send();
                    }
                }
                goes_on = self.settle(Some(&mut socket)).await;
            }
            self.client.closed(self.now(), code);
            if !self.settle(None).await || self.client.phase() == Phase::Ended {
                return;
            }
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let socket = TcpSocket::new_v4().ok()?;
        socket.bind((self.own, 0).into()).ok()?;
        let stream = socket.connect(self.address).await.ok()?;
        let mut request = self.url.as_str().into_client_request().unwrap();
        let offer = self.offer.parse().unwrap();
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", offer);
        Some(client_async(request, stream).await.ok()?.0)
    }

    fn carry_out(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Send(text) => {
                self.unsent.push_back(text_of(text));
                self.send();
            }
            Command::Ask(text) => {
                self.client.ask(now, text_of(text), None).unwrap();
            }
            Command::Answer(answer) => self.answer = Some(answer),
            Command::SendCredential(credential) => {
                self.client
                    .send_credential(Credential::parse(credential).unwrap());
            }
            Command::Cut(_) => unreachable!("the socket's"),
        }
    }

    /// Sends what waits, until the window is full.
    fn send(&mut self) {
        let mode = SendMode {
            awaited: true,
            ..SendMode::default()
        };
        while let Some(body) = self.unsent.pop_front() {
            if let Err(rejected) = self.client.send(self.now(), body, mode) {
                assert_eq!(rejected.why, Rejection::Full);
                self.unsent.push_front(rejected.payload);
                return;
            }
        }
    }

    /// Returns whether the connection goes on; without one, whether another is to be made.
    async fn settle(&mut self, mut socket: Option<&mut Socket>) -> bool {
        let mut goes_on = true;
        loop {
            let mut idle = true;
            let mut gathers = false;
            while let Some(frame) = self.client.poll_frame() {
                idle = false;
                let message = match write(frame, Style::of::<Json>()).unwrap() {
                    Data::Text(text) => Message::text(text.into_owned()),
                    Data::Binary(bytes) => Message::binary(bytes.into_owned()),
                };
                if let Some(socket) = socket.as_mut() {
                    let _ = socket.send(message).await;
                }
            }
            while let Some(effect) = self.client.poll_effect() {
                idle = false;
                match effect {
                    ClientEffect::Gather => gathers = true,
                    ClientEffect::GiveUp => goes_on = false,
                    ClientEffect::Close(_) if socket.is_some() => goes_on = false,
                    _ => {}
                }
            }
            let now = self.now();
            while let Some(output) = self.client.poll_output(now) {
                idle = false;
                let happened = match output {
                    Output::Message { token, payload } => {
                        self.client.handled(now, token);
                        Happened::Given(string_of(payload))
                    }
                    Output::Volatile(payload) => Happened::Given(string_of(payload)),
                    Output::Request { token, payload } => {
                        let answer = match &self.answer {
                            Some(Answer::Response(_)) => Answer::Response(payload),
                            Some(Answer::Error(text)) => Answer::Error(text_of(text.clone())),
                            Some(Answer::Refused(why)) => Answer::Refused(*why),
                            // It never answers.
                            None => continue,
                        };
                        self.client.answer(now, token, answer).unwrap();
                        continue;
                    }
                    Output::Handled(run) => {
                        for _ in run {
                            let _ = self.happened.send(Happened::Handled);
                        }
                        continue;
                    }
                    Output::Settled(_, end) => Happened::Settled(match end {
                        End::NotHandled { payload, why } => End::NotHandled {
                            payload: string_of(payload),
                            why,
                        },
                        End::Unknown { payload, why } => End::Unknown {
                            payload: string_of(payload),
                            why,
                        },
                    }),
                    Output::Open(opened) => Happened::Opened(opened),
                    Output::Answered(_, end) => Happened::Answered(answer_of(end)),
                    Output::Lost(_) => Happened::Lost,
                    Output::Ended(why) => Happened::Ended(why),
                    _ => continue,
                };
                let _ = self.happened.send(happened);
            }
            if gathers {
                self.client.gathered(now);
            } else if idle {
                return goes_on;
            }
        }
    }
}

fn text_of(text: String) -> Body {
    Data::Text(text.into())
}

fn string_of(body: Body) -> String {
    match body {
        Data::Text(text) => text.into_owned(),
        Data::Binary(_) => panic!("JSON is text"),
    }
}

fn answer_of(end: AskEnd<Body>) -> AskEnd<String> {
    match end {
        AskEnd::Response(body) => AskEnd::Response(string_of(body)),
        AskEnd::Error(body) => AskEnd::Error(string_of(body)),
        AskEnd::Refused(why) => AskEnd::Refused(why),
        AskEnd::Cancelled => AskEnd::Cancelled,
        AskEnd::TimedOut => AskEnd::TimedOut,
        AskEnd::NotHandled(why) => AskEnd::NotHandled(why),
        AskEnd::Unknown(why) => AskEnd::Unknown(why),
    }
}
