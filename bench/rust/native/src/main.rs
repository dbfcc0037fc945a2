//! Takes a step many times, for a program that counts instructions:
//!
//! ```sh
//! native                # the names of all steps, one a line
//! native STEP COUNT
//! native --idle-session COUNT                # the bytes of one of so many, in the server's half
//! native --idle-session-with-record COUNT    # and in the memory store
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
        [flag, count] if flag == "--idle-session" || flag == "--idle-session-with-record" => {
            let Ok(count) = count.parse() else {
                eprintln!("error: `{count}` is not a count");
                return ExitCode::FAILURE;
            };
            let with_record = flag == "--idle-session-with-record";
            println!("{}", native::idle_session_bytes(count, with_record));
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
