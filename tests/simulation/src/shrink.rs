//! Cuts a failing run down to the steps that matter.

use core::fmt;

use crate::op::{Op, Step};
use crate::run::{Failure, replay};

/// Delta debugging: omits ever smaller pieces as long as the run still fails, with any violation, then simplifies the
/// rest.
#[must_use]
pub fn shrink(failure: Failure) -> Failure {
    let mut best = failure;
    let mut piece = best.steps.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        let mut shorter = false;
        while start < best.steps.len() {
            let end = (start + piece).min(best.steps.len());
            let mut steps = best.steps.clone();
            steps.drain(start..end);
            match replay(best.settings, &steps) {
                Some(smaller) => {
                    best = smaller;
                    shorter = true;
                }
                None => start = end,
            }
        }
        if !shorter || piece > best.steps.len() {
            piece /= 2;
        }
    }
    plainer(together(best))
}

/// Merges consecutive steps in which only time passes.
fn together(failure: Failure) -> Failure {
    let mut steps: Vec<Step> = Vec::with_capacity(failure.steps.len());
    for step in &failure.steps {
        match (steps.last_mut().map(|last| &mut last.op), step.op) {
            (Some(Op::Advance(earlier)), Op::Advance(millis)) => {
                *earlier = earlier.saturating_add(millis);
            }
            _ => steps.push(*step),
        }
    }
    replay(failure.settings, &steps).unwrap_or(failure)
}

/// Tries a simpler form of each step.
fn plainer(mut best: Failure) -> Failure {
    for index in 0..best.steps.len() {
        let Some(&step) = best.steps.get(index) else {
            break;
        };
        let plain = Step::from(match step.op {
            Op::Command { command, .. } => Op::Command {
                command,
                same_task: false,
            },
            op => op,
        });
        for candidate in [
            plain,
            Step {
                verdict: None,
                ..step
            },
            Step {
                chance: 0.5,
                ..step
            },
        ] {
            if candidate == best.steps[index] {
                continue;
            }
            let mut steps = best.steps.clone();
            steps[index] = candidate;
            if let Some(simpler) = replay(best.settings, &steps) {
                if simpler.steps.len() <= best.steps.len() {
                    best = simpler;
                }
                break;
            }
        }
    }
    best
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation)?;
        writeln!(f, "{:?}", self.settings)?;
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "{:4}  {:?}", index + 1, step.op)?;
            if step.chance != 0.5 {
                write!(f, "  chance {}", step.chance)?;
            }
            if let Some(verdict) = step.verdict {
                write!(f, "  predicate {verdict:?}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
