//! What a herd of our clients must not do to a server: the figures of docs/herd.md, with another seed.

use simulation::herd::{Hint, Outcome, Policy, run};

fn herd(hint: Hint, outage_s: u64) -> Outcome {
    run(Policy::Ours(hint), 10_000, 500, outage_s * 1_000, 7)
}

fn everybody_is_back_soon(outcome: &Outcome) {
    assert_eq!(outcome.gave_up(), 0);
    let back = outcome.back_within(0.99).unwrap();
    assert!(back <= 35.0, "99 % are back after {back} s");
}

// [R7][F45]
#[test]
fn a_restart_costs_few_attempts() {
    let outcome = herd(Hint::None, 0);
    let attempts = outcome.attempts_each();
    assert!(attempts <= 2.5, "{attempts} attempts each");
    everybody_is_back_soon(&outcome);
}

// [R7][R12][F45]
#[test]
fn a_restart_with_a_hint_costs_hardly_more_than_one_attempt() {
    for hint in [Hint::Restart, Hint::Window(20_000), Hint::Window(30_000)] {
        let outcome = herd(hint, 0);
        let attempts = outcome.attempts_each();
        assert!(attempts <= 1.1, "{attempts} attempts each after {hint:?}");
        everybody_is_back_soon(&outcome);
    }
}

// [R7][R18][F45]
#[test]
fn a_server_that_is_away_is_asked_ever_more_rarely() {
    for (outage_s, most) in [(30, 0.12), (300, 0.07)] {
        let outcome = herd(Hint::None, outage_s);
        let rate = outcome.rate_while_down();
        assert!(
            rate <= most,
            "{rate} attempts a second each in {outage_s} s"
        );
        everybody_is_back_soon(&outcome);
    }
}
