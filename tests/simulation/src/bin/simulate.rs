//! Runs seeds and all short sequences, and prints the coverage.

use std::process::ExitCode;
use std::time::Instant;

use simulation::coverage::{Coverage, Kind};
use simulation::run::{INPUTS, run_seeds};
use simulation::{busy, exhaustive, shrink};

const HELP: &str = "\
Runs the connection core in simulated worlds and checks its promises after every step.

Options:
  --seeds N        number of seeds (default 20000)
  --first-seed S   the first seed (default 1)
  --depth D        also try every sequence of D inputs (default 6 without a seed option, else 0)
  --threads T      number of threads (default: one per core)
  --quiet          do not print the coverage table
  --help           this text
";

/// With fewer inputs, some kinds cannot occur.
const LEAST_DEPTH: u32 = 4;

struct Arguments {
    seeds: u64,
    first_seed: u64,
    depth: u32,
    threads: u64,
    quiet: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let machine = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let mut arguments = Arguments {
        seeds: 20_000,
        first_seed: 1,
        depth: u32::MAX,
        threads: machine,
        quiet: false,
    };
    let mut named = false;
    while let Some(word) = words.next() {
        let mut number = |least: u64, most: u64| {
            words
                .next()
                .and_then(|text| text.parse().ok())
                .filter(|number| (least..=most).contains(number))
                .ok_or(format!("{word} takes a number from {least} to {most}"))
        };
        match word.as_str() {
            "--seeds" => arguments.seeds = number(0, u64::MAX)?,
            "--first-seed" => {
                arguments.first_seed = number(0, u64::MAX)?;
                named = true;
            }
            "--depth" => arguments.depth = number(0, 9)? as u32,
            "--threads" => arguments.threads = number(1, 1_024)?,
            "--quiet" => arguments.quiet = true,
            "--help" => return Ok(None),
            _ => return Err(format!("unknown option {word}; --help lists them")),
        }
    }
    if arguments.depth == u32::MAX {
        arguments.depth = if named { 0 } else { 6 };
    }
    Ok(Some(arguments))
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut coverage = Coverage::default();
    let sound = (arguments.seeds == 0 || seeds(&arguments, &mut coverage))
        && (arguments.depth == 0 || sequences(&arguments, &mut coverage));
    if !sound {
        return ExitCode::FAILURE;
    }
    if !arguments.quiet {
        println!("\nHow often each input occurred in each state (-: impossible):\n\n{coverage}");
    }
    ExitCode::SUCCESS
}

/// Runs the seeds; returns whether they found nothing.
fn seeds(arguments: &Arguments, coverage: &mut Coverage) -> bool {
    let start = Instant::now();
    if let Err(wrong) = busy::run_seeds(arguments.first_seed, arguments.seeds) {
        println!(
            "FAILED: cargo xtask simulate --first-seed {} --seeds {}",
            arguments.first_seed, arguments.seeds
        );
        println!("{wrong}");
        return false;
    }
    match run_seeds(arguments.first_seed, arguments.seeds, arguments.threads) {
        Ok(seeds) => coverage.merge(&seeds),
        Err((seed, failure)) => {
            let inputs = failure.steps.len();
            // Every panicking attempt to shrink would print its own message.
            std::panic::set_hook(Box::new(|_| {}));
            let small = shrink::shrink(*failure);
            println!("FAILED: cargo xtask simulate --first-seed {seed} --seeds 1");
            println!("Step {inputs}, cut down to {}:\n{small}", small.steps.len());
            return false;
        }
    }
    println!(
        "{} seeds of {INPUTS} inputs from seed {}: nothing found, in {:.1} s",
        arguments.seeds,
        arguments.first_seed,
        start.elapsed().as_secs_f64()
    );
    true
}

/// Tries all sequences; returns whether they found nothing and every kind of input occurred.
fn sequences(arguments: &Arguments, coverage: &mut Coverage) -> bool {
    let start = Instant::now();
    let tried = match exhaustive::try_all(arguments.depth, arguments.threads as usize) {
        Ok(tried) => tried,
        Err(failure) => {
            println!(
                "FAILED: cargo xtask simulate --seeds 0 --depth {}",
                arguments.depth
            );
            println!("Cut down to {} steps:\n{failure}", failure.steps.len());
            return false;
        }
    };
    println!(
        "{} sequences of {} inputs: nothing found, in {:.1} s ({} steps, as those that come to the same are \
         tried once)",
        tried.sequences,
        arguments.depth,
        start.elapsed().as_secs_f64(),
        tried.steps
    );
    let kinds = tried.coverage.by_kind();
    if !arguments.quiet {
        println!("How often each kind of input occurred in them:");
        for line in kinds.chunks(6) {
            let words: Vec<String> = line
                .iter()
                .map(|(kind, times)| format!("{kind:?} {times}"))
                .collect();
            println!("  {}", words.join(", "));
        }
    }
    coverage.merge(&tried.coverage);
    let never: Vec<Kind> = kinds
        .into_iter()
        .filter(|(_, times)| *times == 0)
        .map(|(kind, _)| kind)
        .collect();
    if arguments.depth >= LEAST_DEPTH && !never.is_empty() {
        println!("FAILED: kinds of input that never occurred: {never:?}");
        return false;
    }
    true
}
