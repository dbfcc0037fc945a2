//! The closing handshake that the application asks for.

use alloc::string::String;

use super::{
    Cause, CloseFrame, Closing, Connection, Effect, Flow, Loss, Phase, State, Time, Unconfirmed,
    Why,
};

impl<P> Connection<P> {
    /// The application closes for good.
    pub(super) fn close(&mut self, now: Time, code: Option<u16>, reason: String) {
        let State::Open { flow, .. } = self.state else {
            match self.state {
                State::Closing(_) | State::Closed => {}
                State::Idle => self.drop_queue(),
                _ => {
                    let loss = Loss {
                        close: CloseFrame::abnormal(),
                        cause: Cause::Closed,
                        was_open: false,
                    };
                    self.let_go(&loss);
                    self.end(loss, Why::Requested);
                }
            }
            return;
        };
        let gated = match flow {
            Flow::Gated => true,
            Flow::Announcing | Flow::Opening { ready: false } => self.options.gate,
            Flow::Opening { ready: true } | Flow::Flowing => false,
        };
        // A `reconnect()` before the handshake ends goes on from here.
        self.settle_failures(now);
        self.state = State::Closing(Closing {
            code,
            reason,
            gated,
            handshake: false,
            deadline: now.after(self.options.close_timeout),
            buffered: u64::MAX,
            judging: false,
        });
        self.announce(Phase::Closing, None, Why::Requested);
        self.pump(now);
    }

    /// All is handed over: starts the closing handshake.
    pub(super) fn start_handshake(&mut self) {
        let State::Closing(closing) = &mut self.state else {
            return;
        };
        closing.handshake = true;
        let (code, reason) = (closing.code, closing.reason.clone());
        self.effects.push_back(Effect::Close {
            generation: self.generation,
            code,
            reason,
        });
        self.wire.measuring = false;
        self.measure();
        // What the gate held back.
        self.drop_queue();
    }

    /// The closing handshake that the application asked for has ended, or the connection was lost in it.
    pub(super) fn closed_as_asked(&mut self, close: CloseFrame) {
        if let State::Closing(Closing { code, .. }) = &self.state {
            // The server's answer to our close frame shows that it had all that came before. Another
            // code shows a close of its own, which may have crossed ours.
            if close.clean && close.code == code.unwrap_or(1005) {
                self.wire.unconfirmed = Unconfirmed::default();
            }
        }
        let loss = Loss {
            close,
            cause: Cause::Socket,
            was_open: true,
        };
        self.let_go(&loss);
        self.end(loss, Why::Requested);
    }

    pub(super) fn abandon_closing(&mut self, cause: Cause) {
        let loss = Loss {
            close: CloseFrame::abnormal(),
            cause,
            was_open: true,
        };
        self.let_go(&loss);
        self.end(loss, Why::Requested);
    }
}
