//! The `lb` binary: arguments, wiring, exit codes.

mod args;
mod check;
mod classes;
mod daemon;
mod demo;
mod environment;
mod explain;
mod fmt;
mod handover;
mod limits;
mod load;
mod master;
mod messages;
mod privileges;
mod run;
mod signals;
mod version;
mod watchdog;

use args::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Command::Version { full } => {
            messages::print(&version::text(full));
            ExitCode::SUCCESS
        }
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Condition { text, quiet } => check::condition(&text, quiet),
        Command::MemoryHelp => {
            messages::print(args::MEMORY_HELP);
            ExitCode::SUCCESS
        }
        Command::Fmt(args) => fmt::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Usage(None) => {
            messages::print(args::USAGE);
            ExitCode::SUCCESS
        }
        Command::Usage(Some(error)) => {
            messages::say(&format!("{error}\n{}", args::USAGE));
            ExitCode::FAILURE
        }
    }
}
