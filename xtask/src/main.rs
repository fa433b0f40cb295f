//! Project tasks: `cargo xtask TASK`. Each task is a module; this file only knows their names.

mod apt;
mod bench;
mod sh;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask TASK

  bench [rows…]   side by side with haproxy: CPU, memory, system calls, instructions (bench --help)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = args.split_first().map_or(("", &args[..]), |(task, rest)| (task.as_str(), rest));
    let result = match task {
        "bench" => bench::task(rest),
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
