//! What one client sent, and what it was told of that.

/// What a report of a lost session says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    NotHandled,
    Unknown,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    echoed: bool,
    said: Option<Said>,
}

/// The numbers that a client sent, from 0.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    fates: Vec<Fate>,
    /// The number after the last echo.
    next: usize,
    /// Echoes that came twice, out of order, or unasked, and reports of what was not sent.
    strange: u64,
    /// How many sessions were lost.
    pub(super) losses: u64,
    /// How many had been sent before the first loss.
    before_loss: Option<usize>,
}

/// The sums of a ledger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) sent: u64,
    pub(super) echoed: u64,
    pub(super) not_handled: u64,
    pub(super) unknown: u64,
    /// Messages that were neither echoed nor reported.
    pub(super) silent: u64,
    /// Messages that were reported as not handled, and the server was given them.
    pub(super) false_reports: u64,
    pub(super) strange: u64,
}

impl Sums {
    pub(super) fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            echoed: self.echoed + other.echoed,
            not_handled: self.not_handled + other.not_handled,
            unknown: self.unknown + other.unknown,
            silent: self.silent + other.silent,
            false_reports: self.false_reports + other.false_reports,
            strange: self.strange + other.strange,
        }
    }

    /// How much is wrong.
    pub(super) const fn wrong(&self) -> u64 {
        self.silent + self.false_reports + self.strange
    }
}

impl Ledger {
    /// The number of the next message.
    pub(super) fn next_number(&self) -> u64 {
        self.fates.len() as u64
    }

    pub(super) fn sent(&mut self) {
        self.fates.push(Fate::default());
    }

    pub(super) fn echoed(&mut self, number: Option<u64>) {
        let number = number.and_then(|number| usize::try_from(number).ok());
        match number.filter(|number| *number >= self.next && *number < self.fates.len()) {
            Some(number) => {
                self.fates[number].echoed = true;
                self.next = number + 1;
            }
            None => self.strange += 1,
        }
    }

    /// A session was lost.
    pub(super) fn lost(&mut self) {
        self.losses += 1;
        let sent = self.fates.len();
        self.before_loss.get_or_insert(sent);
    }

    /// The report of a lost session says this of a message.
    pub(super) fn said(&mut self, number: Option<u64>, said: Said) {
        let number = number.and_then(|number| usize::try_from(number).ok());
        match number.and_then(|number| self.fates.get_mut(number)) {
            Some(fate) if fate.said.is_none() => fate.said = Some(said),
            _ => self.strange += 1,
        }
    }

    /// Whether every message has an end.
    pub(super) fn is_settled(&self) -> bool {
        self.fates
            .iter()
            .all(|fate| fate.echoed || fate.said.is_some())
    }

    /// The sums; `given` is how many the server that restarted was given.
    pub(super) fn sums(&self, given: u64) -> Sums {
        let mut sums = Sums {
            sent: self.fates.len() as u64,
            strange: self.strange,
            ..Sums::default()
        };
        let before_loss = self.before_loss.unwrap_or(0) as u64;
        for (number, fate) in (0..).zip(&self.fates) {
            sums.echoed += u64::from(fate.echoed);
            match fate.said {
                None if !fate.echoed => sums.silent += 1,
                None => {}
                Some(Said::Unknown) => sums.unknown += 1,
                Some(Said::NotHandled) => {
                    sums.not_handled += 1;
                    let was_given = number < given.min(before_loss);
                    if was_given || fate.echoed {
                        sums.false_reports += 1;
                    }
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages, of which the first came back before the session was lost.
    fn lost() -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            ledger.sent();
        }
        ledger.echoed(Some(0));
        ledger.lost();
        ledger
    }

    #[test]
    fn a_report_that_names_every_other_message_is_right() {
        let mut ledger = lost();
        ledger.said(Some(1), Said::Unknown);
        assert!(!ledger.is_settled());
        ledger.said(Some(2), Said::NotHandled);
        assert!(ledger.is_settled());
        let sums = ledger.sums(2);
        assert_eq!(sums.wrong(), 0);
        assert_eq!(
            (sums.sent, sums.echoed, sums.unknown, sums.not_handled),
            (3, 1, 1, 1)
        );
    }

    #[test]
    fn silence_and_false_reports_are_wrong() {
        let mut silent = lost();
        silent.said(Some(1), Said::Unknown);
        assert_eq!(silent.sums(2).silent, 1);

        let mut given = lost();
        given.said(Some(1), Said::NotHandled);
        given.said(Some(2), Said::NotHandled);
        assert_eq!(given.sums(2).false_reports, 1);

        let mut handled = lost();
        handled.said(Some(1), Said::NotHandled);
        handled.said(Some(2), Said::NotHandled);
        handled.echoed(Some(2));
        assert_eq!(handled.sums(1).false_reports, 1);
    }

    #[test]
    fn what_comes_twice_or_out_of_order_or_was_never_sent_is_strange() {
        for strange in [Some(0), Some(3), None] {
            let mut ledger = lost();
            ledger.echoed(strange);
            assert_eq!(ledger.sums(1).strange, 1, "{strange:?}");
        }
        for strange in [Some(1), Some(3), None] {
            let mut ledger = lost();
            ledger.said(Some(1), Said::Unknown);
            ledger.said(strange, Said::NotHandled);
            assert_eq!(ledger.sums(1).strange, 1, "{strange:?}");
        }
    }
}
