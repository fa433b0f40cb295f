//! Project tasks: `cargo xtask TASK`. Each task is a module; this file only knows their names.

mod apt;
mod bench;
mod dist;
mod fuzz;
mod keywords;
mod parity;
mod sh;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask TASK

  bench [rows…]   side by side with haproxy: CPU, memory, system calls, instructions (bench --help)
  ci              the same as test
  dist            lb with licences and documents in one archive
  fuzz [targets…] libFuzzer over the targets of fuzz/ (fuzz --help)
  keywords        writes docs/keywords.md from the keyword table
  parity [args…]  the same traffic through lb and haproxy, compared (parity --help)
  sim [--seeds N] the simulations, longer than in the tests (sim --help)
  test            sets up what the tests need, then runs all of them
  tidy            the rules of the house: floors, banned calls, file sizes";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = args.split_first().map_or(("", &args[..]), |(task, rest)| (task.as_str(), rest));
    let result = match task {
        "bench" => bench::task(rest),
        "dist" => dist::task(rest),
        "fuzz" => fuzz::task(rest),
        "keywords" => keywords::task(rest),
        "parity" => parity::task(rest),
        "sim" => sim::task(rest),
        "test" | "ci" => test::task(rest),
        "tidy" => tidy::task(rest),
        _ => sh::failure(USAGE),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
