//! Whole runs: of a seed, and of a list of steps.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::coverage::Coverage;
use crate::op::{Op, Settings, Step};
use crate::script::Script;
use crate::world::{Violation, World};

/// How many inputs a seed runs, not counting the passing of time.
pub const INPUTS: usize = 500;

/// A run that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The violation.
    pub violation: Violation,
    /// The options of the connection.
    pub settings: Settings,
    /// The steps, the violating one last.
    pub steps: Vec<Step>,
}

/// Runs one step, treating a panic as a violation.
fn guarded(world: &mut World, step: Step) -> Result<(), Violation> {
    catch_unwind(AssertUnwindSafe(|| world.step(step))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(format!("panic: {text}"))
    })
}

/// Runs the world of `seed`.
///
/// # Errors
/// The first broken promise.
pub fn run_seed(seed: u64) -> Result<Coverage, Box<Failure>> {
    let mut script = Script::new(seed);
    let settings = script.settings();
    let mut world = World::new(settings);
    let mut steps = Vec::with_capacity(2 * INPUTS);
    let mut inputs = 0;
    while inputs < INPUTS {
        let step = script.next(&mut world);
        steps.push(step);
        inputs += usize::from(!matches!(step.op, Op::Advance(_)));
        if let Err(violation) = guarded(&mut world, step) {
            return Err(Box::new(Failure {
                violation,
                settings,
                steps,
            }));
        }
    }
    Ok(world.take_coverage())
}

/// Repeats a list of steps; returns the steps up to the one that broke a promise, if any did.
#[must_use]
pub fn replay(settings: Settings, steps: &[Step]) -> Option<Failure> {
    let mut world = World::new(settings);
    for (index, step) in steps.iter().enumerate() {
        if let Err(violation) = guarded(&mut world, *step) {
            return Some(Failure {
                violation,
                settings,
                steps: steps.iter().copied().take(index + 1).collect(),
            });
        }
    }
    None
}

/// Runs `count` seeds from `first` on `threads` threads; returns the coverage, or the failure of the lowest seed that
/// was seen to fail.
///
/// # Errors
/// The seed and its failure.
///
/// # Panics
/// If the machine cannot start threads.
pub fn run_seeds(first: u64, count: u64, threads: u64) -> Result<Coverage, (u64, Box<Failure>)> {
    use std::sync::atomic::{AtomicU64, Ordering};
    let next = AtomicU64::new(0);
    let work = || {
        let mut coverage = Coverage::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(coverage);
            }
            let seed = first.wrapping_add(index);
            match run_seed(seed) {
                Ok(run) => coverage.merge(&run),
                Err(failure) => {
                    // The others stop at their next seed.
                    next.store(count, Ordering::Relaxed);
                    return Err((seed, failure));
                }
            }
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    let mut coverage = Coverage::default();
    let mut worst: Option<(u64, Box<Failure>)> = None;
    for result in results {
        match result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(part) => coverage.merge(&part),
            Err(failure) => {
                if worst.as_ref().is_none_or(|(seed, _)| failure.0 < *seed) {
                    worst = Some(failure);
                }
            }
        }
    }
    worst.map_or(Ok(coverage), Err)
}
