//! One connection of a session, from the upgrade to its end.

use std::sync::Arc;

use futures_util::StreamExt;
use steady_socket_protocol::control::Control;
use steady_socket_protocol::session::frame::{Credential, Data, Frame, read};
use steady_socket_protocol::session::store::Identity;
use steady_socket_protocol::session::{Arrival, Connection, MAX_NUMBER, close};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;

use super::session::{Event, Line, Order, attach, until};
use super::{Body, Endpoint, Sessions};
use crate::Config;
use crate::connection::{self, End, WebSocket};
use crate::registry::{Command, Registration};

/// Serves one connection until either end closes it, the client falls silent or breaks a rule, or the server stops.
pub(crate) async fn serve(
    mut socket: WebSocket,
    endpoint: Endpoint,
    mut registration: Registration,
    config: Arc<Config>,
    sessions: Arc<Sessions>,
) {
    let cut = registration.cut();
    let number = sessions.next_connection();
    let (line, orders) = Line::new();
    let mut guest = Guest {
        number,
        endpoint,
        config: &config,
        sessions: &sessions,
        line,
        arrival: Some(Arrival::new(sessions.now(), &super::options(&config))),
        session: None,
        code: 1006,
    };
    let polite = async {
        if let End::Close(code, reason) =
            guest.converse(&mut socket, &mut registration, orders).await
        {
            connection::close(&mut socket, code, reason, config.close_timeout).await;
        }
    };
    // A cut must work at any moment, even while a write waits for a client that does not read.
    tokio::select! {
        () = cut => {}
        () = polite => {}
    }
    if let Some(session) = guest.session {
        // One that is over needs to know nothing.
        let _ = session.send(Event::Closed(number, guest.code)).await;
    }
}

/// A client's connection.
struct Guest<'a> {
    number: Connection,
    endpoint: Endpoint,
    config: &'a Arc<Config>,
    sessions: &'a Arc<Sessions>,
    line: Line,
    /// Until the hello has arrived.
    arrival: Option<Arrival<Body>>,
    /// From then on.
    session: Option<mpsc::Sender<Event>>,
    /// How it ended, for the session.
    code: u16,
}

impl Guest<'_> {
    async fn converse(
        &mut self,
        socket: &mut WebSocket,
        registration: &mut Registration,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> End {
        let config = self.config;
        if !connection::say_what_it_knows(socket, config).await {
            return End::Gone;
        }
        let mut pings = connection::pings(config);
        let mut last_frame = Instant::now();
        loop {
            let hello_by = self.arrival.as_ref().and_then(Arrival::deadline);
            let hello_by = hello_by.map(|at| self.sessions.instant(at));
            tokio::select! {
                command = registration.told() => {
                    return match command {
                        Command::Close(code, reason) => End::Close(code, reason),
                        Command::Cut | Command::Stay => End::Gone,
                    };
                }
                Some(order) = orders.recv() => match order {
                    Order::Send(data) => {
                        let bytes = data.len();
                        if !connection::send(socket, frame_of(data), config).await {
                            return End::Gone;
                        }
                        if self.line.sent(bytes) {
                            self.pass(Event::Writable(self.number)).await;
                        }
                    }
                    Order::Close(code) => return self.end(code),
                },
                message = socket.next() => {
                    last_frame = Instant::now();
                    let data = match message {
                        Some(Ok(WebSocketMessage::Text(text))) => Data::Text(text.as_str().to_owned().into()),
                        Some(Ok(WebSocketMessage::Binary(bytes))) => Data::Binary(Vec::from(bytes).into()),
                        Some(Ok(WebSocketMessage::Close(frame))) => {
                            // The session may have to know whether a message is to blame.
                            self.code = frame.map_or(1005, |frame| frame.code.into());
                            continue;
                        }
                        // The socket itself answers pings.
                        Some(Ok(_)) => continue,
                        Some(Err(error)) => return connection::end_of(&error, config),
                        None => return End::Gone,
                    };
                    match read(data) {
                        Ok(Frame::Control(Control::Ping { number })) => {
                            if !connection::answer_ping(socket, number, config).await {
                                return End::Gone;
                            }
                        }
                        Ok(frame) => {
                            let frame = frame.map(Body::new);
                            if let Err(code) = self.receive(frame).await {
                                return self.end(code);
                            }
                        }
                        Err(error) => {
                            self.pass(Event::Malformed(self.number)).await;
                            return End::Close(close::MALFORMED, shortened(error.to_string()));
                        }
                    }
                }
                _ = pings.tick() => {
                    if !connection::ping(socket, true, config).await {
                        return End::Gone;
                    }
                }
                () = until(hello_by) => return self.end(close::NO_HELLO),
                () = sleep_until(last_frame + config.idle_timeout) => {
                    return connection::silent(config);
                }
            }
        }
    }

    /// Passes on a frame: to the session, or to what waits for the hello.
    async fn receive(&mut self, frame: Frame<Body>) -> Result<(), u16> {
        let Some(mut arrival) = self.arrival.take() else {
            self.pass(Event::Frame(self.number, frame)).await;
            return Ok(());
        };
        if !arrival.receive(frame)? {
            self.arrival = Some(arrival);
            return Ok(());
        }
        let hello = arrival.hello().ok_or(close::NO_HELLO)?;
        let key = hello.secret.key();
        // Everybody is let in. The credential is a name, and a session belongs to the name that began it.
        let name = hello.credential.as_ref().map(Credential::as_str);
        let event = Event::Attach {
            connection: self.number,
            identity: Identity(name.unwrap_or_default().to_owned()),
            // Without it, epochs could not be told apart.
            new_epoch: new_epoch().map_err(|_| 1011_u16)?,
            line: self.line.clone(),
            arrival,
        };
        let session = attach(self.sessions, self.config, self.endpoint, key, event).await;
        self.session = Some(session);
        Ok(())
    }

    async fn pass(&self, event: Event) {
        if let Some(session) = &self.session {
            // One that is over has closed this connection.
            let _ = session.send(event).await;
        }
    }

    fn end(&mut self, code: u16) -> End {
        End::Close(code, meaning(code).to_owned())
    }
}

/// A random number from 1 to [`MAX_NUMBER`].
fn new_epoch() -> Result<u64, getrandom::Error> {
    Ok(getrandom::u64()? % MAX_NUMBER + 1)
}

/// The reason that goes with a code.
const fn meaning(code: u16) -> &'static str {
    match code {
        close::NORMAL => "the session is over",
        close::NO_ROOM => "no room for another session",
        close::OUT_OF_STEP => "the counts differ",
        close::MALFORMED => "malformed frame",
        close::NO_HELLO => "expected one hello, first",
        close::LIMIT => "a limit was exceeded",
        close::STORE => "the store does not answer",
        close::LOST => "the session is lost",
        close::SUPERSEDED => "a newer connection has the session",
        close::STALE => "a newer hello was seen",
        close::OVER => "the session is over",
        close::REFUSED => "this session is somebody else's",
        1011 => "the server has no random numbers",
        _ => "",
    }
}

/// At most what fits in a Close.
fn shortened(mut text: String) -> String {
    let mut end = text.len().min(connection::REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn frame_of(data: Data<'static>) -> WebSocketMessage {
    match data {
        Data::Text(text) => WebSocketMessage::text(text.into_owned()),
        Data::Binary(bytes) => WebSocketMessage::binary(bytes.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_server_has_a_reason_that_fits() {
        for code in close::ALL {
            let sent = !matches!(
                code,
                close::TOO_LARGE | close::NO_WELCOME | close::TOO_LARGE_FOR_CLIENT
            );
            assert_eq!(!meaning(code).is_empty(), sent, "{code}");
        }
        assert_eq!(shortened("é".repeat(99)).len(), 122);
        assert_eq!(shortened("short".to_owned()), "short");
    }

    #[test]
    fn epochs_are_numbers_that_javascript_can_hold() {
        for _ in 0..1_000 {
            assert!((1..=MAX_NUMBER).contains(&new_epoch().unwrap()));
        }
    }
}
