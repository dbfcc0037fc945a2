//! The store in the server's own memory.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::frame::{Key, Lost, Verdict, Why};
use super::sent::{Item, Sent};
use super::store::{
    Claim, Finish, Found, Identity, Opening, Question, Replies, Reply, Snapshot, Step, Store,
    Ticket,
};
use super::types::Payload;
use super::{MAX_NUMBER, limits};
use crate::Time;

/// The options of a [`MemoryStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemoryOptions {
    /// How many sessions it keeps, from 1. Living sessions are never evicted: beyond that a client is told to come back.
    pub sessions: usize,
    /// How many bytes of unacknowledged messages it keeps, of all sessions together. One half is for whoever needs it. Of
    /// the other each session has an equal share, so that those who do not acknowledge cannot take it all.
    pub bytes: u64,
    /// How many tombstones it keeps. The oldest goes for a newer one.
    pub tombstones: usize,
    /// How long a session lives whose owner is gone, in milliseconds since the owner's last sign of life. Twice the
    /// window of the sessions, whose owners give a sign of life every half of it. A process that sleeps for longer finds
    /// its sessions expired, and what they were given unknown.
    pub lease_ms: u64,
    #[doc(hidden)]
    pub origin: u64,
}

impl Default for MemoryOptions {
    /// 10,000 sessions with 64 MiB.
    fn default() -> Self {
        Self {
            sessions: 10_000,
            bytes: 64 << 20,
            tombstones: 20_000,
            lease_ms: limits::WINDOW_MS.saturating_mul(2),
            origin: 0,
        }
    }
}

#[derive(Debug, Clone)]
struct Record<P> {
    identity: Identity,
    attempt: u64,
    epoch: u64,
    owner: u64,
    /// The same counted in this epoch, from 1.
    owner_in_epoch: u64,
    /// The last step, and the first number that it gave.
    step: (u64, u64),
    handled: u64,
    also: Vec<(u64, u64)>,
    sent: Sent<P>,
    /// The requests in this epoch that nobody has answered.
    asked: Vec<u64>,
    /// What is said to hellos of an epoch before, until something of this one arrives.
    verdict: Option<Box<(u64, Lost)>>,
    /// The hello that made this epoch may be older than the memory.
    doubted: bool,
    expires: Time,
}

#[derive(Debug, Clone)]
struct Tombstone {
    identity: Identity,
    attempt: u64,
    /// What is said to hellos; `None` if the session was closed.
    verdicts: Option<Box<Verdicts>>,
    made: Time,
    expires: Time,
}

#[derive(Debug, Clone)]
struct Verdicts {
    /// To those of the last epoch.
    last: (u64, Lost),
    /// To those of the one before it, as long as the store does not know that the client has learnt of the last.
    before: Option<(u64, Lost)>,
}

impl Verdicts {
    /// What is said to a hello of this epoch.
    fn of(&self, epoch: u64) -> Option<&Lost> {
        let is_it = |verdict: &&(u64, Lost)| verdict.0 == epoch;
        let verdicts = || self.before.iter().chain([&self.last]);
        // Without an epoch, the client has had no welcome.
        let fallback = verdicts().next().filter(|_| epoch == 0);
        let verdict = verdicts().find(is_it).or(fallback);
        verdict.map(|(_, lost)| lost)
    }
}

/// A [`Store`] in memory, bounded by sessions and bytes. Its sessions end with the process.
#[derive(Debug, Clone)]
pub struct MemoryStore<P> {
    options: MemoryOptions,
    // Boxed, since a node of the map has room for more entries than it holds.
    records: BTreeMap<Key, Box<Record<P>>>,
    tombstones: BTreeMap<Key, Tombstone>,
    /// The keys of tombstones, the oldest first; those that are gone are passed over.
    order: VecDeque<(Time, Key)>,
    /// It remembers every session that began since then.
    since: Time,
    /// Nothing expires before.
    sweep: Time,
    bytes: u64,
    /// How many owners there have been, of all sessions.
    owners: u64,
    replies: Replies<P>,
}

impl<P: Payload> MemoryStore<P> {
    /// An empty store.
    #[must_use]
    pub const fn new(now: Time, options: MemoryOptions) -> Self {
        Self {
            options,
            records: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            order: VecDeque::new(),
            since: now,
            sweep: Time::from_millis(0),
            bytes: 0,
            owners: 0,
            replies: VecDeque::new(),
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.records.len()
    }

    /// How many bytes of unacknowledged messages they hold.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many sessions that are over it remembers.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// It remembers every session that began since then.
    #[must_use]
    pub const fn since(&self) -> Time {
        self.since
    }

    fn expire(&mut self, now: Time) {
        if now < self.sweep {
            return;
        }
        let over: Vec<Key> = self
            .records
            .iter()
            .filter(|(_, record)| record.expires <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            if let Some(record) = self.remove(key) {
                // Its owner is gone: what was given and not finished, nobody knows.
                let verdict = Verdict {
                    handled: record.handled,
                    also: record.also.clone(),
                    given: MAX_NUMBER,
                    received: MAX_NUMBER,
                };
                self.bury(now, key, record, Some(Why::Expired), Some(verdict));
            }
        }
        let gone: Vec<(Key, Time)> = self
            .tombstones
            .iter()
            .filter(|(_, tombstone)| tombstone.expires <= now)
            .map(|(key, tombstone)| (*key, tombstone.made))
            .collect();
        for (key, made) in gone {
            self.forget(key, made);
        }
        let records = self.records.values().map(|record| record.expires);
        let tombstones = self.tombstones.values().map(|tombstone| tombstone.expires);
        let next = records.chain(tombstones).min();
        self.sweep = next.unwrap_or(now.after(1));
    }

    /// A hello whose session began before may have been on its way since before the memory began.
    fn young_until(&self) -> Time {
        self.since.after(limits::YOUNG_MS)
    }

    /// The tombstone is gone. Whatever began before it was made may be forgotten.
    fn forget(&mut self, key: Key, made: Time) {
        self.tombstones.remove(&key);
        self.since = self.since.max(made.after(1));
    }

    fn remove(&mut self, key: Key) -> Option<Record<P>> {
        let record = *self.records.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(record.sent.bytes());
        Some(record)
    }

    fn bury(
        &mut self,
        now: Time,
        key: Key,
        record: Record<P>,
        why: Option<Why>,
        verdict: Option<Verdict>,
    ) {
        while self.tombstones.len() >= self.options.tombstones.max(1) {
            let Some((made, oldest)) = self.order.pop_front() else {
                break;
            };
            if self
                .tombstones
                .get(&oldest)
                .is_some_and(|tombstone| tombstone.made == made)
            {
                self.forget(oldest, made);
            }
        }
        let life = match why {
            Some(_) => limits::EXPIRED_TOMBSTONE_MS,
            None => limits::CLOSED_TOMBSTONE_MS,
        };
        let verdicts = why.map(|why| {
            Box::new(Verdicts {
                last: (record.epoch, Lost { why, verdict }),
                // If nothing of this epoch has arrived, as far as the store knows, the client may still mean the one before.
                before: record.verdict.map(|verdict| *verdict),
            })
        });
        let tombstone = Tombstone {
            identity: record.identity,
            attempt: record.attempt,
            verdicts,
            made: now,
            expires: now.after(life),
        };
        self.sweep = self.sweep.min(tombstone.expires);
        self.order.push_back((now, key));
        self.tombstones.insert(key, tombstone);
        // Those that are gone must not pile up.
        let tombstones = &self.tombstones;
        if self.order.len() > tombstones.len().saturating_mul(2).saturating_add(16) {
            self.order.retain(|(made, key)| {
                tombstones
                    .get(key)
                    .is_some_and(|tombstone| tombstone.made == *made)
            });
        }
    }

    fn open(&mut self, now: Time, claim: Claim) -> Reply<P> {
        let key = claim.key;
        let begins = claim.begins();
        if let Some(record) = self.records.get_mut(&key) {
            if record.identity != claim.identity {
                return Reply::Refused;
            }
            let owns = claim.owner == Some(record.owner);
            let late = match claim.lost {
                Some(_) => claim.attempt < record.attempt || !owns,
                None => claim.attempt <= record.attempt,
            };
            if late {
                return Reply::Stale;
            }
            if let Some(lost) = claim.lost.clone() {
                // Whoever has sent nothing has nothing to lose.
                let found = match begins {
                    true => Found::Fresh,
                    false => Found::Lost(lost),
                };
                return self.replace(now, &claim, found);
            }
            let is_next = claim.attempt == record.attempt.saturating_add(1);
            record.attempt = claim.attempt;
            let repeated = record
                .verdict
                .clone()
                .filter(|verdict| verdict.0 == claim.epoch);
            let is_it =
                claim.epoch == record.epoch || (claim.epoch == 0 && record.verdict.is_none());
            if !claim.may_resume && !owns && !begins {
                let verdict = is_it.then(|| Verdict {
                    handled: record.handled,
                    also: record.also.clone(),
                    given: MAX_NUMBER,
                    received: MAX_NUMBER,
                });
                let why = Why::Refused;
                return self.replace(now, &claim, Found::Lost(Lost { why, verdict }));
            }
            if !claim.may_resume && !owns {
                return self.replace(now, &claim, Found::Fresh);
            }
            // A hello may have come late and made this record, when what its client sent with a later one was handled
            // before the memory began. Only if no attempt is missing can that not be.
            if record.doubted && claim.epoch == 0 && claim.has_sent && !is_next && is_it {
                return self.replace(now, &claim, unknown());
            }
            let found = match repeated {
                _ if is_it => Found::Continued,
                Some(verdict) => Found::Lost(verdict.1),
                None => return self.replace(now, &claim, unknown()),
            };
            record.expires = now.after(self.options.lease_ms);
            let snapshot = (!owns).then(|| {
                self.owners = self.owners.saturating_add(1);
                record.owner = self.owners;
                record.owner_in_epoch = match begins {
                    // Nothing was sent to any earlier owner, so for the client this is the first.
                    true => 1,
                    false => record.owner_in_epoch.saturating_add(1).min(MAX_NUMBER),
                };
                record.step = (0, 0);
                let items = record.sent.upcoming();
                let items = items.map(|entry| (entry.item.clone(), entry.count));
                Snapshot::new(
                    record.handled,
                    record.also.clone(),
                    record.sent.base(),
                    items.collect(),
                    record.asked.clone(),
                )
            });
            return Reply::Opened(Box::new(Opening {
                epoch: record.epoch,
                owner: record.owner,
                owner_in_epoch: record.owner_in_epoch,
                found,
                snapshot,
                doubtful: record.doubted && begins,
            }));
        }
        let found = match self.tombstones.get(&key) {
            Some(tombstone) if tombstone.identity != claim.identity => return Reply::Refused,
            Some(tombstone) => {
                let Some(verdicts) = &tombstone.verdicts else {
                    return Reply::Over;
                };
                if claim.attempt <= tombstone.attempt {
                    return Reply::Stale;
                }
                if begins {
                    Found::Fresh
                } else {
                    let lost = verdicts.of(claim.epoch);
                    lost.map_or(unknown(), |lost| Found::Lost(lost.clone()))
                }
            }
            None if begins => Found::Fresh,
            // A proxy may have held the hello up before its handshake here.
            None if claim.epoch == 0 && claim.began > self.young_until() => Found::Fresh,
            None => unknown(),
        };
        if self.records.len() >= self.options.sessions {
            return Reply::NoRoom;
        }
        self.replace(now, &claim, found)
    }

    /// Makes a new record, in place of whatever was there.
    fn replace(&mut self, now: Time, claim: &Claim, found: Found) -> Reply<P> {
        let old = self.remove(claim.key);
        let attempt = old.map_or(0, |record| record.attempt);
        self.tombstones.remove(&claim.key);
        // Counted on, whatever was there before: a half of an earlier epoch may still ask.
        self.owners = self.owners.saturating_add(1);
        let owner = self.owners;
        let expires = now.after(self.options.lease_ms);
        let verdict = match &found {
            Found::Lost(lost) => Some(Box::new((claim.epoch, lost.clone()))),
            Found::Fresh | Found::Continued => None,
        };
        let origin = self.options.origin;
        let doubted = claim.began <= self.young_until();
        let record = Record {
            doubted,
            identity: claim.identity.clone(),
            attempt: attempt.max(claim.attempt),
            epoch: claim.new_epoch,
            owner,
            owner_in_epoch: 1,
            step: (0, 0),
            handled: origin,
            also: Vec::new(),
            sent: Sent::new(origin),
            asked: Vec::new(),
            verdict,
            expires,
        };
        self.sweep = self.sweep.min(expires);
        self.records.insert(claim.key, Box::new(record));
        Reply::Opened(Box::new(Opening {
            epoch: claim.new_epoch,
            owner,
            owner_in_epoch: 1,
            found,
            snapshot: None,
            doubtful: doubted && claim.begins(),
        }))
    }

    fn step(&mut self, step: Step<P>) -> Reply<P> {
        let Some(record) = self.records.get_mut(&step.key) else {
            return Reply::Gone;
        };
        if record.owner != step.owner || step.number < record.step.0 {
            return Reply::Fenced;
        }
        if step.number == record.step.0 {
            let (_, first) = record.step;
            return Reply::Stepped { first };
        }
        let before = record.sent.bytes();
        let adds = step.sends.iter().fold(0_u64, |sum, item| match item {
            Item::Message { payload, .. } => sum.saturating_add(payload.bytes() as u64),
            _ => sum,
        });
        let common = self.options.bytes.div_ceil(2);
        let shares = (self.options.bytes / 2)
            .checked_div(self.options.sessions as u64)
            .unwrap_or(0);
        let fits =
            before.saturating_add(adds) <= shares || self.bytes.saturating_add(adds) <= common;
        if adds > 0 && !fits {
            return Reply::Full;
        }
        record.handled = record.handled.max(step.handled);
        record.also = step.also;
        if step.confirmed {
            record.verdict = None;
        }
        record.sent.acknowledge(step.acknowledged, |_| {});
        record.sent.got(step.got);
        for number in step.freed {
            record.sent.replace(number, Item::Free);
            record.asked.retain(|request| *request != number);
        }
        let first = record.sent.last().saturating_add(1);
        if step.sends.is_empty() {
            record.sent.release();
        }
        for item in step.sends {
            let is_request = matches!(item, Item::Request { .. });
            let number = record.sent.push(item);
            if is_request {
                record.asked.push(number);
            }
        }
        if record.asked.is_empty() {
            record.asked = Vec::new();
        }
        record.step = (step.number, first);
        let after = record.sent.bytes();
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        Reply::Stepped { first }
    }

    fn finish(&mut self, now: Time, finish: Finish) -> Reply<P> {
        match self.records.get(&finish.key) {
            None => return Reply::Gone,
            Some(record) if record.owner != finish.owner => return Reply::Fenced,
            Some(_) => {}
        }
        if let Some(mut record) = self.remove(finish.key) {
            if finish.confirmed {
                record.verdict = None;
            }
            self.bury(now, finish.key, record, finish.why, finish.verdict);
        }
        Reply::Finished
    }
}

/// What is said when nothing is known of what a client has sent.
const fn unknown() -> Found {
    Found::Lost(Lost {
        why: Why::Unknown,
        verdict: None,
    })
}

impl<P: Payload> Store<P> for MemoryStore<P> {
    fn ask(&mut self, now: Time, ticket: Ticket, question: Question<P>) {
        let (key, owner) = match &question {
            Question::Open(claim) => (claim.key, claim.owner),
            Question::Step(step) => (step.key, Some(step.owner)),
            Question::Finish(finish) => (finish.key, Some(finish.owner)),
        };
        // An owner that asks is alive, however long the process slept.
        if let Some(record) = self.records.get_mut(&key)
            && owner == Some(record.owner)
        {
            record.expires = now.after(self.options.lease_ms);
        }
        self.expire(now);
        let reply = match question {
            Question::Open(claim) => self.open(now, claim),
            Question::Step(step) => self.step(step),
            Question::Finish(finish) => self.finish(now, finish),
        };
        self.replies.push_back((ticket, reply));
    }

    fn poll(&mut self) -> Option<(Ticket, Reply<P>)> {
        self.replies.pop_front()
    }
}
