//! What the server has really received, what it answers, and what a client may conclude from that.

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;

use steady_socket::connection::{Control, Phase, Pings, Report, Tally};

use crate::op::Answer;

use super::{Flow, Violation, World};

/// Milliseconds from a message to the question whether the server received it.
const CONFIRM: u64 = 1_000;

/// With this many pings between unconfirmed messages, the core may stop keeping them apart.
const CROWD: usize = 60;

/// The bytes of a ping.
const PING: u64 = 5;

#[derive(Clone, Copy, Debug, Hash)]
enum Item {
    Message,
    /// With its number, if any.
    Ping(Option<u64>),
}

/// The other end of a socket.
#[derive(Clone, Debug, Default)]
pub(super) struct FarEnd {
    /// Every message that the browser accepted: its size, and the number of pings before it.
    sent: Vec<(usize, u64)>,
    /// How many of them the server has read.
    had: usize,
    /// What the server has not read yet: the position of its last byte in the stream.
    way: VecDeque<(u64, Item)>,
    /// The end of the stream.
    end: u64,
    /// Answers on their way back.
    answers: VecDeque<Option<u64>>,

    // What a client may conclude.
    pub(super) pings: Pings,
    /// The server has announced that it answers numbered pings.
    pub(super) numbered: bool,
    asked: u64,
    answered: u64,
    /// How many messages count as confirmed.
    confirmed: usize,
    /// When the server is due to be asked.
    question_at: Option<u64>,
    /// There were more pings between messages than are kept apart.
    pub(super) crowded: bool,
}

impl Hash for FarEnd {
    /// Without the past: only distances count.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for (end, item) in &self.way {
            (self.end - end, item).hash(hasher);
        }
        self.sent[self.confirmed..].hash(hasher);
        (self.had - self.confirmed, &self.answers, self.crowded).hash(hasher);
        (self.pings, self.numbered, self.asked).hash(hasher);
        (self.answered, self.question_at).hash(hasher);
    }
}

impl FarEnd {
    fn takes(&mut self, bytes: u64, item: Item) {
        self.end += bytes;
        self.way.push_back((self.end, item));
    }

    pub(super) fn takes_message(&mut self, bytes: usize) {
        self.takes(bytes as u64, Item::Message);
        let waiting = &self.sent[self.confirmed..];
        if waiting
            .last()
            .is_some_and(|(_, asked)| *asked != self.asked)
        {
            let changes = waiting.windows(2).filter(|pair| pair[0].1 != pair[1].1);
            self.crowded |= changes.count() > CROWD;
        }
        self.sent.push((bytes, self.asked));
    }

    /// The server reads from what has left the browser.
    fn reads(&mut self, items: u8, buffered: u64) {
        let left = self.end.saturating_sub(buffered);
        for _ in 0..items {
            if self.way.front().is_none_or(|(end, _)| *end > left) {
                return;
            }
            match self.way.pop_front() {
                Some((_, Item::Message)) => self.had += 1,
                // A control message without a number is answered by a beat alone.
                Some((_, Item::Ping(None))) if self.pings == Pings::Control => {}
                Some((_, Item::Ping(number))) => self.answers.push_back(number),
                None => return,
            }
        }
    }

    fn awaits_answer(&self) -> bool {
        self.answered < self.asked
    }

    fn plan(&mut self, now: u64) {
        let unconfirmed = self.confirmed < self.sent.len();
        if self.numbered && unconfirmed && !self.awaits_answer() {
            self.question_at.get_or_insert(now + CONFIRM);
        }
    }

    /// All messages before the answered pings are confirmed; the server must have received each.
    fn confirm(&mut self) -> Result<(), Violation> {
        let before = |(_, asked): &&(usize, u64)| *asked < self.answered;
        self.confirmed = self.sent.iter().take_while(before).count();
        ensure!(
            self.confirmed <= self.had,
            "{} messages count as confirmed, the server had {}",
            self.confirmed,
            self.had
        );
        Ok(())
    }

    /// The unconfirmed messages.
    pub(super) fn unconfirmed(&self) -> Tally {
        let rest = &self.sent[self.confirmed..];
        Tally {
            messages: rest.len() as u64,
            bytes: rest.iter().map(|(bytes, _)| *bytes as u64).sum(),
        }
    }

    /// What the server never received, which only the simulation can know.
    pub(super) fn lost(&self) -> u64 {
        (self.sent.len() - self.had) as u64
    }
}

impl World {
    /// When the account says that the server must be asked what it has received.
    pub(super) fn question_due(&self) -> Option<u64> {
        let flows = self.core.phase() == Phase::Open && self.flow == Flow::Flowing;
        self.socket(self.generation())
            .filter(|_| flows)
            .and_then(|socket| socket.far_end.question_at)
    }

    /// The browser has accepted a message, for an existing connection.
    pub(super) fn taken(&mut self, number: u64, bytes: usize) {
        let now = self.now;
        if let Some(socket) = self.socket_mut(number) {
            socket.handed += bytes as u64;
            socket.buffered += bytes as u64;
            socket.far_end.takes_message(bytes);
            socket.far_end.plan(now);
        }
    }

    /// The core sends a ping, which is in the browser's buffer like any message.
    pub(super) fn ping(&mut self, number: u64) -> Result<(), Violation> {
        let control = self.core.control_ping();
        let is_question = control.as_ref().is_none_or(|control| control.is_question);
        let question = control.map(|control| control.text);
        let connected = self.is_connected(number);
        let Some(socket) = self.socket_mut(number) else {
            return Err("a ping for a nonexistent socket".into());
        };
        let far_end = &mut socket.far_end;
        // The socket may have been lost through what was done just before this.
        let uses_control = connected && far_end.pings == Pings::Control;
        let next = (connected && far_end.numbered).then_some(far_end.asked + 1);
        let due = uses_control.then(|| Control::Ping { number: next }.to_string());
        ensure!(question == due, "ping {question:?} is sent, due is {due:?}");
        socket.buffered += PING;
        far_end.takes(PING, Item::Ping(next));
        far_end.question_at = None;
        // The answer to a control message without a number cannot be recognised.
        far_end.asked += u64::from(connected && (!uses_control || next.is_some()));
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        match is_question {
            true => self.tell(Report::Pinged.of(generation)),
            false => Ok(()),
        }
    }

    pub(super) fn server_reads(&mut self, items: u8) {
        let newest = self.generation();
        if let Some(socket) = self.socket_mut(newest) {
            socket.far_end.reads(items, socket.buffered);
        }
    }

    /// An answer of the server arrives, or something that could be taken for one.
    pub(super) fn answer(&mut self, number: u64, answer: Answer) -> Result<(), Violation> {
        let connected = self.is_connected(number);
        let distrusts = self.distrusts;
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        let now = self.now;
        let far_end = self.socket_mut(number).map(|socket| &mut socket.far_end);
        let given = match (answer, &far_end) {
            (Answer::Knows, _) => Some(0),
            (Answer::Next | Answer::Lost, None) => return Ok(()),
            (Answer::Next | Answer::Lost, Some(_)) => {
                let next = far_end.and_then(|far_end| far_end.answers.pop_front());
                match next {
                    Some(next) if answer == Answer::Next => next,
                    _ => return Ok(()),
                }
            }
            // A server does not answer what it has not read, but any other number may arrive.
            (Answer::Stray(stray), Some(far_end))
                if stray > far_end.answered && stray <= far_end.asked =>
            {
                return Ok(());
            }
            (Answer::Stray(stray), _) => Some(stray),
            // Until it can be distinguished from an answer, a client must take it for one.
            (Answer::Unasked, Some(far_end))
                if far_end.pings != Pings::Control && far_end.awaits_answer() && !distrusts =>
            {
                return Ok(());
            }
            (Answer::Unasked, _) => None,
        };
        if connected && let Some(socket) = self.socket_mut(number) {
            let far_end = &mut socket.far_end;
            match given {
                Some(_) if far_end.pings != Pings::Control => {}
                Some(0) => far_end.numbered = true,
                Some(given) => {
                    if far_end.numbered && given > far_end.answered && given <= far_end.asked {
                        far_end.answered = given;
                        far_end.confirm()?;
                    }
                }
                None if far_end.pings == Pings::Control || distrusts => {}
                None if far_end.awaits_answer() => {
                    far_end.answered += 1;
                    far_end.confirm()?;
                }
                // The server sends such messages unasked.
                None => {
                    far_end.confirmed = 0;
                    for (_, asked) in &mut far_end.sent {
                        *asked = far_end.asked;
                    }
                    self.distrusts = true;
                }
            }
            if let Some(socket) = self.socket_mut(number) {
                socket.far_end.plan(now);
            }
            self.hear();
        }
        let report = match given {
            Some(number) => Report::Control(Control::Pong { number }),
            None => Report::Answered,
        };
        self.tell(report.of(generation))
    }
}
