//! A part of what `simulate` runs, small enough for every test run.

use simulation::exhaustive;
use simulation::run::run_seeds;
use simulation::shrink::shrink;

// [R6][R25][R29]
#[test]
fn seeds_find_nothing_and_try_every_input_in_every_state() {
    match run_seeds(1, 5_000, 2) {
        Ok(coverage) => assert_eq!(coverage.missing(), [], "never tried"),
        Err((seed, failure)) => panic!("seed {seed}: {}", shrink(*failure)),
    }
}

// [R6][R29]
#[test]
fn every_sequence_of_four_inputs_is_sound() {
    if let Err(failure) = exhaustive::try_all(4, 2) {
        panic!("{failure}");
    }
}

#[test]
fn a_seed_means_the_same_run_every_time() {
    let run = || run_seeds(99, 3, 1).map_err(|(_, failure)| failure.violation);
    assert_eq!(run(), run());
}
