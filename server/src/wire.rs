//! What every connection does, whatever is spoken on it: pings, beats, limits of time, and the end.

use futures_util::{SinkExt, StreamExt};
use steady_socket_protocol::control::Control;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

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

/// A client's socket, with what a conversation needs of it.
pub(crate) struct Wire<'a, S: Socket> {
    socket: S,
    options: &'a Options,
    pings: Interval,
    last_frame: Instant,
    allowance: Option<Allowance>,
    /// Whether control messages are spoken.
    controls: bool,
}

impl<'a, S: Socket> Wire<'a, S> {
    pub(crate) fn new(socket: S, options: &'a Options, controls: bool) -> Self {
        let now = Instant::now();
        let mut pings = interval_at(now + options.ping_interval, options.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            options,
            pings,
            last_frame: now,
            allowance: options.rate.map(|rate| Allowance::new(rate, now)),
            controls,
        }
    }

    /// Sends frames together. A client that reads nothing for as long as it may be silent is given up.
    pub(crate) async fn send_all(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
    ) -> Result<(), End> {
        let socket = &mut self.socket;
        let sending = async {
            for frame in frames {
                socket.feed(S::Message::from_frame(frame)).await?;
            }
            socket.flush().await
        };
        match timeout(self.options.idle_timeout, sending).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    pub(crate) async fn say(
        &mut self,
        controls: impl IntoIterator<Item = Control>,
    ) -> Result<(), End> {
        let texts = controls.into_iter().map(|it| Frame::Text(it.to_string()));
        self.send_all(texts).await
    }

    /// Every beat promises the next one with the next ping, whatever else happens.
    fn beat(&self) -> Control {
        Control::beat(self.options.ping_interval)
    }

    /// Says at the beginning that this server beats, and that it answers numbered pings, which a client must know before it
    /// sends one.
    pub(crate) async fn introduce(&mut self) -> Result<(), End> {
        if !self.controls {
            return Ok(());
        }
        let beat = self.beat();
        self.say([beat, Control::Pong { number: 0 }]).await
    }

    /// Answers a ping of the control messages.
    pub(crate) async fn answer_ping(&mut self, number: Option<u64>) -> Result<(), End> {
        let beat = Some(self.beat());
        let pong = number.map(|number| Control::Pong { number });
        self.say([beat, pong].into_iter().flatten()).await
    }

    /// The protocol's ping is for the network and for clients other than browsers, whose scripts never see it; the beat is
    /// for browsers.
    pub(crate) async fn ping(&mut self) -> Result<(), End> {
        let beat = self.controls.then(|| Frame::Text(self.beat().to_string()));
        self.send_all([Some(Frame::Ping), beat].into_iter().flatten())
            .await
    }

    /// What happens next: a frame, if they are read now, or the time for a ping. Cancel-safe.
    pub(crate) async fn next(&mut self, reads: bool) -> Result<Next, End> {
        // While nothing is read, the client cannot show that it is alive.
        let silent_at = self.last_frame + self.options.idle_timeout;
        let frame = tokio::select! {
            frame = self.socket.next(), if reads => frame,
            _ = self.pings.tick() => return Ok(Next::Ping),
            () = tokio::time::sleep_until(silent_at), if reads => {
                return Err(End::silent(self.options));
            }
        };
        self.last_frame = Instant::now();
        let frame = match frame {
            Some(Ok(message)) => message.into_frame(),
            Some(Err(error)) => return Err(self.broken(&error)),
            None => return Err(End::Gone),
        };
        if let (Some(allowance), Some(rate)) = (&mut self.allowance, self.options.rate)
            && !allowance.takes(rate, self.last_frame, frame.bytes())
        {
            let Rate { frames, bytes } = rate;
            let reason = format!("at most {frames} messages and {bytes} bytes a second");
            return Err(End::Close(1008, reason));
        }
        Ok(Next::Frame(frame))
    }

    /// Frames are read again after a pause, in which the client could not show that it is alive.
    pub(crate) fn reads_again(&mut self) {
        self.last_frame = Instant::now();
    }

    /// The end after a failed read, per RFC 6455 §7.4.1.
    fn broken(&self, error: &<S::Message as SocketMessage>::Error) -> End {
        match S::Message::close_code(error) {
            Some(1009) => End::too_big(self.options),
            Some(code @ 1007) => End::close(code, "text messages must be UTF-8"),
            Some(code) => End::close(code, "a frame violates the WebSocket protocol"),
            None => End::Gone,
        }
    }

    /// Closes, and reads until the client has answered: a socket that is dropped at once can lose the Close frame in
    /// transit, and the client would see an unclean end.
    pub(crate) async fn finish(mut self, end: End) {
        let End::Close(code, reason) = end else {
            return;
        };
        let wait = self.options.close_timeout;
        let goodbye = async {
            let close = Frame::Close(Some((code, shortened(reason))));
            if self.send_all([close]).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // The connection ends here, timed out or not.
        let _ = timeout(wait, goodbye).await;
    }
}

/// What happens next on a connection.
pub(crate) enum Next {
    Frame(Frame),
    /// It is time for a ping.
    Ping,
}

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

/// What a connection may still send: a bucket for frames and one for bytes, which fill at the rate.
#[derive(Debug)]
struct Allowance {
    frames: f64,
    bytes: f64,
    at: Instant,
}

impl Allowance {
    /// How many seconds' worth the buckets hold.
    const BURST_SECONDS: f64 = 10.0;

    fn new(rate: Rate, now: Instant) -> Self {
        Self {
            frames: f64::from(rate.frames) * Self::BURST_SECONDS,
            bytes: f64::from(rate.bytes) * Self::BURST_SECONDS,
            at: now,
        }
    }

    /// Whether a frame of so many bytes is within the rate.
    fn takes(&mut self, rate: Rate, now: Instant, bytes: usize) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let fill = |has: f64, rate: u32| {
            let rate = f64::from(rate);
            (has + rate * passed).min(rate * Self::BURST_SECONDS)
        };
        self.frames = fill(self.frames, rate.frames) - 1.0;
        self.bytes = fill(self.bytes, rate.bytes) - bytes as f64;
        self.frames >= 0.0 && self.bytes >= 0.0
    }
}

/// At most what fits in a Close.
fn shortened(mut text: String) -> String {
    let mut end = text.len().min(REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(shortened("é".repeat(99)).len(), 122);
        assert_eq!(shortened("short".to_owned()), "short");
    }

    #[test]
    fn an_allowance_takes_a_burst_and_then_the_rate() {
        let rate = Rate {
            frames: 2,
            bytes: 100,
        };
        let start = Instant::now();
        let mut allowance = Allowance::new(rate, start);
        for _ in 0..20 {
            assert!(allowance.takes(rate, start, 1));
        }
        assert!(!allowance.takes(rate, start, 1), "a burst has an end");
        let mut allowance = Allowance::new(rate, start);
        assert!(allowance.takes(rate, start, 1_000));
        let later = start + Duration::from_secs(1);
        assert!(allowance.takes(rate, later, 100));
        assert!(!allowance.takes(rate, later, 1));
        let mut allowance = Allowance::new(rate, start);
        for second in 0..1_000 {
            let at = start + Duration::from_secs(second);
            assert!(allowance.takes(rate, at, 50) && allowance.takes(rate, at, 50));
        }
    }
}
