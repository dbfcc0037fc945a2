//! A small random number generator, so that a seed means the same on every machine forever.

/// SplitMix64 (Steele, Lea and Flood, 2014): one addition and a mix per number.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The bias is below 2⁻⁴⁰ for every bound used here.
        self.any() % bound
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // The 53 bits that a double holds.
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `true` once in `times`.
    pub const fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`, which is not empty.
    pub const fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Shuffles `items` (Fisher and Yates).
    pub const fn shuffle<T>(&mut self, items: &mut [T]) {
        let mut left = items.len();
        while left > 1 {
            let other = self.below(left as u64) as usize;
            left -= 1;
            items.swap(left, other);
        }
    }

    /// An exponentially distributed time with this mean, at least 1.
    pub fn around(&mut self, mean: u64) -> u64 {
        ((mean as f64 * -(1.0 - self.unit()).ln()) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // The first numbers of seed 1234567 in the reference implementation in C.
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.any(), 6_457_827_717_110_365_317);
        assert_eq!(rng.any(), 3_203_168_211_198_807_973);
    }
}
