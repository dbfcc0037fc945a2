//! What an API has of its own in a session.

use steady_socket_protocol::session::frame::{Credential, Frame};
use steady_socket_protocol::session::{
    Ask, AskEnd, Deliveries, Delivery, End, Ended, Payload, Token,
};

use super::{ConnectionOf, SessionDriver};
use crate::application::Application;
use crate::connection::{Event, Tally, Unwelcomed};
use crate::platform::Platform;

/// The API of a session. Its methods may call the session.
pub trait SessionFace: Sized + 'static {
    /// A message of the application, as the half keeps it.
    type Payload: Payload;

    /// What a connection carries.
    type Message: 'static;

    /// The platform.
    type Platform: Platform<Self::Message> + ?Sized + 'static;

    /// The application of the connection below.
    type Application: Application<Self::Message, Target = <Self::Platform as Platform<Self::Message>>::Target>
        + ?Sized
        + 'static;

    /// The session.
    fn session(&self) -> &SessionDriver<Self>;

    // ----- below

    /// The connection, if it is still there.
    fn connection(&self) -> Option<ConnectionOf<Self>>;

    /// Whether the program has panicked, so that nothing may be called any more.
    fn is_abandoned(&self) -> bool {
        false
    }

    /// Random bytes from the platform's cryptographic source.
    fn random(&self) -> [u8; 16];

    /// The credential that was found for this attempt.
    fn credential(&self) -> Option<Credential>;

    /// Whether the next attempts are to offer a session. Returns whether that is a change.
    fn offer_session(&self, offers: bool) -> bool;

    /// Whether every sub-protocol that was offered asks for a session.
    fn offers_only_session(&self) -> bool;

    /// Reads what has arrived; `None` if that is malformed.
    fn read(&self, message: Self::Message) -> Option<Frame<Self::Payload>>;

    /// Writes a frame, and says how many bytes it has. `None` if that is impossible.
    fn write(&self, frame: Frame<Self::Payload>) -> Option<(Self::Message, usize)>;

    /// A message that comes back.
    fn message_of(payload: Self::Payload) -> Self::Message;

    // ----- above

    /// Tells the program of an event of the connection. When this returns, its handlers have returned.
    fn tell(&self, event: Event<Self::Message>);

    /// Tells the program what happened to the session.
    fn tell_news(&self, news: News);

    /// Whether messages are to be handed out as they arrive. Otherwise [`SessionDriver::next_message`] takes them.
    fn takes_messages(&self) -> bool;

    /// Delivers a message. The program is done with it when it says so to the session, by the token; without one it is
    /// volatile. Returns what [`SessionFace::takes_messages`] would, if that is known already.
    fn give(&self, token: Option<Token>, payload: Self::Payload) -> Option<bool>;

    /// Delivers a request, to be answered by this token.
    fn asked(&self, token: Token, payload: Self::Payload);

    /// The asker no longer wants the answer.
    fn withdrawn(&self, token: Token);

    /// Messages are handled.
    fn handled(&self, run: Deliveries);

    /// A message has ended otherwise. Returns that if nobody awaits it.
    fn settle(&self, delivery: Delivery, end: End<Self::Payload>) -> Option<End<Self::Payload>>;

    /// A request has ended.
    fn answered(&self, ask: Ask, end: AskEnd<Self::Payload>);

    /// A message will not be handled, or nobody knows, though the session goes on.
    fn undelivered(&self, end: End<Self::Payload>);

    /// A session is over. Whoever awaits the end of a message or request learns it after [`SessionFace::over`].
    fn losing(&self);

    /// A message of a session that is over, which nobody awaits.
    fn keep(&self, end: End<Self::Payload>);

    /// The program goes on without a session: sends the messages of the one that is over that were not handled.
    fn resend(&self);

    /// Everything is known of a session that is over.
    fn over(&self, over: Over, why: Ended, handled: u64);

    /// Everything has been delivered for now: there may be a message to read, or room in the queue.
    fn settled(&self);
}

/// How a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It was lost, and a fresh one has begun.
    Lost,
    /// It is over for good.
    Ended,
    /// The server speaks none, and the program goes on without.
    Plain,
}

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// An attempt has failed, and no server has welcomed this client yet.
    Unwelcomed(Unwelcomed),
    /// It has begun.
    Began,
    /// It goes on, and so many numbers follow that may have been missed.
    Resumed(u64),
    /// So much is sent and not acknowledged.
    Unacknowledged(Tally),
    /// So many messages of earlier sessions will never be read.
    Discarded(u64),
    /// A handler has been running for long, here.
    StalledHere,
    /// Likewise, at the server.
    StalledThere,
}
