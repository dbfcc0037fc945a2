//! Runs seeds of the sessions' world, and prints how often each outcome occurred.

use std::process::ExitCode;
use std::time::Instant;

use simulation::sessions::script::{STEPS, run_seeds, run_traced};

const HELP: &str = "\
Runs both halves of a session in simulated worlds and checks their promises after every step.

Options:
  --seeds N        number of seeds (default 20000)
  --first-seed S   the first seed (default 1)
  --threads T      number of threads (default: one per core)
  --trace          print what the halves do in the first seed, and nothing else
  --quiet          do not print how often each outcome occurred
  --help           this text
";

fn main() -> ExitCode {
    let machine = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let (mut seeds, mut first, mut threads, mut quiet) = (20_000, 1, machine, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = match word.as_str() {
            "--seeds" => &mut seeds,
            "--first-seed" => &mut first,
            "--threads" => &mut threads,
            "--quiet" => {
                quiet = true;
                continue;
            }
            "--trace" => {
                if let Err(failure) = run_traced(first, true) {
                    println!("{failure}");
                    return ExitCode::FAILURE;
                }
                return ExitCode::SUCCESS;
            }
            "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("unknown option {word}; --help lists them");
                return ExitCode::from(2);
            }
        };
        match words
            .next()
            .and_then(|text| text.parse().ok())
            .filter(|n| *n > 0)
        {
            Some(given) => *number = given,
            None => {
                eprintln!("{word} takes a number from 1");
                return ExitCode::from(2);
            }
        }
    }
    let start = Instant::now();
    match run_seeds(first, seeds, threads) {
        Ok(coverage) => {
            println!(
                "{seeds} seeds of {STEPS} steps from seed {first}: nothing found, in {:.1} s",
                start.elapsed().as_secs_f64()
            );
            if !quiet {
                println!("\nHow often each outcome occurred:\n\n{coverage}");
            }
            let missing = coverage.missing();
            if seeds >= 1_000 && !missing.is_empty() {
                println!("FAILED: never occurred: {missing:?}");
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!(
                "FAILED: cargo run -p simulation --bin sessions -- --seeds 1 --first-seed {}",
                failure.seed
            );
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
