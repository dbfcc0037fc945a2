//! The endpoints: what they do with messages. All else of a connection or a session is the server crate's business.
//!
//! Messages are taken as they are, in whatever codec, so that the tests can send anything.

mod burst;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use steady_socket_protocol::hello::{
    ClientMessage, Hello, InvalidName, ServerMessage, greeting, validate_name,
};
use steady_socket_protocol::{
    DecodeError, Decodes, EncodeError, Encodes, Endpoint, Message, MessageKind, Request,
    Subprotocol,
};
use steady_socket_server::warp::{WebSocket, upgrade};
use steady_socket_server::{
    Admission, Credential, Group, Handle, Handshake, Identity, InvalidOptions, Options, Peer,
    Refused, SendError, Server, ServerBuilder, Sessions,
};
use warp::http::HeaderMap;
use warp::reply;

use crate::registry::Registration;
use crate::{Config, Transcript};

/// How much waits for a client that does not read, in messages and bytes: enough for a burst of small ones.
const QUEUE_LIMITS: (u32, u32) = (64, 64 * 1024);

/// All endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints {
    name: Server<Name>,
    hello: Server<Greeter>,
    echo: Server<Echo>,
    session_echo: Server<SessionEcho>,
    session_hello: Server<SessionGreeter>,
    room: Server<Room>,
    burst: Server<Burst>,
}

/// Answers the handshake of a client that is let in, and serves it until its end, or until the registration says so.
pub(crate) type Begin =
    Box<dyn FnOnce(HeaderMap, Option<OnUpgrade>, Registration) -> reply::Response + Send>;

impl Endpoints {
    /// # Errors
    ///
    /// If the configuration is out of the range of the server crate.
    pub(crate) fn new(config: &Config, secure: bool) -> Result<Self, InvalidOptions> {
        let plain = Options {
            allow_origins: config.allow_origins.clone(),
            require_origin: config.require_origin,
            secure,
            sessions: Sessions::Never,
            max_message_bytes: config.max_message_bytes,
            // The registry counts the connections of all endpoints.
            max_connections: usize::MAX,
            queue_limits: QUEUE_LIMITS,
            ping_interval: config.ping_interval,
            idle_timeout: config.idle_timeout,
            close_timeout: config.close_timeout,
            ..Options::default()
        };
        let session = Options {
            sessions: Sessions::Required,
            ..plain.clone()
        };
        let transcript = Arc::new(config.transcript.clone());
        let room = Group::new();
        Ok(Self {
            name: Server::builder().options(plain.clone()).build({
                let transcript = Arc::clone(&transcript);
                move |peer| names(peer, Arc::clone(&transcript))
            })?,
            hello: Server::builder().options(plain.clone()).build({
                let transcript = Arc::clone(&transcript);
                move |peer| greets(peer, Arc::clone(&transcript))
            })?,
            echo: Server::builder()
                .options(plain)
                .build(|peer| answers(peer, |_, message| Some(message)))?,
            session_echo: by_name(&session)
                .on_request(async |_: Handle<SessionEcho>, Raw(message)| Ok(Raw(message)))
                .build(|peer| answers(peer, |_, message| Some(message)))?,
            session_hello: by_name(&session)
                .on_request({
                    let transcript = Arc::clone(&transcript);
                    move |handle: Handle<SessionGreeter>, Raw(message)| {
                        let reply = reply_to(handle.subprotocol(), message, &transcript);
                        async move { Ok(Raw(reply)) }
                    }
                })
                .build(move |peer| greets(peer, Arc::clone(&transcript)))?,
            room: by_name(&session).build(move |peer| {
                let room: Group<Room> = room.clone();
                async move {
                    let _membership = room.join(&peer);
                    let say = move |_: &Handle<Room>, message| {
                        // What one can send, all can.
                        let _ = room.send(&message);
                        None
                    };
                    answers(peer, say).await;
                }
            })?,
            burst: Server::builder()
                .options(session)
                .authenticate(async |wanted: Option<Credential>| {
                    burst::identify(wanted.as_ref().map_or("", Credential::as_str))
                })
                .build(one_way)?,
        })
    }

    /// Admits a client of the endpoint at a path; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Why it is not let in.
    pub(crate) async fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Begin, Refused>> {
        Some(match path {
            Name::PATH => admit(&self.name, headers).await,
            Greeter::PATH => admit(&self.hello, headers).await,
            Echo::PATH => admit(&self.echo, headers).await,
            SessionEcho::PATH => admit(&self.session_echo, headers).await,
            SessionGreeter::PATH => admit(&self.session_hello, headers).await,
            Room::PATH => admit(&self.room, headers).await,
            Burst::PATH => admit(&self.burst, headers).await,
            _ => return None,
        })
    }
}

async fn admit<E: Endpoint>(server: &Server<E>, headers: &HeaderMap) -> Result<Begin, Refused> {
    let admission = server.admit(&Handshake::new(headers)).await?;
    Ok(Box::new(move |headers, on_upgrade, registration| {
        let serve = async move |admission: Admission<E>, socket: WebSocket| {
            // A cut must work at any moment, even while a write waits for a client that does not read.
            tokio::select! {
                () = registration.cut() => {}
                () = admission.serve_until(socket, registration.leave()) => {}
            }
        };
        upgrade(admission, headers, on_upgrade, serve)
    }))
}

/// Everybody is let in. The credential is a name, and a session belongs to the name that began it.
fn by_name<E: Endpoint>(options: &Options) -> ServerBuilder<E> {
    Server::builder()
        .options(options.clone())
        .authenticate(async |name: Option<Credential>| {
            let name = name.as_ref().map_or("", Credential::as_str);
            Ok(Identity(name.to_owned()))
        })
}

/// Answers each message: a volatile one of a session with a volatile one.
async fn answers<E>(mut peer: Peer<E>, reply: impl Fn(&Handle<E>, Message) -> Option<Message>)
where
    E: Endpoint<ClientMessage = Message, ServerMessage = Message>,
{
    while let Some(Ok(message)) = peer.next().await {
        let Some(reply) = reply(&peer, message) else {
            continue;
        };
        let is_volatile = peer.has_session() && peer.message_number().is_none();
        let sent = match is_volatile {
            false => peer.send(&reply).await,
            true => peer.send_volatile(&reply).map(|_| ()),
        };
        // A reply that is too large for the client has nobody to go to.
        if sent == Err(SendError::Closed) {
            return;
        }
    }
}

/// Greets each name, and disconnects who sends none.
async fn names(mut peer: Peer<Name>, transcript: Arc<Transcript>) {
    while let Some(Ok(message)) = peer.next().await {
        let text = match message {
            Message::Text(name) => {
                greet(&name, &transcript).map_err(|invalid| (1008, invalid.to_string()))
            }
            Message::Binary(_) => Err((1003, ONLY_TEXT.to_owned())),
        };
        let sent = match text {
            Ok(text) => peer.send(&text.into()).await,
            Err((code, reason)) => return peer.close(code, &reason, Duration::ZERO),
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn greets<E>(peer: Peer<E>, transcript: Arc<Transcript>)
where
    E: Endpoint<ClientMessage = Message, ServerMessage = Message>,
{
    let reply = |peer: &Handle<E>, message| {
        let reply = reply_to(peer.subprotocol(), message, &transcript);
        Some(reply)
    };
    answers(peer, reply).await;
}

async fn one_way(mut peer: Peer<Burst>) {
    let Some(mut bursts) = peer.identity().and_then(burst::Bursts::of) else {
        return;
    };
    while let Some(Ok(message)) = peer.next().await {
        for reply in bursts.replies(message) {
            if peer.send(&reply).await == Err(SendError::Closed) {
                return;
            }
        }
    }
}

const ONLY_TEXT: &str = "this endpoint accepts only text messages";

fn greet(name: &str, transcript: &Transcript) -> Result<String, InvalidName> {
    validate_name(name)?;
    let text = greeting(name);
    transcript.exchange(name, &text);
    Ok(text)
}

/// The reply to a hello, in the codec of the sub-protocol.
fn reply_to(subprotocol: &str, message: Message, transcript: &Transcript) -> Message {
    let typed = Hello::SUBPROTOCOLS
        .iter()
        .find(|known| known.name == subprotocol);
    let Some(typed) = typed else {
        return match message {
            Message::Text(name) => {
                greet(&name, transcript).unwrap_or_else(|invalid| invalid.to_string())
            }
            Message::Binary(_) => ONLY_TEXT.to_owned(),
        }
        .into();
    };
    let reply = match (typed.decode_client)(message) {
        Ok(ClientMessage::Hello { name }) => match greet(&name, transcript) {
            Ok(text) => ServerMessage::Greeting { text },
            Err(reason) => ServerMessage::Invalid { reason },
        },
        Err(error) => ServerMessage::Malformed {
            text: error.to_string(),
        },
    };
    (typed.encode_server)(&reply).unwrap_or_else(|error| error.to_string().into())
}

/// A request, and its response, as it is.
struct Raw(Message);

impl Request for Raw {
    type Response = Self;
    type Error = Infallible;
}

const fn raw(
    name: &'static str,
    codec: &'static str,
    kind: MessageKind,
) -> Subprotocol<Message, Message> {
    Subprotocol {
        name,
        codec,
        kind,
        encode_client: as_it_is,
        decode_client: Ok,
        encode_server: as_it_is,
        decode_server: Ok,
    }
}

fn as_it_is(message: &Message) -> Result<Message, EncodeError> {
    Ok(message.clone())
}

/// Declares an endpoint whose messages are taken as they are.
macro_rules! raw_endpoint {
    (
        $(#[$attribute:meta])*
        $endpoint:ident at $path:literal: $($name:literal, $codec:literal, $kind:ident;)*
    ) => {
        $(#[$attribute])*
        #[derive(Debug)]
        enum $endpoint {}

        impl Endpoint for $endpoint {
            const PATH: &'static str = $path;
            type ClientMessage = Message;
            type ServerMessage = Message;
            const SUBPROTOCOLS: &'static [Subprotocol<Message, Message>] =
                &[$(raw($name, $codec, MessageKind::$kind)),*];
        }

        impl Encodes<Raw> for $endpoint {
            fn encode(_: &str, Raw(message): &Raw) -> Result<Message, EncodeError> {
                Ok(message.clone())
            }
        }

        impl Encodes<Infallible> for $endpoint {
            fn encode(_: &str, never: &Infallible) -> Result<Message, EncodeError> {
                match *never {}
            }
        }

        impl Decodes<Raw> for $endpoint {
            fn decode(_: &str, message: Message) -> Result<Raw, DecodeError> {
                Ok(Raw(message))
            }
        }
    };
}

raw_endpoint! {
    /// A text is a name, and is answered with a greeting. Who offers a sub-protocol is refused before.
    Name at "/":
        "name", "text", Text;
}

raw_endpoint! {
    /// Every message is answered with a greeting; see [`steady_socket_protocol::hello`].
    Greeter at "/hello":
        "hello.json", "json", Text;
        "hello.msgpack", "msgpack", Binary;
}

raw_endpoint! {
    /// Every message comes back to its sender, text as text and bytes as bytes.
    Echo at "/echo":
        "echo", "text", Text;
}

// Clients without a name of their own offer `steady`.

raw_endpoint! {
    /// Every message comes back to its sender; the response to a request is the request.
    SessionEcho at "/session/echo":
        "echo.json", "json", Text;
        "echo.msgpack", "msgpack", Binary;
        "steady", "text", Text;
}

raw_endpoint! {
    /// Every message is answered with a greeting, as at `/hello`; so is a request.
    SessionGreeter at "/session/hello":
        "hello.json", "json", Text;
        "hello.msgpack", "msgpack", Binary;
        "steady", "text", Text;
}

raw_endpoint! {
    /// Every message goes to all clients, in one order. It answers no requests.
    Room at "/session/room":
        "room.json", "json", Text;
        "room.msgpack", "msgpack", Binary;
        "steady", "text", Text;
}

raw_endpoint! {
    /// Bursts in one direction. It answers no requests.
    Burst at "/session/burst":
        "burst.json", "json", Text;
        "burst.msgpack", "msgpack", Binary;
        "steady", "text", Text;
}
