//! A connection without a session.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steady_socket_protocol::Message;
use steady_socket_protocol::control::{Control, Incoming, escape, incoming};
use steady_socket_protocol::session::Payload as _;
use steady_socket_protocol::session::frame::Data;
use tokio::sync::Notify;

use crate::body::Body;
use crate::errors::SendError;
use crate::options::Options;
use crate::stop::{Stop, Stopping};
use crate::wire::{End, Next, Wire};
use crate::{Frame, Socket};

/// How many messages of a client may wait for the handler before no more are read.
const INBOX_MESSAGES: usize = 64;
/// And how many bytes. One message may be larger.
const INBOX_BYTES: usize = 256 * 1024;
/// The room for messages that an idle client keeps.
const KEPT_MESSAGES: usize = 4;

/// What the handler of a client and its connection share.
#[derive(Debug)]
pub(crate) struct Plain {
    state: Mutex<State>,
    /// For the handler: there is a message, or the end.
    arrived: Notify,
    /// For those who wait for room.
    room: Notify,
    /// For the connection: there is something to do.
    work: Notify,
    max_message_bytes: usize,
    /// How many messages may wait for the client, and how many bytes. One message may be larger.
    queue_limits: (u32, u32),
    /// Whether control messages are spoken.
    controls: bool,
}

#[derive(Debug, Default)]
struct State {
    inbox: Queue<Message>,
    outbox: Queue<Body>,
    /// How to close when everything is sent.
    closing: Option<End>,
    over: bool,
}

/// Messages and their bytes.
#[derive(Debug)]
struct Queue<M> {
    messages: VecDeque<M>,
    bytes: usize,
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<M> Queue<M> {
    fn push(&mut self, message: M, bytes: usize) {
        self.messages.push_back(message);
        self.bytes += bytes;
    }

    fn pop(&mut self, bytes: impl FnOnce(&M) -> usize) -> Option<M> {
        let message = self.messages.pop_front()?;
        self.bytes -= bytes(&message);
        if self.messages.is_empty() && self.messages.capacity() > KEPT_MESSAGES {
            // After a burst, an idle client keeps no memory.
            self.messages.shrink_to(KEPT_MESSAGES);
        }
        Some(message)
    }

    fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.messages.len() < messages && self.bytes < bytes
    }
}

impl Plain {
    pub(crate) fn new(options: &Options, controls: bool) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Notify::new(),
            room: Notify::new(),
            work: Notify::new(),
            max_message_bytes: options.max_message_bytes,
            queue_limits: options.queue_limits,
            controls,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn takes_more(&self, state: &State) -> bool {
        let (messages, bytes) = self.queue_limits;
        state.outbox.has_room(messages as usize, bytes as usize)
    }

    // ----- for the handler

    /// The next message; `None` when the client has gone.
    pub(crate) async fn next(&self) -> Option<Message> {
        loop {
            {
                let mut state = self.lock();
                let was_full = !state.inbox.has_room(INBOX_MESSAGES, INBOX_BYTES);
                if let Some(message) = state.inbox.pop(Message::len) {
                    if was_full {
                        self.work.notify_one();
                    }
                    return Some(message);
                }
                if state.over || state.closing.is_some() {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    pub(crate) fn try_send(&self, body: Body) -> Result<(), SendError> {
        let mut state = self.lock();
        if state.over || state.closing.is_some() {
            return Err(SendError::Closed);
        }
        if !self.takes_more(&state) {
            return Err(SendError::Full);
        }
        let bytes = body.bytes();
        state.outbox.push(body, bytes);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Resolves when there may be room again.
    pub(crate) const fn room(&self) -> &Notify {
        &self.room
    }

    /// Closes when everything is sent. The first close counts.
    pub(crate) fn close(&self, code: u16, reason: String) {
        let mut state = self.lock();
        state.closing.get_or_insert(End::Close(code, reason));
        drop(state);
        self.work.notify_one();
        self.arrived.notify_one();
        self.room.notify_waiters();
    }

    pub(crate) fn is_over(&self) -> bool {
        let state = self.lock();
        state.over || state.closing.is_some()
    }

    /// The client has gone.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        state.outbox = Queue::default();
        drop(state);
        self.arrived.notify_one();
        self.room.notify_waiters();
    }

    // ----- for the connection

    /// Serves the connection until its end.
    #[expect(
        clippy::manual_async_fn,
        reason = "the wire would be in the future twice"
    )]
    pub(crate) fn serve<S: Socket>(
        self: Arc<Self>,
        mut wire: Wire<S>,
        stopping: Stopping,
    ) -> impl Future<Output = End> + Send {
        async move {
            let end = match self.converse(&mut wire, stopping).await {
                Ok(end) | Err(end) => end,
            };
            self.end();
            wire.finish(&end).await;
            end
        }
    }

    async fn converse<S: Socket>(
        &self,
        wire: &mut Wire<S>,
        stopping: Stopping,
    ) -> Result<End, End> {
        let mut reads = true;
        // Waits in one place for as long as nothing comes of it: all connections of the server wait there.
        let mut stop = pin!(stopping.next());
        loop {
            let next = tokio::select! {
                biased;
                () = self.work.notified() => {
                    if !reads && self.reads() {
                        reads = true;
                        wire.reads_again();
                    }
                    Next::Sent
                }
                (next, stopping) = &mut stop => {
                    match next {
                        Stop::Close(end) => return Ok(end),
                        Stop::Announce(window) if self.controls => {
                            wire.say(Control::Reconnect(window));
                        }
                        Stop::Announce(_) => {}
                    }
                    stop.set(stopping.next());
                    continue;
                }
                next = wire.next(reads) => next?,
            };
            match next {
                Next::Sent => {
                    if wire.is_idle() {
                        self.send_waiting(wire);
                    }
                    if wire.is_idle()
                        && let Some(end) = self.closes()
                    {
                        return Ok(end);
                    }
                }
                Next::Ping => wire.ping(),
                Next::Frame(frame) => {
                    let message = match frame {
                        Frame::Text(text) => Message::Text(text),
                        Frame::Binary(bytes) => Message::Binary(bytes),
                        // The socket itself answers them, and ends behind a Close.
                        Frame::Ping | Frame::Pong | Frame::Close(_) => continue,
                    };
                    let heard = match self.controls {
                        true => incoming(message),
                        false => Incoming::Application(message),
                    };
                    match heard {
                        Incoming::Application(message) => reads = self.arrive(message)?,
                        Incoming::Control(Control::Ping { number }) => wire.answer_ping(number),
                        // From a later version, or not meant for a server.
                        Incoming::Control(_) | Incoming::Unknown => {}
                    }
                }
            }
        }
    }

    /// A message has arrived. Returns whether more are read.
    fn arrive(&self, message: Message) -> Result<bool, End> {
        let bytes = message.len();
        // The escape of a text does not count, so the socket itself takes more.
        if bytes > self.max_message_bytes {
            let most = self.max_message_bytes;
            let reason = format!("messages are limited to {most} bytes");
            return Err(End::Close(1009, reason));
        }
        let mut state = self.lock();
        if state.closing.is_none() {
            state.inbox.push(message, bytes);
        }
        let reads = state.inbox.has_room(INBOX_MESSAGES, INBOX_BYTES);
        drop(state);
        self.arrived.notify_one();
        Ok(reads)
    }

    fn reads(&self) -> bool {
        self.lock().inbox.has_room(INBOX_MESSAGES, INBOX_BYTES)
    }

    /// Gives the wire what waits.
    fn send_waiting<S: Socket>(&self, wire: &mut Wire<S>) {
        let mut state = self.lock();
        let was_full = !self.takes_more(&state);
        while let Some(body) = state.outbox.pop(Body::bytes) {
            wire.put(frame_of(body.into_data(), self.controls));
        }
        drop(state);
        if was_full {
            self.room.notify_waiters();
        }
    }

    /// How to close, if the program has said so and nothing waits.
    fn closes(&self) -> Option<End> {
        let state = self.lock();
        match state.outbox.messages.is_empty() {
            true => state.closing.clone(),
            false => None,
        }
    }
}

fn frame_of(data: Data<'static>, controls: bool) -> Frame {
    match data {
        Data::Text(text) if controls => Frame::Text(escape(text).into_owned()),
        data => data.into(),
    }
}
