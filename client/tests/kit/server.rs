//! The test server's endpoints, played in a world of the kit, and time that goes on only when a test waits.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use steady_socket::Builder;
use steady_socket::protocol::hello::{ClientMessage, ServerMessage, greeting, validate_name};
use steady_socket::protocol::{Decode, Encode, Json, Message, MsgPack, PlainText};
use steady_socket::testing::{Closing, FakeConnection, SessionServer, State, World};

/// Where it is. Nobody answers anywhere else.
const ADDRESS: &str = "wss://server.test";

/// What must have happened by then, or never will.
const CEILING: Duration = Duration::from_secs(30);

const TICK: Duration = Duration::from_millis(1);

/// A world in which the server is played.
#[derive(Default)]
struct Played {
    world: World,
    now: Cell<Duration>,
    /// The number of connections whose handshakes have been looked at.
    met: Cell<usize>,
    /// The server's end of the session, and how many of its messages have been sent back.
    session: RefCell<Option<(SessionServer, usize)>>,
}

thread_local! {
    static PLAYED: Played = {
        let played = Played::default();
        played.world.set_closing(Closing::Answer);
        played.world.on_message(answer);
        played
    };
}

impl Played {
    /// Does what the server does by itself, and then lets some time pass.
    fn tick(&self) {
        let connections = self.world.connections();
        for connection in &connections[self.met.replace(connections.len())..] {
            if connection.state() == State::Connecting {
                self.meet(connection);
            }
        }
        if let Some((server, echoed)) = &mut *self.session.borrow_mut() {
            for message in server.received().split_off(*echoed) {
                *echoed += 1;
                server.send(message);
            }
        }
        self.world.advance(TICK);
        self.now.set(self.now.get() + TICK);
    }

    /// Answers a handshake.
    fn meet(&self, connection: &FakeConnection) {
        let offered = connection.offered_protocols();
        let session = offered.iter().find(|name| name.ends_with("~2"));
        match (path_of(connection).as_deref(), session) {
            (Some("/session/echo"), Some(name)) => {
                let mut session = self.session.borrow_mut();
                session.get_or_insert_with(|| (self.start(name), 0));
                connection.open_with_protocol(name);
            }
            (Some("/hello"), _) => connection.open(),
            // Without a name that it knows, a server answers none, and a browser does not take that.
            (Some("/" | "/echo"), _) if offered.is_empty() => connection.open(),
            _ => connection.refuse(),
        }
    }

    fn start(&self, subprotocol: &str) -> SessionServer {
        match subprotocol {
            "echo.json~2" => SessionServer::start::<Json>(&self.world),
            "echo.msgpack~2" => SessionServer::start::<MsgPack>(&self.world),
            _ => SessionServer::start::<PlainText>(&self.world),
        }
    }
}

/// The path of a URL at this server.
fn path_of(connection: &FakeConnection) -> Option<String> {
    let url = connection.url();
    let (path, _) = url.split_once('?').unwrap_or((&url, ""));
    path.strip_prefix(ADDRESS).map(str::to_owned)
}

/// Answers a message that is not in a session.
fn answer(connection: &FakeConnection, message: Message) {
    match (path_of(connection).as_deref(), message) {
        (Some("/"), Message::Text(name)) => connection.send(greeting(&name)),
        (Some("/hello"), message) => connection.send(greet(connection, message)),
        (_, message) => connection.send(message),
    }
}

fn greet(connection: &FakeConnection, message: Message) -> Message {
    fn by<C: Decode<ClientMessage> + Encode<ServerMessage>>(message: Message) -> Message {
        let ClientMessage::Hello { name } = C::decode(message).unwrap();
        let answer = match validate_name(&name) {
            Ok(()) => ServerMessage::Greeting {
                text: greeting(&name),
            },
            Err(reason) => ServerMessage::Invalid { reason },
        };
        C::encode(&answer).unwrap()
    }
    match connection.offered_protocols()[0].as_str() {
        "hello.json~1" => by::<Json>(message),
        _ => by::<MsgPack>(message),
    }
}

/// The server of this test.
#[derive(Clone, Copy)]
pub(crate) struct Kit;

pub(crate) const KIT: Kit = Kit;

impl Kit {
    /// The WebSocket URL without a path.
    pub(crate) async fn address(self) -> &'static str {
        ADDRESS
    }

    /// What a test configures, in the world.
    pub(crate) fn on_platform<Out, In, C>(
        self,
        builder: Builder<Out, In, C>,
    ) -> Builder<Out, In, C> {
        builder.platform(PLAYED.with(|played| played.world.platform()))
    }

    /// Ends the only connection of this name: without a close frame, or with a code.
    pub(crate) async fn cut(self, id: &str, code: Option<u16>) {
        let connections = self.cut_all(id, code).await;
        assert_eq!(connections, 1, "connections of that name");
    }

    /// Ends the connections of this name, and returns their number.
    pub(crate) async fn cut_all(self, id: &str, code: Option<u16>) -> u32 {
        let name = format!("?id={id}");
        let connections = PLAYED.with(|played| played.world.connections());
        let is_meant =
            |it: &&FakeConnection| it.state() == State::Open && it.url().ends_with(&name);
        let mut count = 0;
        for connection in connections.iter().filter(is_meant) {
            match code {
                Some(code) => connection.close(code, "test"),
                None => connection.cut(),
            }
            count += 1;
        }
        count
    }
}

/// Runs a test, and then looks for what it has left behind.
pub(crate) fn run(case: impl Future<Output = ()>) {
    let mut case = Box::pin(case);
    let mut cx = Context::from_waker(Waker::noop());
    PLAYED.with(|played| {
        while case.as_mut().poll(&mut cx).is_pending() {
            played.tick();
        }
        drop(case);
        let end = played.now.get() + CEILING;
        while played.now.get() < end {
            played.tick();
        }
        played.world.assert_idle();
    });
}

/// A name for a test's own connections.
pub(crate) fn new_id() -> String {
    thread_local! {
        static LAST: Cell<u32> = const { Cell::new(0) };
    }
    LAST.set(LAST.get() + 1);
    format!("test-{}", LAST.get())
}

/// The output of `future`, unless it takes so long that something must hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let ceiling = now() + CEILING;
    poll_fn(|cx| {
        assert!(
            now() < ceiling,
            "nothing for {} s: {what}",
            CEILING.as_secs()
        );
        future.as_mut().poll(cx)
    })
    .await
}

pub(crate) async fn sleep(time: Duration) {
    let end = now() + time;
    poll_fn(|_| match now() < end {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}

fn now() -> Duration {
    PLAYED.with(|played| played.now.get())
}
