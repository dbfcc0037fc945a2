//! Logs in this process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use steady_socket_protocol::session::Payload as _;
use tokio::time::Instant;

use super::{Entry, LogLimits, Read};

#[derive(Debug, Default)]
pub(super) struct MemoryLogs {
    logs: HashMap<Arc<str>, MemoryLog>,
    /// The next number of a log that is new. It rises above those of all logs that are gone.
    origin: u64,
    sweep: Option<Instant>,
}

#[derive(Debug)]
struct MemoryLog {
    /// The number of the entry before the first.
    before: u64,
    entries: VecDeque<Entry>,
    bytes: u64,
    used: Instant,
}

impl MemoryLogs {
    /// Appends an entry, at the cost of the oldest, and forgets logs that nobody has used or `is_joined`.
    pub(super) fn append(
        &mut self,
        name: &Arc<str>,
        entry: Entry,
        limits: &LogLimits,
        is_joined: impl Fn(&str) -> bool,
    ) -> u64 {
        let now = Instant::now();
        if *self.sweep.get_or_insert(now + limits.life) <= now {
            self.sweep = Some(now + limits.life);
            let mut gone = 0;
            self.logs.retain(|name, log| {
                let stays = log.used + limits.life > now || is_joined(name);
                if !stays {
                    gone = gone.max(log.last());
                }
                stays
            });
            self.origin = self.origin.max(gone);
        }
        let log = self.log(name);
        log.used = now;
        log.bytes += entry.body.bytes() as u64;
        log.entries.push_back(entry);
        while log.entries.len() > 1
            && (log.entries.len() > limits.entries || log.bytes > limits.bytes)
        {
            if let Some(oldest) = log.entries.pop_front() {
                log.bytes -= oldest.body.bytes() as u64;
                log.before += 1;
            }
        }
        log.last()
    }

    /// The number of the last entry that one has who gets so many of the last ones.
    pub(super) fn join(&mut self, name: &Arc<str>, history: u64) -> u64 {
        let log = self.log(name);
        log.used = Instant::now();
        log.last().saturating_sub(history).max(log.before)
    }

    pub(super) fn read(&self, name: &str, after: u64, most: usize) -> Read {
        let Some(log) = self.logs.get(name) else {
            return Read::Gone;
        };
        match after.checked_sub(log.before) {
            None => Read::Behind,
            Some(from) => {
                let entries = log.entries.iter().skip(from as usize).take(most);
                Read::Entries(entries.cloned().collect())
            }
        }
    }

    fn log(&mut self, name: &Arc<str>) -> &mut MemoryLog {
        let before = self.origin;
        self.logs
            .entry(Arc::clone(name))
            .or_insert_with(|| MemoryLog {
                before,
                entries: VecDeque::new(),
                bytes: 0,
                used: Instant::now(),
            })
    }
}

impl MemoryLog {
    fn last(&self) -> u64 {
        self.before + self.entries.len() as u64
    }
}
