//! Runs seeds of the sessions' world and all short sequences, and prints how often each outcome occurred.

use std::process::ExitCode;
use std::time::Instant;

use simulation::sessions::coverage::Coverage;
use simulation::sessions::exhaustive::{ALPHABET, try_all, worlds};
use simulation::sessions::script::{STEPS, run_seeds, run_traced};

const HELP: &str = "\
Runs both halves of a session in simulated worlds and checks their promises after every step.

Options:
  --seeds N        number of seeds (default 20000)
  --first-seed S   the first seed (default 1)
  --depth D        also try every sequence of D inputs (default 4 without a seed option, else 0); 5 takes ten times
                   as long as 4
  --threads T      number of threads (default: one per core)
  --trace          print what the halves do in the first seed, and nothing else
  --quiet          do not print how often each outcome occurred
  --help           this text
";

/// With fewer inputs, some cannot do anything.
const LEAST_DEPTH: u64 = 3;

struct Arguments {
    seeds: u64,
    first_seed: u64,
    depth: Option<u64>,
    threads: u64,
    trace: bool,
    quiet: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let machine = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let mut arguments = Arguments {
        seeds: 20_000,
        first_seed: 1,
        depth: None,
        threads: machine,
        trace: false,
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
            "--seeds" => {
                arguments.seeds = number(0, u64::MAX)?;
                named = true;
            }
            "--first-seed" => {
                arguments.first_seed = number(0, u64::MAX)?;
                named = true;
            }
            "--depth" => arguments.depth = Some(number(0, 9)?),
            "--threads" => arguments.threads = number(1, 1_024)?,
            "--trace" => arguments.trace = true,
            "--quiet" => arguments.quiet = true,
            "--help" => return Ok(None),
            _ => return Err(format!("unknown option {word}; --help lists them")),
        }
    }
    if named {
        arguments.depth = arguments.depth.or(Some(0));
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
    if arguments.trace {
        return match run_traced(arguments.first_seed, true) {
            Ok(_) => ExitCode::SUCCESS,
            Err(failure) => {
                println!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    let mut coverage = Coverage::default();
    let depth = arguments.depth.unwrap_or(4);
    let sound = (arguments.seeds == 0 || seeds(&arguments, &mut coverage))
        && (depth == 0 || sequences(&arguments, depth, &mut coverage));
    if !sound {
        return ExitCode::FAILURE;
    }
    if !arguments.quiet {
        println!("\nHow often each outcome occurred:\n\n{coverage}");
    }
    ExitCode::SUCCESS
}

/// Runs the seeds; returns whether they found nothing and every outcome occurred.
fn seeds(arguments: &Arguments, coverage: &mut Coverage) -> bool {
    let start = Instant::now();
    let (seeds, first) = (arguments.seeds, arguments.first_seed);
    match run_seeds(first, seeds, arguments.threads) {
        Ok(ran) => {
            println!(
                "{seeds} seeds of {STEPS} steps from seed {first}: nothing found, in {:.1} s",
                start.elapsed().as_secs_f64()
            );
            let missing = ran.missing();
            coverage.merge(&ran);
            if seeds >= 1_000 && !missing.is_empty() {
                println!("FAILED: never occurred: {missing:?}");
                return false;
            }
            true
        }
        Err(failure) => {
            println!(
                "FAILED: cargo xtask simulate sessions --seeds 1 --first-seed {}",
                failure.seed
            );
            println!("{failure}");
            false
        }
    }
}

/// Tries all sequences; returns whether they found nothing and every input did something.
fn sequences(arguments: &Arguments, depth: u64, coverage: &mut Coverage) -> bool {
    let start = Instant::now();
    let tried = match try_all(depth as u32, arguments.threads as usize) {
        Ok(tried) => tried,
        Err(broken) => {
            println!("FAILED: cargo xtask simulate sessions --seeds 0 --depth {depth}");
            println!("{broken}");
            return false;
        }
    };
    println!(
        "{} sequences, each {depth} of {} inputs in one of {} worlds: nothing found, in {:.1} s ({} steps, as those \
         that come to the same are tried once; {} states, each brought to its end)",
        tried.sequences,
        ALPHABET.len(),
        worlds().len(),
        start.elapsed().as_secs_f64(),
        tried.steps,
        tried.states
    );
    coverage.merge(&tried.coverage);
    let idle: Vec<_> = tried
        .letters
        .iter()
        .filter(|(_, times)| *times == 0)
        .collect();
    if depth >= LEAST_DEPTH && !idle.is_empty() {
        println!("FAILED: inputs that never did anything: {idle:?}");
        return false;
    }
    true
}
