//! The life of the process: into the background, its files, its namespace, the words for systemd.

use crate::args::Args;
use lb_sys::process::Forked;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use vrrp_daemon::conf::model::{Command, Conf};
use vrrp_daemon::daemon::{Daemon, Options};
use vrrp_daemon::log::{self, Sink, file_of_process};
use vrrp_daemon::reload::{Origin, Prepared, prepare};
use vrrp_daemon::scripts;
use vrrp_daemon::service::Doors;

/// Where `vrrpd status` asks.
pub const SOCKET: &str = "/run/vrrpd.sock";
/// What nobody else may do with files that this process or its scripts make, if nothing is said: keepalived's.
const UMASK: u32 = 0o177;
/// `startup_script_timeout` and `shutdown_script_timeout`, if the file says nothing.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Enters a network namespace that `ip netns` has made.
pub fn enter(name: &str) -> Result<(), String> {
    let path = Path::new("/run/netns").join(name);
    let file = std::fs::File::open(&path).map_err(|e| format!("network namespace {name}: {}: {e}", path.display()))?;
    let kind = Some(rustix::thread::LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(file.as_fd(), kind).map_err(|e| format!("network namespace {name}: {e}"))
}

/// The names that depend on how it was called and on the file.
struct Names {
    pidfile: PathBuf,
    vrrp_pidfile: Option<PathBuf>,
    socket: PathBuf,
    ident: String,
}

impl Names {
    fn new(args: &Args, conf: &Conf, as_keepalived: bool) -> Names {
        let namespace = args.namespace.as_ref().or(conf.namespace.as_ref());
        let parts: Vec<&String> = namespace.into_iter().chain(&conf.instance_name).collect();
        let suffix: String = parts.iter().map(|part| format!("_{part}")).collect();
        let base = if as_keepalived { "keepalived" } else { "vrrpd" };
        // keepalived mounts the directory of a namespace over /run/keepalived; seen from outside, it is this one.
        let directory = match (conf.pid_dir || !parts.is_empty(), namespace) {
            (false, _) => PathBuf::from("/run"),
            (true, None) => Path::new("/run").join(base),
            (true, Some(name)) => Path::new("/run").join(base).join(name),
        };
        let instance = conf.instance_name.as_ref().map(|name| format!("_{name}")).unwrap_or_default();
        let vrrp_default = as_keepalived.then(|| directory.join(format!("vrrp{instance}.pid")));
        Names {
            pidfile: args.pidfile.clone().unwrap_or_else(|| directory.join(format!("{base}{instance}.pid"))),
            vrrp_pidfile: args.vrrp_pidfile.clone().or(vrrp_default),
            socket: args
                .socket
                .clone()
                .unwrap_or_else(|| if suffix.is_empty() { SOCKET.into() } else { format!("/run/vrrpd{suffix}.sock").into() }),
            ident: format!("{}{suffix}", if as_keepalived { "Keepalived_vrrp" } else { "vrrpd" }),
        }
    }
}

/// Reads the file and runs.
pub fn run(args: &Args, origin: Origin, as_keepalived: bool) -> ExitCode {
    let program = if as_keepalived { "Keepalived_vrrp" } else { "vrrpd" };
    // Who looks for the reason looks in the log as well.
    let fail = |lines: &[String], code: ExitCode| {
        lines.iter().for_each(|line| eprintln!("{line}"));
        log::write(Sink { console: false, ..sink(args, program.into()) }, lines);
        code
    };
    // The interfaces of the file are those of its namespace, which the file may name itself.
    let namespace = args.namespace.clone().or_else(|| origin.load().conf.namespace);
    if let Err(error) = namespace.as_deref().map_or(Ok(()), enter) {
        return fail(&[error], ExitCode::FAILURE);
    }
    let loaded = origin.read();
    let code = loaded.diagnostics.start_code();
    let mut prepared = match prepare(loaded, None) {
        Ok(prepared) => prepared,
        Err(lines) => return fail(&lines, ExitCode::from(code)),
    };
    prepared.lines.extend(args.complaints.iter().cloned());
    let names = Names::new(args, &prepared.conf, as_keepalived);
    if let Some(pid) = runs_already(&names.pidfile) {
        // As keepalived: no failure.
        eprintln!("daemon is already running ({} says {pid})", names.pidfile.display());
        return ExitCode::SUCCESS;
    }
    match start(args, origin, prepared, names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&[format!("vrrpd: {error}")], ExitCode::FAILURE),
    }
}

/// Where lines go.
fn sink(args: &Args, ident: String) -> Sink {
    let facility = (!args.no_syslog).then_some(args.facility);
    Sink { ident, console: args.console, facility, file: args.log_file.as_deref().map(file_of_process) }
}

/// The process that a file names, if there is one that is not this one.
fn runs_already(pidfile: &Path) -> Option<u32> {
    let pid = std::fs::read_to_string(pidfile).ok()?.trim().parse::<u32>().ok().filter(|pid| *pid != std::process::id())?;
    lb_sys::signal::send(pid, 0).is_ok().then_some(pid)
}

/// A file with the number of this process, removed at its end.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<PidFile, String> {
        let says = |e| format!("{}: {e}", path.display());
        if let Some(directory) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(says)?;
        }
        std::fs::write(path, format!("{}\n", std::process::id())).map_err(says)?;
        Ok(PidFile(path.into()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn start(args: &Args, origin: Origin, prepared: Prepared, names: Names) -> Result<(), Box<dyn std::error::Error>> {
    if !args.foreground {
        // Before there are threads. The parent says with its exit code no more than that the file could be read.
        if let Forked::Parent(_) = lb_sys::process::fork()? {
            return Ok(());
        }
        lb_sys::process::new_session()?;
        // The terminal is not held; with -l its standard error is.
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        for number in 0..if args.console { 2 } else { 3 } {
            lb_sys::process::replace_stream(null.as_fd(), number)?;
        }
    }
    if args.core {
        lb_sys::process::allow_core_files()?;
    }
    if let Some(name) = prepared.conf.global.process_name.as_ref().and_then(|name| std::ffi::CString::new(name.as_str()).ok()) {
        rustix::thread::set_name(&name)?;
    }
    let sink = sink(args, names.ident);
    let doors = Doors { socket: Some(names.socket), metrics: args.metrics, dumps: args.dumps.clone() };
    let Args { keep_addresses, log_addresses, dump, .. } = *args;
    let options = Options { origin, sink, doors, keep_addresses, log_addresses, dump, supervisor: tell };
    let _pidfile = PidFile::write(&names.pidfile)?;
    let _vrrp_pidfile = names.vrrp_pidfile.as_deref().map(PidFile::write).transpose()?;
    // Everybody may read the numbers; of what is made from here on, by scripts too, the mask decides.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(args.umask.or(prepared.conf.global.umask).unwrap_or(UMASK)));
    let global = prepared.conf.global.clone();
    let mut shutdown = Vec::new();
    for (command, timeout, at_start) in
        [(&global.startup, global.startup_timeout, true), (&global.shutdown, global.shutdown_timeout, false)]
    {
        let Some((command, who)) = command.as_ref().and_then(|c| Some((c, prepared.users.runs(c)?))) else { continue };
        let timeout = timeout.unwrap_or(SCRIPT_TIMEOUT);
        match at_start {
            true => once(command, who, timeout),
            false => shutdown.push((command, who, timeout)),
        }
    }
    let daemon = Daemon::open(prepared, options)?;
    let result = daemon.run();
    shutdown.into_iter().for_each(|(command, who, timeout)| once(command, who, timeout));
    Ok(result?)
}

/// `startup_script`, `shutdown_script`: waits for its end, but not for ever.
fn once(command: &Command, who: scripts::Identity, timeout: Duration) {
    if let Err(e) = scripts::run_once(command, who, timeout) {
        eprintln!("{} {e}", command.words[0]);
    }
}

/// Tells systemd, if it has started us. Never waits: what it has no room for it is not told.
fn tell(word: &str) {
    let socket = std::env::var_os("NOTIFY_SOCKET").zip(UnixDatagram::unbound().ok());
    if let Some((path, socket)) = socket.filter(|(_, socket)| socket.set_nonblocking(true).is_ok()) {
        // A name that begins with @ has no file.
        let _ = match path.to_str().and_then(|p| p.strip_prefix('@')) {
            Some(name) => SocketAddr::from_abstract_name(name).and_then(|address| socket.send_to_addr(word.as_bytes(), &address)),
            None => socket.send_to(word.as_bytes(), path),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str], conf: &Conf, as_keepalived: bool) -> Vec<String> {
        let args = crate::args::parse(words.iter().map(|w| w.to_string())).expect("sound");
        let names = Names::new(&args, conf, as_keepalived);
        let vrrp = names.vrrp_pidfile.map(|p| p.display().to_string()).unwrap_or_default();
        vec![names.pidfile.display().to_string(), vrrp, names.socket.display().to_string(), names.ident]
    }

    /// Those of keepalived are what Debian's package was seen to use.
    #[test]
    fn names_of_files() {
        let plain = Conf::default();
        assert_eq!(names(&[], &plain, false), ["/run/vrrpd.pid", "", "/run/vrrpd.sock", "vrrpd"]);
        assert_eq!(names(&[], &plain, true), ["/run/keepalived.pid", "/run/vrrp.pid", "/run/vrrpd.sock", "Keepalived_vrrp"]);
        assert_eq!(names(&["-p", "/a", "-r", "/b"], &plain, true)[..2], ["/a", "/b"]);
        let dir = Conf { pid_dir: true, ..Conf::default() };
        assert_eq!(names(&[], &dir, true)[..2], ["/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid"]);
        let names = names(&["-s", "blue"], &plain, true);
        assert_eq!(names[0], "/run/keepalived/blue/keepalived.pid");
        assert_eq!(names[3], "Keepalived_vrrp_blue");
        let one = Conf { instance_name: Some("one".into()), ..Conf::default() };
        let names = super::tests::names(&["-s", "blue"], &one, true);
        assert_eq!((names[1].as_str(), names[3].as_str()), ("/run/keepalived/blue/vrrp_one.pid", "Keepalived_vrrp_blue_one"));
    }
}
