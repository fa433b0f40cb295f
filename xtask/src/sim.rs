//! `cargo xtask sim`: the simulations with more seeds than the tests take, or with one that failed.

use crate::sh::{self, Failure, Result, failure};

const USAGE: &str = "\
cargo xtask sim [--seeds N | --seed N]

  --seeds N  each simulation with the seeds 1 to N (default 5000)
  --seed N   one seed, as a failure names it";

/// Runs all test targets named sim… of the crates that have a simulation.
pub fn task(args: &[String]) -> Result<()> {
    let number = |text: &String| text.parse::<u64>().map_err(|e| Failure(format!("{text}: {e}\n{USAGE}")));
    let (name, value) = match args {
        [] => ("SIM_SEEDS", 5000),
        [word, n] if word == "--seeds" => ("SIM_SEEDS", number(n)?),
        [word, n] if word == "--seed" => ("SIM_SEED", number(n)?),
        _ => return failure(USAGE),
    };
    let mut command =
        sh::cargo(&["test", "--profile", "sim", "--no-fail-fast", "-p", "lb-rt", "-p", "lb-core", "-p", "vrrp", "--test", "sim*"]);
    sh::run(command.env(name, value.to_string()))
}
