//! The simulated worlds.

use std::process::Command;

use crate::{Result, checkout, process};

/// Runs the simulation with these arguments: that of the connection core, or, if the first is `sessions`, that of
/// sessions; both if there is none.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        None => {
            world("simulate", &[])?;
            world("sessions", &[])
        }
        Some((first, rest)) if first == "sessions" => world("sessions", rest),
        Some(_) => world("simulate", arguments),
    }
}

fn world(program: &str, arguments: &[String]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    process::run(
        cargo
            .args(["run", "--quiet", "--package", "simulation", "--bin"])
            .args([program, "--"])
            .args(arguments)
            .current_dir(checkout::root()),
    )
}
