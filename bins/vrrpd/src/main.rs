//! The `vrrpd` binary: arguments, wiring, exit codes. Started under the name `keepalived` it has keepalived's names: files with its number,
//! ident in the log, and a version for the programs that ask for one.

mod args;
mod process;

use args::{Args, Task};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vrrp_daemon::conf::diag::Code;
use vrrp_daemon::daemon::signal_named;
use vrrp_daemon::reload::{Origin, prepare};
use vrrp_daemon::{explain, service};

/// What programs that ask keepalived for its version are told: the one that files, dumps and messages are those of.
const KEEPALIVED: &str = "2.2.7";

fn main() -> ExitCode {
    let mut words = std::env::args();
    let called = words.next().unwrap_or_default();
    let as_keepalived = Path::new(&called).file_name().is_some_and(|name| name == "keepalived");
    let args = match args::parse(words) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n'vrrpd --help' lists what there is");
            return ExitCode::FAILURE;
        }
    };
    if !args.extra.is_empty() {
        println!("Unexpected argument(s): {}", args.extra.join(" "));
    }
    args.complaints.iter().for_each(|text| eprintln!("{text}"));
    match &args.task {
        Task::Help if as_keepalived => eprint!("{}", args::usage()),
        Task::Help => print!("{}", args::usage()),
        Task::Version if as_keepalived => eprintln!("Keepalived v{KEEPALIVED} (vrrpd {})", env!("CARGO_PKG_VERSION")),
        Task::Version => println!("vrrpd {}", env!("CARGO_PKG_VERSION")),
        Task::SignalNumber(name) => match signal_named(name) {
            Some(number) => println!("{number}"),
            None => {
                eprintln!("Unknown sigfunc {name}");
                return ExitCode::FAILURE;
            }
        },
        Task::Ask(question) => return ask(&args, question),
        Task::Test(log) => return test(&args, log.as_deref()),
        Task::Explain => return explain(&args),
        Task::Run => return process::run(&args, origin(&args), as_keepalived),
    }
    ExitCode::SUCCESS
}

fn origin(args: &Args) -> Origin {
    let host = lb_sys::process::host_name();
    let first = host.split('.').next().unwrap_or_default();
    Origin { file: args.file.clone(), id: args.id.clone().unwrap_or_else(|| first.into()), all_files: args.all_files }
}

/// `-t`. A word that is not supported yet is an error here although keepalived knows it.
fn test(args: &Args, log: Option<&Path>) -> ExitCode {
    if let Err(e) = args.namespace.as_deref().map_or(Ok(()), process::enter) {
        eprintln!("{e}");
        return ExitCode::FAILURE;
    }
    let diagnostics = origin(args).read().diagnostics;
    let mut text: String = diagnostics.all().iter().map(|d| format!("{d}\n")).collect();
    if diagnostics.beyond() > 0 {
        text += &format!("{} messages more\n", diagnostics.beyond());
    }
    match log {
        None => eprint!("{text}"),
        Some(path) => {
            if let Err(e) = std::fs::write(path, text) {
                eprintln!("{}: {e}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    let of_arguments = if args.complaints.is_empty() { 0 } else { Code::Wrong as u8 };
    match diagnostics.exit_code() {
        0 => ExitCode::from(of_arguments),
        code => ExitCode::from(code),
    }
}

fn ask(args: &Args, question: &str) -> ExitCode {
    let socket = args.socket.clone().unwrap_or_else(|| PathBuf::from(process::SOCKET));
    match service::question(&socket, question) {
        Ok(answer) => {
            print!("{answer}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{}: {e}; does vrrpd run, and with this --socket?", socket.display());
            ExitCode::FAILURE
        }
    }
}

fn explain(args: &Args) -> ExitCode {
    // Other hosts' files may be asked about: interfaces and scripts need not be here.
    let loaded = origin(args).load();
    match prepare(loaded, None) {
        Ok(prepared) => match explain::answer(&prepared.conf, &args.question, vrrp_daemon::now()) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(e) => {
                eprintln!("{e}");
                ExitCode::FAILURE
            }
        },
        Err(lines) => {
            lines.iter().for_each(|line| eprintln!("{line}"));
            ExitCode::from(5)
        }
    }
}
