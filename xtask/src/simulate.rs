//! The simulated worlds.

use std::process::Command;

use crate::{Result, checkout, process};

/// Runs the simulation with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    process::run(
        cargo
            .args(["run", "--quiet", "--package", "simulation", "--bin"])
            .args(["simulate", "--"])
            .args(arguments)
            .current_dir(checkout::root()),
    )
}
