//! What is written down: one list of values for each thing that is measured of each server.

use serde::Serialize;

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which they were first seen.
    pub measurements: Vec<Measurement>,
}

/// One thing that is measured of one server, round by round.
#[derive(Debug, Serialize)]
pub struct Measurement {
    /// The part of the whole of the project's measurements.
    pub part: u32,
    /// What is measured.
    pub case: String,
    /// Of which server.
    pub contender: &'static str,
    /// The unit of the values.
    pub unit: &'static str,
    /// A value for each round.
    pub samples: Vec<f64>,
}

impl Report {
    /// Adds a value to those of earlier rounds.
    pub fn add(
        &mut self,
        part: u32,
        case: String,
        contender: &'static str,
        unit: &'static str,
        value: f64,
    ) {
        let same = |it: &&mut Measurement| it.case == case && it.contender == contender;
        match self.measurements.iter_mut().find(same) {
            Some(known) => known.samples.push(value),
            None => self.measurements.push(Measurement {
                part,
                case,
                contender,
                unit,
                samples: vec![value],
            }),
        }
    }
}

/// The value below which this share of sorted values lies; `None` if there are none.
#[must_use]
pub fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_same_thing_are_one_measurement() {
        let mut report = Report::default();
        for (case, contender, value) in [
            ("a", "x", 1.0),
            ("a", "y", 2.0),
            ("a", "x", 3.0),
            ("b", "x", 4.0),
        ] {
            report.add(5, case.to_owned(), contender, "ms", value);
        }
        let samples: Vec<_> = report
            .measurements
            .iter()
            .map(|it| it.samples.clone())
            .collect();
        assert_eq!(samples, [vec![1.0, 3.0], vec![2.0], vec![4.0]]);
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let sorted: Vec<u32> = (0..=100).collect();
        for (share, value) in [(0.0, 0), (0.5, 50), (0.99, 99), (1.0, 100)] {
            assert_eq!(quantile(&sorted, share), Some(value));
        }
        assert_eq!(quantile(&[7], 0.99), Some(7));
        assert_eq!(quantile::<u32>(&[], 0.5), None);
    }
}
