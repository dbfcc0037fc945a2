//! A part of what `simulate` runs, small enough for every test run.

use std::collections::HashMap;

use simulation::exhaustive;
use simulation::op::Step;
use simulation::run::run_seeds;
use simulation::shrink::shrink;
use simulation::world::World;

// [R1][R4][R6][R7][R11][R12][R13][R14][R17][R18][R21][R22][R23][R25][R26][R27][R29][R36][F17][F50]
#[test]
fn seeds_find_nothing_and_try_every_input_in_every_state() {
    match run_seeds(1, 26_000, 2) {
        Ok(coverage) => assert_eq!(coverage.missing(), [], "never tried"),
        Err((seed, failure)) => panic!("seed {seed}: {}", shrink(*failure)),
    }
}

// [R6][R29][R36]
#[test]
fn every_sequence_of_four_inputs_is_sound() {
    match exhaustive::try_all(4, 2) {
        Ok(tried) => {
            for (kind, times) in tried.coverage.by_kind() {
                assert!(times > 0, "{kind:?} took no part");
            }
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// Justifies continuing the search with only one of the sequences that lead to the same state.
#[test]
fn worlds_with_the_same_fingerprint_react_alike() {
    let letters = exhaustive::alphabet();
    for (settings, before) in exhaustive::worlds() {
        let mut world = World::new(settings);
        for step in before {
            world.step(step).unwrap();
        }
        let after = |world: &World, letter: &Step| {
            let mut world = world.clone();
            world.step(*letter).unwrap();
            world
        };
        let mut reactions = HashMap::new();
        for first in &letters {
            let world = after(&world, first);
            for second in &letters {
                let world = after(&world, second);
                let reaction: Vec<u64> = letters
                    .iter()
                    .map(|letter| after(&world, letter).fingerprint())
                    .collect();
                let known = reactions
                    .entry(world.fingerprint())
                    .or_insert_with(|| reaction.clone());
                assert_eq!(*known, reaction, "after {first:?} and {second:?}");
            }
        }
        assert!(reactions.len() < letters.len().pow(2));
    }
}

// [R1][R20][R34]
#[test]
fn a_busy_page_keeps_a_living_server_and_gives_up_a_dead_one() {
    if let Err(wrong) = simulation::busy::run_seeds(1, 20_000) {
        panic!("{wrong}");
    }
}

#[test]
fn a_seed_means_the_same_run_every_time() {
    let run = || run_seeds(99, 3, 1).map_err(|(_, failure)| failure.violation);
    assert_eq!(run(), run());
}
