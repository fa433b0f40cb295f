//! The `vrrpd` binary: arguments, wiring, exit codes.

mod args;

use args::Args;
use lb_sys::process::Forked;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use vrrp_daemon::daemon::{Daemon, Options};
use vrrp_daemon::log::{self, Sink};
use vrrp_daemon::reload::{Origin, Prepared, prepare};

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

fn origin(args: &Args) -> Origin {
    let host = lb_sys::process::host_name();
    let first = host.split('.').next().unwrap_or_default();
    Origin { file: args.file.clone(), id: args.id.clone().unwrap_or_else(|| first.into()), all_files: false }
}

/// `-t`. A word that is not supported yet is an error here although keepalived knows it.
fn test(args: &Args) -> ExitCode {
    let diagnostics = origin(args).read().diagnostics;
    diagnostics.all().iter().for_each(|d| eprintln!("{d}"));
    if diagnostics.beyond() > 0 {
        eprintln!("{} messages more", diagnostics.beyond());
    }
    ExitCode::from(diagnostics.exit_code())
}

fn run(args: &Args) -> ExitCode {
    let origin = origin(args);
    let loaded = origin.read();
    let code = loaded.diagnostics.exit_code().max(1);
    let prepared = match prepare(loaded, None) {
        Ok(prepared) => prepared,
        Err(lines) => {
            lines.iter().for_each(|line| eprintln!("{line}"));
            return ExitCode::from(code);
        }
    };
    match start(args, origin, prepared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrrpd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args, origin: Origin, prepared: Prepared) -> Result<(), Box<dyn std::error::Error>> {
    if !args.foreground {
        // Before there are threads. The parent says with its exit code no more than that the file could be read.
        if let Forked::Parent(_) = lb_sys::process::fork()? {
            return Ok(());
        }
        lb_sys::process::new_session()?;
    }
    let sink = match args.console {
        true => Sink::console(),
        false => Sink { console: false, facility: Some(log::DAEMON), ident: "vrrpd".into(), ..Sink::console() },
    };
    let daemon = Daemon::open(prepared, Options { origin, sink, keep_addresses: false })?;
    std::fs::write(&args.pidfile, format!("{}\n", std::process::id())).map_err(|e| format!("{}: {e}", args.pidfile.display()))?;
    let result = daemon.run(ready);
    let _ = std::fs::remove_file(&args.pidfile);
    Ok(result?)
}

/// Tells systemd, if it has started us.
fn ready() {
    let socket = std::env::var_os("NOTIFY_SOCKET").zip(UnixDatagram::unbound().ok());
    if let Some((path, socket)) = socket {
        let _ = socket.send_to(b"READY=1", path);
    }
}
