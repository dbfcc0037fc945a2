//! Whether the machine slept, by two clocks.

use crate::connection::{Hint, Time};

/// How far the wall clock must run ahead of the monotonic one to show that the machine slept, in milliseconds.
/// Smaller steps are corrections of the clock.
const SLEPT_MS: u64 = 2_000;

/// Both clocks, read at the same moment. While the machine sleeps, only the wall clock goes on in most browsers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) monotonic: Time,
    /// Milliseconds, from any origin.
    pub(crate) wall: u64,
}

impl Clocks {
    /// What two readings say about the time between them: [`Hint::Slept`], or nothing.
    pub(crate) fn slept(self, later: Self) -> Option<Hint> {
        let millis = self.slept_ms(later);
        (millis > 0).then_some(Hint::Slept { millis })
    }

    /// For how many milliseconds the machine slept between two readings.
    pub(crate) fn slept_ms(self, later: Self) -> u64 {
        let passed = later.monotonic.since(self.monotonic);
        let millis = later.wall.saturating_sub(self.wall).saturating_sub(passed);
        match millis > SLEPT_MS {
            true => millis,
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Clocks = at(1_000, 50_000);

    const fn at(monotonic: u64, wall: u64) -> Clocks {
        Clocks {
            monotonic: Time::from_millis(monotonic),
            wall,
        }
    }

    #[test]
    fn a_wall_clock_that_ran_ahead_shows_a_sleep() {
        let hint = START.slept(at(1_500, 60_500));
        assert_eq!(hint, Some(Hint::Slept { millis: 10_000 }));
    }

    #[test]
    fn clocks_that_ran_alike_or_were_corrected_show_none() {
        for later in [
            at(1_000, 50_000),
            at(90_000, 139_000),
            at(1_500, 50_500 + SLEPT_MS),
            // Set back, or stopped.
            at(9_000, 10_000),
            at(9_000, 0),
            at(9_000, 50_000),
        ] {
            assert_eq!(START.slept(later), None, "{later:?}");
        }
    }

    #[test]
    fn no_reading_overflows() {
        let hint = at(0, 0).slept(at(0, u64::MAX));
        assert_eq!(hint, Some(Hint::Slept { millis: u64::MAX }));
        assert_eq!(at(5, u64::MAX).slept(at(0, 0)), None);
    }
}
