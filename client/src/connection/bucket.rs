//! A token bucket over attempts, so that neither a loop in the application nor an unreliable network causes a storm.

use super::Time;

/// The attempts available, counted in the milliseconds that they take to refill.
///
/// Invariant: `credit` is at most `capacity`.
#[derive(Clone, Debug, Hash)]
pub(super) struct Bucket {
    /// Milliseconds to refill one attempt; 0 means no limit.
    price: u64,
    capacity: u64,
    credit: u64,
    /// The time for which `credit` was computed.
    at: Time,
}

impl Bucket {
    /// A full bucket.
    pub(super) const fn new(burst: u32, price: u64) -> Self {
        let capacity = price.saturating_mul(burst as u64);
        Self {
            price,
            capacity,
            credit: capacity,
            at: Time::from_millis(0),
        }
    }

    /// Takes an attempt and returns 0, or returns how many milliseconds remain until one is available.
    pub(super) fn take(&mut self, now: Time) -> u64 {
        let wait = self.wait(now);
        if wait == 0 {
            self.credit = self.credit_at(now).saturating_sub(self.price);
            self.at = now;
        }
        wait
    }

    /// How many milliseconds remain until an attempt is available; 0 if one is available now.
    pub(super) fn wait(&self, now: Time) -> u64 {
        self.price.saturating_sub(self.credit_at(now))
    }

    fn credit_at(&self, now: Time) -> u64 {
        let grown = self.credit.saturating_add(now.since(self.at));
        grown.min(self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // [R21][F46]
    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let at = Time::from_millis;
        let mut bucket = Bucket::new(3, 100);
        assert_eq!([(); 3].map(|()| bucket.take(at(7))), [0; 3]);
        assert_eq!(bucket.take(at(7)), 100);
        assert_eq!(bucket.take(at(47)), 60);
        assert_eq!((bucket.wait(at(47)), bucket.wait(at(107))), (60, 0));
        assert_eq!(bucket.take(at(107)), 0);
        assert_eq!(bucket.take(at(107)), 100);
        // However long nothing happens, no more than the burst is saved up.
        assert_eq!([(); 4].map(|()| bucket.take(at(1_000_000))), [0, 0, 0, 100]);
    }

    #[test]
    fn a_price_of_nothing_is_no_limit() {
        let mut bucket = Bucket::new(1, 0);
        assert_eq!(
            [(); 100].map(|()| bucket.take(Time::from_millis(1))),
            [0; 100]
        );
    }
}
