//! The `vrrpd` binary: arguments, wiring, exit codes.

mod args;

use args::Args;
use std::path::Path;
use std::process::ExitCode;
use vrrp_daemon::conf::diag::Level;
use vrrp_daemon::conf::text::{Disk, MAX_EXPANDED, Surroundings};
use vrrp_daemon::conf::{Loaded, load};

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Ok(Args { help: true, .. }) => {
            println!("{}", args::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Args { version: true, .. }) => {
            println!("vrrpd {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(args) if args.test => test(&args),
        Ok(args) => run(&args),
        Err(error) => {
            eprintln!("{error}\n{}", args::USAGE);
            ExitCode::FAILURE
        }
    }
}

fn read(args: &Args) -> Loaded {
    let host = lb_sys::process::host_name();
    let first = host.split('.').next().unwrap_or_default();
    let id = args.id.clone().unwrap_or_else(|| first.into());
    let surroundings = Surroundings { id, seed: u64::from(std::process::id()), most: MAX_EXPANDED };
    let mut loaded = load(&Disk, &args.file, &surroundings);
    loaded.check_interfaces(|name| Path::new("/sys/class/net").join(name).exists());
    loaded
}

fn say(loaded: &Loaded) {
    loaded.diagnostics.all().iter().for_each(|d| eprintln!("{d}"));
    if loaded.diagnostics.beyond() > 0 {
        eprintln!("{} messages more", loaded.diagnostics.beyond());
    }
}

/// `-t`: exits as keepalived's. A word that is not supported yet is said, and is an error here although keepalived knows it.
fn test(args: &Args) -> ExitCode {
    let mut loaded = read(args);
    loaded.refuse_unsupported();
    say(&loaded);
    ExitCode::from(loaded.diagnostics.exit_code())
}

fn run(args: &Args) -> ExitCode {
    let mut loaded = read(args);
    loaded.refuse_unsupported();
    say(&loaded);
    let errors = loaded.diagnostics.all().iter().filter(|d| d.level == Level::Error).count();
    if errors == 0 {
        eprintln!("vrrpd checks files only (-t); it does not run instances yet");
    }
    ExitCode::from(loaded.diagnostics.exit_code().max(1))
}
