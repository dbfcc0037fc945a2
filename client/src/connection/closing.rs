//! The closing handshake that the application requests, to close for good or to suspend.

use alloc::string::String;

use super::open::Closing;
use super::{Cause, CloseFrame, Connection, Effect, Flow, Loss, Open, Phase, State, Time, Why};

impl<P> Connection<P> {
    /// The application closes for good.
    pub(super) fn close(&mut self, now: Time, code: Option<u16>, reason: String) {
        match &mut self.state {
            State::Closed => {}
            State::Idle => self.drop_queue(),
            State::Open(open) => match open.flow {
                Flow::Closing(_) => {}
                // The code and reason of the suspension have been sent to the server, and stand.
                Flow::Suspending(_) => {
                    if let Flow::Suspending(closing) =
                        core::mem::replace(&mut open.flow, Flow::Gated)
                    {
                        open.flow = Flow::Closing(closing);
                    }
                    self.announce(Phase::Closing, None, Why::Requested);
                    self.drop_queue();
                }
                Flow::Gated => self.hand_over_and_close(now, code, reason, true),
                Flow::Announcing | Flow::Opening { ready: false } => {
                    let gated = self.options.values().gate;
                    self.hand_over_and_close(now, code, reason, gated);
                }
                Flow::Opening { ready: true } | Flow::Flowing => {
                    self.hand_over_and_close(now, code, reason, false);
                }
            },
            State::Lost(_) => {
                if let Some(loss) = self.take_lost() {
                    self.abandon_with(code, reason);
                    self.end(loss, Why::Requested);
                }
            }
            _ => {
                let loss = Loss {
                    close: CloseFrame::abnormal(),
                    cause: Cause::Closed,
                    was_open: false,
                    error: None,
                };
                self.let_go(&loss);
                self.end(loss, Why::Requested);
            }
        }
    }

    /// Starts the closing handshake as soon as the queue is handed over, or what of it passes the gate.
    #[inline(never)]
    fn hand_over_and_close(&mut self, now: Time, code: Option<u16>, reason: String, gated: bool) {
        // A `reconnect()` before the handshake ends continues from here.
        self.settle_failures(now);
        if let State::Open(open) = &mut self.state {
            open.flow = Flow::Closing(Closing {
                code,
                reason,
                gated,
                handshake: false,
                deadline: now.after(self.options.values().close_timeout),
                buffered: u64::MAX,
                judging: false,
            });
        }
        self.announce(Phase::Closing, None, Why::Requested);
        self.pump(now);
    }

    /// Everything is handed over: starts the closing handshake.
    pub(super) fn start_handshake(&mut self) {
        let State::Open(Open {
            flow: Flow::Closing(closing),
            ..
        }) = &mut self.state
        else {
            return;
        };
        closing.handshake = true;
        let (code, reason) = (closing.code, closing.reason.clone());
        self.ask_to_close(code, reason);
        // What the gate held back.
        self.drop_queue();
    }

    #[inline(never)]
    fn ask_to_close(&mut self, code: Option<u16>, reason: String) {
        self.effects.push_back(Effect::Close {
            generation: self.generation,
            code,
            reason,
        });
        if let State::Open(open) = &mut self.state {
            open.measuring = false;
        }
        self.measure();
    }

    /// The application pauses. The queue keeps its messages.
    pub(super) fn suspend(&mut self, now: Time, code: Option<u16>, reason: String) {
        match &mut self.state {
            State::Idle | State::Closed | State::Suspended => {}
            // The previous loss was already reported.
            State::Waiting { .. } => {
                self.state = State::Suspended;
                self.announce(Phase::Suspended, None, Why::Suspended);
            }
            State::Resolving { .. } | State::Connecting { .. } => {
                let loss = suspended(CloseFrame::abnormal(), false);
                self.let_go(&loss);
                self.state = State::Suspended;
                self.announce(Phase::Suspended, None, Why::Suspended);
                self.tell_closed(loss, None, Why::Suspended);
            }
            State::Lost(_) => {
                if let Some(loss) = self.take_lost() {
                    self.abandon_with(Some(code.unwrap_or(1000)), reason);
                    self.state = State::Suspended;
                    self.announce(Phase::Suspended, None, Why::Suspended);
                    self.tell_suspended(loss);
                }
            }
            State::Open(open) if open.closing().is_some() => {}
            State::Open(open) => {
                // With a code, so that the server sees that this was intended.
                let code = Some(code.unwrap_or(1000));
                open.flow = Flow::Suspending(Closing {
                    code,
                    reason: reason.clone(),
                    gated: true,
                    handshake: true,
                    deadline: now.after(self.options.values().close_timeout),
                    buffered: u64::MAX,
                    judging: false,
                });
                self.reclaim();
                self.announce(Phase::Suspended, None, Why::Suspended);
                self.ask_to_close(code, reason);
            }
        }
    }

    /// The application resumes. As after a close for good, earlier failures do not count.
    pub(super) fn resume(&mut self, now: Time) {
        if !self.is_suspended() {
            return;
        }
        // The old connection is not awaited: the browser completes its closing handshake.
        self.abandon_closing(Cause::Suspended, None);
        self.failures = 0;
        self.refusals = 0;
        self.begin(now, Why::Requested);
    }

    /// Abandons a closing handshake in progress, if any.
    pub(super) fn abandon_closing(&mut self, cause: Cause, error: Option<String>) {
        self.end_closing(CloseFrame::abnormal(), cause, error);
    }

    /// The requested closing handshake has ended, or the connection was lost during it.
    #[inline(never)]
    pub(super) fn end_closing(&mut self, close: CloseFrame, cause: Cause, error: Option<String>) {
        let loss = Loss {
            close,
            cause,
            was_open: true,
            error,
        };
        let State::Open(open) = &self.state else {
            return;
        };
        match open.flow {
            Flow::Closing(_) => {
                self.let_go(&loss);
                self.end(loss, Why::Requested);
            }
            Flow::Suspending(_) => {
                self.let_go(&loss);
                self.state = State::Suspended;
                self.tell_suspended(loss);
            }
            _ => {}
        }
    }

    /// Reports the end of a connection or an attempt that the application suspends.
    fn tell_suspended(&mut self, loss: Loss) {
        let loss = suspended(loss.close, loss.was_open);
        self.tell_error(&loss);
        self.tell_closed(loss, None, Why::Suspended);
    }
}

/// The end of a connection or an attempt that the application suspended, whatever its cause.
const fn suspended(close: CloseFrame, was_open: bool) -> Loss {
    Loss {
        close,
        cause: Cause::Suspended,
        was_open,
        error: None,
    }
}
