//! How long to wait before the next attempt: full jitter, the cap applied before drawing.

use crate::options::Options;

/// A time between `min_ms` and `max_ms`, chosen by `chance` in [0, 1).
#[must_use]
pub(super) fn draw(min_ms: f64, max_ms: f64, chance: f64) -> u64 {
    // A random number out of range, even NaN, must not produce a wait out of range.
    let chance = if chance.is_nan() {
        0.5
    } else {
        chance.clamp(0.0, 1.0)
    };
    (min_ms + (max_ms - min_ms).max(0.0) * chance) as u64
}

/// The wait before retry number `retry`, where 0 is the first after a stable connection (or after the
/// first attempt of all).
#[must_use]
pub(super) fn backoff(options: &Options, retry: u32, chance: f64) -> u64 {
    let options = options.values();
    if retry == 0 {
        return draw(0.0, options.first_delay_max as f64, chance);
    }
    let (min, max) = (options.min_delay as f64, options.max_delay as f64);
    let mut ceiling = options.base_delay as f64;
    // After 64 steps, every growth factor above 1 is far beyond the cap.
    for _ in 0..retry.min(64) {
        ceiling *= options.growth_factor;
    }
    draw(min, ceiling.min(max).max(min), chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;

    // [R18]
    #[test]
    fn the_ceiling_grows_to_the_cap() {
        let options = Options::default();
        let ceilings: Vec<u64> = (0..6).map(|retry| backoff(&options, retry, 1.0)).collect();
        assert_eq!(ceilings, [5_000, 10_000, 20_000, 30_000, 30_000, 30_000]);
        let floors: Vec<u64> = (0..4).map(|retry| backoff(&options, retry, 0.0)).collect();
        assert_eq!(floors, [0, 1_000, 1_000, 1_000]);
    }

    /// The wait for the module in JavaScript uses the same table.
    // [R31]
    #[test]
    fn waits_are_as_in_the_table() {
        let table = include_str!("../../tests/backoff.txt");
        for row in table.lines().filter(|row| !row.starts_with('#')) {
            let numbers: Vec<f64> = row
                .split([' ', '|'])
                .filter(|word| !word.is_empty())
                .map(|word| word.parse().unwrap())
                .collect();
            let [first, min, base, growth, max, retry, chance, wait] = numbers[..] else {
                panic!("{row}");
            };
            let millis = |millis| Duration::from_millis(millis as u64);
            let options = Options::default()
                .first_delay_max(millis(first))
                .min_delay(millis(min))
                .base_delay(millis(base))
                .growth_factor(growth)
                .max_delay(millis(max));
            assert_eq!(
                backoff(&options, retry as u32, chance),
                wait as u64,
                "{row}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_between_the_least_and_the_cap(retry: u32, chance: f64) {
            let wait = backoff(&Options::default(), retry, chance);
            prop_assert!(wait <= 30_000);
            prop_assert!(retry == 0 || wait >= 1_000);
        }

        #[test]
        fn the_waits_at_the_cap_differ(chance in 0.0..0.99) {
            // The cap is applied before drawing, so that clients stay spread out once it is reached.
            let options = Options::default();
            let wait = backoff(&options, 40, chance);
            let later = backoff(&options, 40, chance + 0.01);
            prop_assert!(wait < later);
        }
    }
}
