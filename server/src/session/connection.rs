//! One connection of a client that asks for a session, from the upgrade to its end.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use steady_socket_protocol::control::Control;
use steady_socket_protocol::session::frame::{
    Credential, Data, Frame as SessionFrame, Hello, Style, read,
};
use steady_socket_protocol::session::store::Identity;
use steady_socket_protocol::session::{Arrival, Connection, close};

use super::half::{Session, until};
use super::line::{Line, Order};
use super::{FullForAddress, Sessions, new_epoch};
use crate::body::Body;
use crate::stop::{Stop, Stopping};
use crate::wire::{End, Next, Wire};
use crate::{Denied, Frame, Socket};

/// What a connection needs of its endpoint.
pub(crate) trait Host: Send + Sync {
    /// Who the client is, by its credential. An error lets it not in.
    fn check(
        &self,
        credential: Option<Credential>,
    ) -> impl Future<Output = Result<Identity, Denied>> + Send;

    /// Runs a new session in a task of its own.
    fn run(&self, session: Arc<Session>);
}

/// Serves one connection until either end closes it, the client falls silent or breaks a rule, or the server stops.
// Not async, so that the wire is not in the future twice.
pub(crate) fn serve<S: Socket>(
    mut wire: Wire<S>,
    host: impl Host,
    sessions: Arc<Sessions>,
    subprotocol: &'static str,
    style: Style,
    address: Option<IpAddr>,
    stopping: Stopping,
) -> impl Future<Output = End> + Send {
    let mut guest = Guest {
        number: sessions.next_connection(),
        line: Line::default(),
        on_the_way: 0,
        arrival: Some(Box::new(Arrival::new(
            sessions.now(),
            &sessions.options.both,
        ))),
        host,
        sessions,
        subprotocol,
        style,
        address,
        session: None,
        code: 1006,
    };
    async move {
        let end = match guest.converse(&mut wire, stopping).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        // The session learns of the end before the goodbye: it waits for the next connection from now on.
        guest.leave();
        wire.finish(&end).await;
        end
    }
}

/// A client's connection.
struct Guest<H> {
    number: Connection,
    host: H,
    sessions: Arc<Sessions>,
    subprotocol: &'static str,
    style: Style,
    /// Whose it is, if that is known.
    address: Option<IpAddr>,
    line: Line,
    /// Bytes that the wire has, and the client's socket has not taken.
    on_the_way: usize,
    /// Until the hello has arrived.
    arrival: Option<Box<Arrival<Body>>>,
    /// From then on.
    session: Option<Arc<Session>>,
    /// How it ended, for the session.
    code: u16,
}

impl<H> Guest<H> {
    fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            session.closed(self.number, self.code);
        }
    }
}

/// Also if the framework drops the connection.
impl<H> Drop for Guest<H> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Nothing: a conversation ends with an [`End`] only.
enum Never {}

impl<H: Host> Guest<H> {
    async fn converse<S: Socket>(
        &mut self,
        wire: &mut Wire<S>,
        stopping: Stopping,
    ) -> Result<Never, End> {
        let mut stop = pin!(stopping.next());
        // How the session has this connection closed, behind what it has sent.
        let mut closing: Option<End> = None;
        loop {
            if wire.is_idle()
                && let Some(end) = closing.take()
            {
                return Err(end);
            }
            let hello_by = self.arrival.as_ref().and_then(|it| it.deadline());
            let hello_by = hello_by.map(|at| self.sessions.instant(at));
            let next = tokio::select! {
                biased;
                order = self.line.next(), if closing.is_none() => {
                    closing = self.carry_out(wire, order);
                    continue;
                }
                (next, stopping) = &mut stop => {
                    match next {
                        Stop::Announce(window) => wire.say(Control::Reconnect(window)),
                        Stop::Close(end) => {
                            self.acknowledge(wire);
                            return Err(end);
                        }
                    }
                    stop.set(stopping.next());
                    continue;
                }
                () = until(hello_by) => return Err(ended(close::NO_HELLO)),
                next = wire.next(closing.is_none()) => next?,
            };
            let data = match next {
                Next::Sent => {
                    let bytes = std::mem::take(&mut self.on_the_way);
                    if self.line.sent(bytes)
                        && let Some(session) = &self.session
                    {
                        session.writable(self.number);
                    }
                    continue;
                }
                Next::Ping => {
                    if let Some(session) = &self.session {
                        session.flush();
                    }
                    wire.ping();
                    continue;
                }
                Next::Frame(Frame::Text(text)) => Data::Text(text.into()),
                Next::Frame(Frame::Binary(bytes)) => Data::Binary(bytes.into()),
                Next::Frame(Frame::Close(close)) => {
                    // The session may have to know whether a message is to blame.
                    self.code = close.map_or(1005, |(code, _)| code);
                    continue;
                }
                // The socket itself answers pings.
                Next::Frame(Frame::Ping | Frame::Pong) => continue,
            };
            match read(data) {
                Ok(SessionFrame::Control(Control::Ping { number })) => wire.answer_ping(number),
                Ok(frame) => {
                    let enters = self.session.is_none();
                    self.receive(frame.map(Body::new)).await?;
                    if let Some(session) = self.session.as_ref().filter(|_| enters) {
                        wire.share(session.allowance());
                    }
                }
                Err(error) => {
                    if let Some(session) = &self.session {
                        session.receive_malformed(self.number);
                    }
                    return Err(End::close(close::MALFORMED, error.to_string()));
                }
            }
        }
    }

    /// Does what the session wants. Returns how to close when everything is sent, if that is it.
    fn carry_out<S: Socket>(&mut self, wire: &mut Wire<S>, order: Order) -> Option<End> {
        match order {
            Order::Send(data) => {
                self.on_the_way += data.len();
                wire.put(data.into());
                None
            }
            Order::Close(code) => Some(ended(code)),
        }
    }

    /// Says what was handled, behind everything else: once the connection is closed, a client whose session is not
    /// there any more would have to count it among the unknown.
    fn acknowledge<S: Socket>(&mut self, wire: &mut Wire<S>) {
        if let Some(session) = &self.session {
            session.flush();
        }
        while let Some(order) = self.line.take() {
            // The connection is closed anyway.
            let _ = self.carry_out(wire, order);
        }
    }

    /// Passes on a frame: to the session, or to what waits for the hello.
    async fn receive(&mut self, frame: SessionFrame<Body>) -> Result<(), End> {
        if let Some(session) = &self.session {
            session.receive(self.number, frame);
            return Ok(());
        }
        let Some(mut arrival) = self.arrival.take() else {
            return Ok(());
        };
        let is_hello = arrival.receive(frame).map_err(ended)?;
        let hello = arrival.hello().filter(|_| is_hello).cloned();
        match hello {
            None => self.arrival = Some(arrival),
            // Boxed, so that what is needed once does not take room in the future of every connection.
            Some(hello) => Box::pin(self.enter(*arrival, hello)).await?,
        }
        Ok(())
    }

    /// Lets the client in, or not.
    async fn enter(&mut self, arrival: Arrival<Body>, hello: Hello) -> Result<(), End> {
        let checked = self.host.check(hello.credential.clone()).await;
        let mut identity = checked.map_err(|Denied| ended(close::REFUSED))?;
        let mut arrival = arrival;
        // Without it, epochs could not be told apart.
        let new_epoch = new_epoch().map_err(|_| ended(1011))?;
        let key = hello.secret.key();
        loop {
            let session = self
                .sessions
                .of(key, self.subprotocol, self.style, self.address);
            let (session, is_new) = session.map_err(|FullForAddress| {
                End::close(
                    close::NO_ROOM,
                    "no room for another session from this address",
                )
            })?;
            if session.subprotocol() != self.subprotocol {
                let reason = format!("this session speaks {}", session.subprotocol());
                return Err(End::close(close::REFUSED, reason));
            }
            let line = self.line.clone();
            let attached = session.attach(self.number, arrival, identity, new_epoch, line);
            if is_new {
                self.host.run(Arc::clone(&session));
            }
            match attached {
                Ok(()) => {
                    self.session = Some(session);
                    return Ok(());
                }
                // It was over at that moment.
                Err(back) => {
                    (arrival, identity) = *back;
                    self.sessions.remove(&session);
                }
            }
        }
    }
}

fn ended(code: u16) -> End {
    End::close(code, meaning(code))
}

/// The reason that goes with a code.
const fn meaning(code: u16) -> &'static str {
    match code {
        close::NORMAL | close::OVER => "the session is over",
        close::TOO_LARGE => "a message is larger than this server takes",
        close::NO_ROOM => "no room for another session",
        close::OUT_OF_STEP => "the counts differ",
        close::MALFORMED => "malformed frame",
        close::NO_HELLO => "expected one hello, first",
        close::LIMIT => "a limit was exceeded",
        close::STORE => "the store does not answer",
        close::LOST => "the session is lost",
        close::SUPERSEDED => "a newer connection has the session",
        close::STALE => "a newer hello was seen",
        close::REFUSED => "this client is not let in",
        1011 => "the server cannot go on",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_server_has_a_reason() {
        for code in close::ALL {
            let sent = !matches!(code, close::NO_WELCOME | close::TOO_LARGE_FOR_CLIENT);
            assert_eq!(!meaning(code).is_empty(), sent, "{code}");
        }
    }
}
