//! One WebSocket connection, from the upgrade to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use steady_socket_protocol::Message;
use steady_socket_protocol::control::{Control, Incoming, incoming, outgoing};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message as Frame};

use crate::Config;
use crate::registry::{Command, Registration};
use crate::service::{Answer, Service};

/// The socket of one client.
pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// The longest close reason that fits in a frame, in bytes.
pub(crate) const REASON_BYTES: usize = 123;

/// Why a conversation is over: close with a code and a reason, or the client is gone.
pub(crate) enum End {
    Close(u16, String),
    Gone,
}

/// Serves one client until it leaves, breaks a rule, falls silent or is told to leave.
pub(crate) async fn serve(
    mut socket: WebSocket,
    service: Service,
    controls: bool,
    mut registration: Registration,
    config: Arc<Config>,
) {
    let cut = registration.cut();
    let polite = async {
        if let End::Close(code, reason) =
            converse(&mut socket, &service, controls, &mut registration, &config).await
        {
            close(&mut socket, code, reason, config.close_timeout).await;
        }
    };
    // A cut must work at any moment, even while a write waits for a client that does not read.
    tokio::select! {
        () = cut => {}
        () = polite => {}
    }
}

async fn converse(
    socket: &mut WebSocket,
    service: &Service,
    controls: bool,
    registration: &mut Registration,
    config: &Config,
) -> End {
    if controls && !say_what_it_knows(socket, registration.crowd(), config).await {
        return End::Gone;
    }
    let mut pings = pings(config);
    let mut last_frame = Instant::now();
    loop {
        let answer = tokio::select! {
            command = registration.told() => {
                return match command {
                    Command::Close(code, reason) => End::Close(code, reason),
                    Command::Cut | Command::Stay => End::Gone,
                };
            }
            frame = socket.next() => {
                last_frame = Instant::now();
                match frame {
                    Some(Ok(frame)) => match heard(frame, controls) {
                        Some(Incoming::Application(message)) => {
                            // The escape of a text does not count, so the socket itself accepts one byte
                            // more.
                            if message.len() > config.max_message_bytes {
                                return too_big(config);
                            }
                            service.answer(message, &config.transcript)
                        }
                        Some(Incoming::Control(Control::Ping { number })) => {
                            if !answer_ping(socket, number, config).await {
                                return End::Gone;
                            }
                            continue;
                        }
                        // From a later version, or not meant for a server.
                        Some(Incoming::Control(_) | Incoming::Unknown) => continue,
                        // The socket itself answers pings and Closes.
                        None => continue,
                    },
                    Some(Err(error)) => return end_of(&error, config),
                    None => return End::Gone,
                }
            }
            _ = pings.tick() => {
                if !ping(socket, controls.then(|| registration.crowd()), config).await {
                    return End::Gone;
                }
                continue;
            }
            () = sleep_until(last_frame + config.idle_timeout) => {
                return silent(config);
            }
        };
        match answer {
            Answer::Send(message) => {
                let message = if controls { outgoing(message) } else { message };
                if !send(socket, frame_of(message), config).await {
                    return End::Gone;
                }
            }
            Answer::Close(code, reason) => return End::Close(code, reason),
        }
    }
}

/// Sends a frame and returns whether that worked. A client that reads nothing for as long as it may be silent
/// is given up: its next message is not read before it does, so nothing piles up here.
pub(crate) async fn send(socket: &mut WebSocket, frame: Frame, config: &Config) -> bool {
    matches!(
        timeout(config.idle_timeout, socket.send(frame)).await,
        Ok(Ok(()))
    )
}

/// Every beat promises the next one with the next ping, whatever else happens.
fn beat(config: &Config) -> Control {
    Control::Beat {
        interval_ms: config.ping_interval.as_millis() as u64,
    }
}

/// Over how long a time so many clients are to come back.
fn spread(crowd: usize) -> Control {
    const HANDSHAKES_PER_SECOND: u32 = 1_000;
    Control::spread(crowd, HANDSHAKES_PER_SECOND)
}

/// Says at the beginning that this server beats, that it answers numbered pings, which a client must know before it sends
/// one, and how soon a client may come back.
async fn say_what_it_knows(socket: &mut WebSocket, crowd: usize, config: &Config) -> bool {
    let said = [beat(config), Control::Pong { number: 0 }, spread(crowd)];
    say(socket, &said, config).await
}

/// When to [`ping`].
pub(crate) fn pings(config: &Config) -> Interval {
    let mut pings = interval_at(Instant::now() + config.ping_interval, config.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// The protocol's ping is for the network and for clients other than browsers, whose scripts never see it; the beat is
/// for browsers.
///
/// `crowd` is how many clients there are, if control messages are spoken.
async fn ping(socket: &mut WebSocket, crowd: Option<usize>, config: &Config) -> bool {
    send(socket, Frame::Ping(Vec::new().into()), config).await
        && match crowd {
            Some(crowd) => say(socket, &[beat(config), spread(crowd)], config).await,
            None => true,
        }
}

/// Answers a ping of the control messages.
pub(crate) async fn answer_ping(
    socket: &mut WebSocket,
    number: Option<u64>,
    config: &Config,
) -> bool {
    let pong = number.map(|number| Control::Pong { number });
    let answers: Vec<_> = [Some(beat(config)), pong].into_iter().flatten().collect();
    say(socket, &answers, config).await
}

/// The end of a connection on which no frame came for too long.
pub(crate) fn silent(config: &Config) -> End {
    let seconds = config.idle_timeout.as_secs_f64();
    End::Close(1001, format!("no frame came for {seconds} s"))
}

/// Sends control messages and returns whether that worked.
async fn say(socket: &mut WebSocket, controls: &[Control], config: &Config) -> bool {
    for control in controls {
        if !send(socket, Frame::text(control.to_string()), config).await {
            return false;
        }
    }
    true
}

/// Sends a Close and reads until the client has answered it: a socket that is dropped at once can lose the
/// Close frame in transit, and the client would see an unclean end.
pub(crate) async fn close(socket: &mut WebSocket, code: u16, reason: String, wait: Duration) {
    let goodbye = async {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        if socket.send(Frame::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // The connection ends here, timed out or not.
    let _ = timeout(wait, goodbye).await;
}

/// The response to a failed read, per RFC 6455 §7.4.1.
pub(crate) fn end_of(error: &SocketError, config: &Config) -> End {
    match error {
        SocketError::Capacity(_) => too_big(config),
        SocketError::Utf8(_) => End::Close(1007, "text messages must be UTF-8".to_owned()),
        SocketError::Protocol(_) => {
            End::Close(1002, "a frame violates the WebSocket protocol".to_owned())
        }
        _ => End::Gone,
    }
}

fn too_big(config: &Config) -> End {
    let most = config.max_message_bytes;
    End::Close(1009, format!("messages are limited to {most} bytes"))
}

/// The message in a frame; without control messages, all messages are the application's.
fn heard(frame: Frame, controls: bool) -> Option<Incoming> {
    let message = match frame {
        Frame::Text(text) => text.as_str().into(),
        Frame::Binary(bytes) => Vec::from(bytes).into(),
        _ => return None,
    };
    Some(match controls {
        true => incoming(message),
        false => Incoming::Application(message),
    })
}

fn frame_of(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::text(text),
        Message::Binary(bytes) => Frame::binary(bytes),
    }
}
