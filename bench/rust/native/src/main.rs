//! Takes a step many times, for a program that counts instructions:
//!
//! ```sh
//! native                # the names of all steps, one a line
//! native STEP COUNT
//! ```
//!
//! The cost of a step is the difference between the counts of two runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            for case in native::CASES {
                println!("{}", case.name);
            }
            ExitCode::SUCCESS
        }
        [name, count] => {
            let case = native::CASES.into_iter().find(|case| case.name == *name);
            let (Some(case), Ok(count)) = (case, count.parse()) else {
                eprintln!("error: `{name}` is not a step, or `{count}` not a count");
                return ExitCode::FAILURE;
            };
            (case.run)(count);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("error: pass nothing, or a step and a count");
            ExitCode::FAILURE
        }
    }
}
