//! The `lb` binary: arguments, wiring, exit codes.

mod args;
mod check;
mod classes;
mod demo;
mod fmt;
mod load;
mod run;

use args::Command;
use std::process::ExitCode;

/// The version of haproxy whose configuration language this program speaks.
const SPEAKS: &str = "2.6";

fn version(full: bool) {
    let mut text = format!("lb version {} - speaks the configuration of HAProxy {SPEAKS}\n", env!("CARGO_PKG_VERSION"));
    if full {
        text += &format!("Target: {} {}\n", std::env::consts::ARCH, std::env::consts::OS);
        text += "Features: splice tcp http/1.1 proxy-protocol threads\nPollers: epoll (edge-triggered)\n";
    }
    run::print(&text);
}

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Command::Version { full } => {
            version(full);
            ExitCode::SUCCESS
        }
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Condition(text) => check::condition(&text),
        Command::Fmt(args) => fmt::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Usage(None) => {
            run::print(args::USAGE);
            ExitCode::SUCCESS
        }
        Command::Usage(Some(error)) => {
            run::say(&format!("{error}\n{}", args::USAGE));
            ExitCode::FAILURE
        }
    }
}
