//! The results, in the format of `bench/README.md`: one list of values for each measured quantity of
//! each server.

use serde::Serialize;

/// All results of one part of the project's benchmarks.
#[derive(Debug, Serialize)]
pub struct Report {
    format: u32,
    #[serde(skip)]
    part: u32,
    measurements: Vec<Measurement>,
}

/// One measured quantity of one server.
#[derive(Debug, Serialize)]
struct Measurement {
    part: u32,
    case: String,
    contender: &'static str,
    unit: &'static str,
    /// A value for each round.
    samples: Vec<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

impl Report {
    /// No results yet, of the part with this number.
    #[must_use]
    pub const fn new(part: u32) -> Self {
        Self {
            format: 1,
            part,
            measurements: Vec::new(),
        }
    }

    /// Adds a value to those of earlier rounds. An empty note means none.
    pub fn add(
        &mut self,
        case: String,
        contender: &'static str,
        unit: &'static str,
        value: f64,
        note: &str,
    ) {
        let same = |it: &&mut Measurement| it.case == case && it.contender == contender;
        match self.measurements.iter_mut().find(same) {
            Some(known) => known.samples.push(value),
            None => self.measurements.push(Measurement {
                part: self.part,
                case,
                contender,
                unit,
                samples: vec![value],
                note: note.to_owned(),
            }),
        }
    }

    /// Keeps only cases with one of these in their names.
    pub fn keep(&mut self, part_of_case: &str) {
        self.measurements
            .retain(|it| it.case.contains(part_of_case));
    }

    /// Groups the values of one case, by name, with the contenders in this order: random rounds leave them in
    /// another.
    pub fn sort(&mut self, contenders: impl Iterator<Item = &'static str> + Clone) {
        self.measurements.sort_by_cached_key(|it| {
            (
                it.case.clone(),
                contenders.clone().position(|name| name == it.contender),
            )
        });
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

    fn report(values: &[(&str, &'static str, f64)]) -> Report {
        let mut report = Report::new(5);
        for &(case, contender, value) in values {
            report.add(case.to_owned(), contender, "ms", value, "");
        }
        report
    }

    fn cases(report: &Report) -> Vec<(&str, &str, &[f64])> {
        let all = report.measurements.iter();
        all.map(|it| (it.case.as_str(), it.contender, it.samples.as_slice()))
            .collect()
    }

    #[test]
    fn values_of_the_same_thing_are_one_measurement() {
        let mut report = report(&[
            ("b/1", "y", 2.0),
            ("a/1", "y", 4.0),
            ("b/1", "x", 1.0),
            ("b/1", "y", 3.0),
        ]);
        report.sort(["x", "y"].into_iter());
        let sorted: [(_, _, &[f64]); 3] = [
            ("a/1", "y", &[4.0]),
            ("b/1", "x", &[1.0]),
            ("b/1", "y", &[2.0, 3.0]),
        ];
        assert_eq!(cases(&report), sorted);
        report.keep("a/");
        assert_eq!(cases(&report), sorted[..1]);
    }

    #[test]
    fn it_is_written_in_the_format_of_all_measurements() {
        let json = serde_json::to_value(report(&[("a/1", "x", 1.5)])).unwrap();
        let expected = serde_json::json!({ "format": 1, "measurements": [
            { "part": 5, "case": "a/1", "contender": "x", "unit": "ms", "samples": [1.5] },
        ] });
        assert_eq!(json, expected);
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
