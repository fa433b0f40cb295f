//! The `vrrpd` binary: arguments, wiring, exit codes.

mod args;

use args::Args;
use lb_sys::process::Forked;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use vrrp_daemon::conf::model::Conf;
use vrrp_daemon::conf::text::{Disk, MAX_EXPANDED, Surroundings};
use vrrp_daemon::conf::{Loaded, load};
use vrrp_daemon::daemon::Daemon;
use vrrp_daemon::log::Sink;
use vrrp_daemon::scripts;

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
        // A word that is not supported yet is an error here although keepalived knows it.
        Ok(args) if args.test => ExitCode::from(read(&args).diagnostics.exit_code()),
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
    loaded.check_scripts(scripts::problem);
    loaded.refuse_unsupported();
    loaded.diagnostics.all().iter().for_each(|d| eprintln!("{d}"));
    if loaded.diagnostics.beyond() > 0 {
        eprintln!("{} messages more", loaded.diagnostics.beyond());
    }
    loaded
}

fn run(args: &Args) -> ExitCode {
    let loaded = read(args);
    if !loaded.diagnostics.is_startable() {
        return ExitCode::from(loaded.diagnostics.exit_code().max(1));
    }
    if loaded.conf.instances.is_empty() {
        eprintln!("there is no vrrp_instance in {}", args.file.display());
        return ExitCode::FAILURE;
    }
    match start(args, loaded.conf) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrrpd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args, conf: Conf) -> Result<(), Box<dyn std::error::Error>> {
    if !args.foreground {
        // Before there are threads. The parent says with its exit code no more than that the file could be read.
        if let Forked::Parent(_) = lb_sys::process::fork()? {
            return Ok(());
        }
        lb_sys::process::new_session()?;
    }
    let sink = if args.console { Sink::Console } else { Sink::Syslog };
    let daemon = Daemon::open(conf, sink)?;
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
