//! What every connection does, whatever is spoken on it: pings, beats, limits of time, and the end.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::StreamExt as _;
use steady_socket_protocol::control::Control;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::options::{Options, Rate};
use crate::{Frame, Socket, SocketMessage};

/// The longest close reason that fits in a frame, in bytes (RFC 6455 §5.5).
const REASON_BYTES: usize = 123;

/// How a conversation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Close with this code and reason.
    Close(u16, String),
    /// The client has gone.
    Gone,
}

impl End {
    pub(crate) fn close(code: u16, reason: impl Into<String>) -> Self {
        Self::Close(code, reason.into())
    }

    /// No frame came for too long.
    pub(crate) fn silent(options: &Options) -> Self {
        let seconds = options.idle_timeout.as_secs_f64();
        Self::Close(1001, format!("no frame came for {seconds} s"))
    }

    pub(crate) fn too_big(options: &Options) -> Self {
        let most = options.max_message_bytes;
        Self::Close(1009, format!("messages are limited to {most} bytes"))
    }
}

/// A client's socket, with what a conversation needs of it. What is [put](Self::put) in is sent while waiting for the
/// [next](Self::next) event. Nothing is read while the client does not take what is sent, so that nothing piles up.
pub(crate) struct Wire<S: Socket> {
    socket: S,
    options: Arc<Options>,
    /// What is to be sent.
    waiting: VecDeque<Frame>,
    /// Something was given to the socket and not flushed.
    unflushed: bool,
    /// Since when the client has taken nothing of what waits.
    stalled: Option<Instant>,
    /// When this server pings next.
    ping_at: Instant,
    last_frame: Instant,
    /// For the earliest of all that may happen by time. It is not set anew for each frame.
    timer: Pin<Box<Sleep>>,
    /// That of the connection or session, and that of the address.
    allowances: [Option<Arc<Allowance>>; 2],
    /// Whether control messages are spoken.
    controls: bool,
}

/// What happens next on a connection.
pub(crate) enum Next {
    /// A frame has arrived.
    Frame(Frame),
    /// Everything that was put in is sent.
    Sent,
    /// It is time for a ping.
    Ping,
}

impl<S: Socket> Wire<S> {
    /// With control messages it says at once that this server beats, and that it answers numbered pings, which a client
    /// must know before it sends one.
    pub(crate) fn new(
        socket: S,
        options: Arc<Options>,
        controls: bool,
        of_address: Option<Arc<Allowance>>,
    ) -> Self {
        let now = Instant::now();
        let ping_at = now + options.ping_interval;
        let allowances = [Allowance::of_client(&options), of_address];
        let mut wire = Self {
            socket,
            options,
            waiting: VecDeque::new(),
            unflushed: false,
            stalled: None,
            ping_at,
            last_frame: now,
            timer: Box::pin(sleep_until(ping_at)),
            allowances,
            controls,
        };
        if controls {
            wire.say(wire.beat());
            wire.say(Control::Pong { number: 0 });
        }
        wire
    }

    /// From now on this is the rate of the client, beside that of its address.
    pub(crate) fn share(&mut self, allowance: Option<Arc<Allowance>>) {
        self.allowances[0] = allowance;
    }

    pub(crate) fn put(&mut self, frame: Frame) {
        self.waiting.push_back(frame);
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.unflushed
    }

    pub(crate) fn say(&mut self, control: Control) {
        self.put(Frame::Text(control.to_string()));
    }

    /// Every beat promises the next one with the next ping, whatever else happens.
    fn beat(&self) -> Control {
        Control::beat(self.options.ping_interval)
    }

    /// Answers a ping of the control messages.
    pub(crate) fn answer_ping(&mut self, number: Option<u64>) {
        self.say(self.beat());
        if let Some(number) = number {
            self.say(Control::Pong { number });
        }
    }

    /// The protocol's ping is for the network and for clients other than browsers, whose scripts never see it; the beat is
    /// for browsers.
    pub(crate) fn ping(&mut self) {
        self.put(Frame::Ping);
        if self.controls {
            self.say(self.beat());
        }
    }

    /// What happens next; frames only if they are read now. Cancel-safe.
    ///
    /// # Errors
    /// How the conversation ends.
    pub(crate) async fn next(&mut self, reads: bool) -> Result<Next, End> {
        poll_fn(|cx| self.poll_next(cx, reads)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<Result<Next, End>> {
        if !self.is_idle() {
            match self.poll_send(cx)? {
                Poll::Ready(()) => {
                    self.stalled = None;
                    return Poll::Ready(Ok(Next::Sent));
                }
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                }
            }
        }
        let reads = reads && self.stalled.is_none();
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let idle = self.options.idle_timeout;
            let is_late = |since: Instant| since + idle <= now;
            // While nothing is read, the client cannot show that it is alive.
            if reads && is_late(self.last_frame) {
                return Poll::Ready(Err(End::silent(&self.options)));
            }
            if self.stalled.is_some_and(is_late) {
                return Poll::Ready(Err(End::Gone));
            }
            let pings = self.ping_at <= now;
            if pings {
                self.ping_at = now + self.options.ping_interval;
            }
            let deadlines = [reads.then_some(self.last_frame), self.stalled];
            let late_at = deadlines.into_iter().flatten().min();
            let late_at = late_at.map(|since| since + idle);
            let next = late_at.map_or(self.ping_at, |at| at.min(self.ping_at));
            self.timer.as_mut().reset(next);
            // One that takes nothing would only let pings pile up.
            if pings && self.stalled.is_none() {
                return Poll::Ready(Ok(Next::Ping));
            }
        }
        if !reads {
            return Poll::Pending;
        }
        let frame = ready!(self.socket.poll_next_unpin(cx));
        Poll::Ready(self.take(frame).map(Next::Frame))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut socket = Pin::new(&mut self.socket);
        while !self.waiting.is_empty() {
            ready!(socket.as_mut().poll_ready(cx)).map_err(|_| End::Gone)?;
            if let Some(frame) = self.waiting.pop_front() {
                let message = S::Message::from_frame(frame);
                socket.as_mut().start_send(message).map_err(|_| End::Gone)?;
                self.unflushed = true;
            }
        }
        // After a burst, an idle client keeps no memory.
        if self.waiting.capacity() > KEPT_FRAMES {
            self.waiting.shrink_to(KEPT_FRAMES);
        }
        ready!(socket.poll_flush(cx)).map_err(|_| End::Gone)?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// What was read.
    fn take(
        &mut self,
        message: Option<Result<S::Message, <S::Message as SocketMessage>::Error>>,
    ) -> Result<Frame, End> {
        self.last_frame = Instant::now();
        let frame = match message {
            Some(Ok(message)) => message.into_frame(),
            Some(Err(error)) => return Err(self.broken(&error)),
            None => return Err(End::Gone),
        };
        let mut allowances = self.allowances.iter().flatten();
        match allowances.find(|it| !it.takes(self.last_frame, frame.bytes())) {
            Some(allowance) => Err(End::Close(1008, allowance.to_string())),
            None => Ok(frame),
        }
    }

    /// Frames are read again after a pause, in which the client could not show that it is alive.
    pub(crate) fn reads_again(&mut self) {
        self.last_frame = Instant::now();
    }

    /// The end after a failed read, per RFC 6455 §7.4.1.
    fn broken(&self, error: &<S::Message as SocketMessage>::Error) -> End {
        match S::Message::close_code(error) {
            Some(1009) => End::too_big(&self.options),
            Some(code @ 1007) => End::close(code, "text messages must be UTF-8"),
            Some(code) => End::close(code, "a frame violates the WebSocket protocol"),
            None => End::Gone,
        }
    }

    /// Closes, and reads until the client has answered: a socket that is dropped at once can lose the Close frame in
    /// transit, and the client would see an unclean end.
    pub(crate) async fn finish(&mut self, end: &End) {
        let End::Close(code, reason) = end else {
            return;
        };
        self.put(Frame::Close(Some((*code, shortened(reason)))));
        // The connection ends here, timed out or not.
        let at = Instant::now() + self.options.close_timeout;
        self.timer.as_mut().reset(at);
        poll_fn(|cx| {
            if self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !self.is_idle() {
                match ready!(self.poll_send(cx)) {
                    Ok(()) => {}
                    Err(_) => return Poll::Ready(()),
                }
            }
            while let Some(Ok(_)) = ready!(self.socket.poll_next_unpin(cx)) {}
            Poll::Ready(())
        })
        .await;
    }
}

/// The room for frames that an idle client keeps.
const KEPT_FRAMES: usize = 4;

impl Frame {
    /// Its payload's length.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Ping | Self::Pong | Self::Close(_) => 0,
        }
    }
}

/// What a client or an address may still send: a bucket for messages and one for bytes, which fill at the rate.
#[derive(Debug)]
pub(crate) struct Allowance {
    rate: Rate,
    whose: &'static str,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    frames: f64,
    bytes: f64,
    at: Instant,
}

impl Allowance {
    /// How many seconds' worth the buckets hold.
    const BURST_SECONDS: f64 = 10.0;

    pub(crate) fn of_client(options: &Options) -> Option<Arc<Self>> {
        Some(Arc::new(Self::new(options.rate?, "", Instant::now())))
    }

    pub(crate) fn of_address(options: &Options) -> Option<Arc<Self>> {
        let rate = options.rate_per_address?;
        Some(Arc::new(Self::new(
            rate,
            " from an address",
            Instant::now(),
        )))
    }

    fn new(rate: Rate, whose: &'static str, now: Instant) -> Self {
        let left = Left {
            frames: f64::from(rate.frames) * Self::BURST_SECONDS,
            bytes: f64::from(rate.bytes) * Self::BURST_SECONDS,
            at: now,
        };
        Self {
            rate,
            whose,
            left: Mutex::new(left),
        }
    }

    /// Whether a frame of so many bytes is within the rate.
    fn takes(&self, now: Instant, bytes: usize) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(left.at).as_secs_f64();
        left.at = left.at.max(now);
        let fill = |has: f64, rate: u32| {
            let rate = f64::from(rate);
            (has + rate * passed).min(rate * Self::BURST_SECONDS)
        };
        left.frames = fill(left.frames, self.rate.frames) - 1.0;
        left.bytes = fill(left.bytes, self.rate.bytes) - bytes as f64;
        left.frames >= 0.0 && left.bytes >= 0.0
    }

    /// Whether it is as good as new, because nothing was taken for so long.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(left.at).as_secs_f64();
        let is_full = |has: f64, rate: u32| {
            let rate = f64::from(rate);
            has + rate * passed >= rate * Self::BURST_SECONDS
        };
        is_full(left.frames, self.rate.frames) && is_full(left.bytes, self.rate.bytes)
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rate { frames, bytes } = self.rate;
        let whose = self.whose;
        write!(
            f,
            "at most {frames} messages and {bytes} bytes a second{whose}"
        )
    }
}

/// At most what fits in a Close.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(99)).len(), 122);
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn an_allowance_takes_a_burst_and_then_the_rate() {
        let rate = Rate {
            frames: 2,
            bytes: 100,
        };
        let start = Instant::now();
        let new = || Allowance::new(rate, "", start);
        let allowance = new();
        for _ in 0..20 {
            assert!(allowance.takes(start, 1));
        }
        assert!(!allowance.takes(start, 1), "a burst has an end");
        let allowance = new();
        assert!(allowance.is_full(start));
        assert!(allowance.takes(start, 1_000));
        let later = start + Duration::from_secs(1);
        assert!(allowance.takes(later, 100));
        assert!(!allowance.takes(later, 1));
        assert!(!allowance.is_full(later));
        assert!(allowance.is_full(later + Duration::from_secs(11)));
        let allowance = new();
        for second in 0..1_000 {
            let at = start + Duration::from_secs(second);
            assert!(allowance.takes(at, 50) && allowance.takes(at, 50));
        }
    }
}
